"""Folders in pairs and fives, of mixed kinds, ranks and targets, at weights that are not all one."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import pytest

from engine.lora import attach, read_adapter
from tests.engine.lora.zoo.bases import BASES, answer, build
from tests.engine.lora.zoo.dense import dense
from tests.engine.lora.zoo.recipes import RECIPES, of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
EXACT = 1e-5
WEIGHTS = (1.0, 0.5, -0.3, 0.8, 1.4)


def mixes() -> Iterator[tuple[str, dict[str, float]]]:
    """Neighbours in pairs and fives from all over, of each base; at most one replaces parameters."""
    for base in BASES:
        names = of(base)
        far = next(stride for stride in (3, 4, 5) if gcd(stride, len(names)) == 1)
        for kind, size, stride in (("pair", 2, 1), ("five", 5, far)):
            for start in range(len(names)):
                order = [names[(start + step * stride) % len(names)] for step in range(len(names))]
                later = [name for name in order if RECIPES[name].replaces][1:]
                chosen = [name for name in order if name not in later][:size]
                yield f"{base}-{kind}-{start}", dict(zip(chosen, WEIGHTS, strict=False))


MIXES = dict(mixes())


@pytest.mark.parametrize("name", MIXES)
def test_a_mix_is_the_weighted_sum(name, zoo, peft_sum, book):
    mix = MIXES[name]
    folders = {part: zoo(part) for part in mix}
    base = RECIPES[next(iter(mix))].base
    expected = answer(dense(base, folders, mix), base)
    if all(RECIPES[part].additive for part in mix):  # else PEFT depends on the order, or takes one at a time
        assert book.compare("yardsticks, mixed", name, expected, peft_sum(base, mix)) < EXACT
    model = build(base)
    bank = attach(model, {part: read_adapter(folder) for part, folder in folders.items()})
    bank.activate(mix)
    assert book.compare("mixed", name, answer(model, base), expected) < EXACT
