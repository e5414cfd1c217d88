"""Whatever bytes a repository holds, what is said of it is a verdict and a sentence."""

import random
import time

from engine.formats.base_shapes import base_shapes
from engine.hub.peek import Peek
from engine.hub.verdict import adapter_verdict, wished_base
from engine.supervisor.starter import STARTER

BASE = base_shapes(STARTER / "base", ["starter-llama"])
SORT = STARTER / "adapters" / "sort"
HEAD = 9000
"""Bytes that the table of this adapter takes, and some of its numbers."""


def peek(config, table, size):
    about = {"repo": "a/b", "commit": "c" * 40, "weights": "adapter_model.safetensors"}
    return Peek(config=config, table=table, size=size, **about)


def mutant(chance, data):
    """``data`` with a few bytes changed, lost, doubled or cut off."""
    data = bytearray(data)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(data))
        match chance.randrange(4):
            case 0:
                data[place] = chance.randrange(256)
            case 1:
                del data[place : place + chance.randrange(9)]
            case 2:
                data[place:place] = data[place : place + chance.randrange(99)]
            case 3:
                data[place] = ord(chance.choice('"{}[],:0e-\\'))
    return bytes(data[: chance.choice([len(data), chance.randrange(1, len(data))])])


def test_mutants_get_a_verdict_in_no_time():
    config = (SORT / "adapter_config.json").read_bytes()
    weights = (SORT / "adapter_model.safetensors").read_bytes()
    assert adapter_verdict(peek(config, weights[:HEAD], len(weights)), BASE).fit.verdict == "green"
    chance, seen = random.Random(3), set()
    for number in range(1500):
        spoiled = mutant(chance, config) if number % 2 else config
        table = weights[:HEAD] if number % 2 else mutant(chance, weights[:HEAD])
        found = peek(spoiled, table, len(weights))
        before = time.process_time()
        verdict = adapter_verdict(found, BASE)
        wished_base(found)
        assert time.process_time() - before < 1
        assert verdict.fit.reason.endswith((".", ")")) and len(verdict.fit.reason) < 900, verdict
        seen.add(verdict.fit.verdict)
    assert seen == {"green", "amber", "red"}
