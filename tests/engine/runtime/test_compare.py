"""A comparison's rows are the answers that its voices give alone, from one batch and one cache."""

import pytest
import torch
from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.lora import attach, read_adapter
from engine.messages import Ask, Compare, Generate, Mixing, Part, RowDone, Token, Work
from engine.mixer import Router, save_mix
from engine.runtime.base import load_base
from engine.runtime.generation import answer, compare
from engine.runtime.requests import perform
from engine.runtime.voices import Voices
from engine.supervisor.starter import STARTER

EXPERTS = ("reverse", "sort", "upper")


def finish(generator):
    said = []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return [each for each in said if each is not None], end.value


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    """The starter base with three of its experts and two mixes of them under clearly heard routers."""
    base = load_base(STARTER / "base", "starter-llama", "cpu")
    paths = {f"adapter:{name}": str(STARTER / "adapters" / name) for name in EXPERTS}
    bank = attach(base.model, {name: read_adapter(paths[f"adapter:{name}"]) for name in EXPERTS})
    for seed, kind in enumerate(("context", "local")):
        router = Router(bank.layout(), EXPERTS, kind, seed=seed)
        for V in router.V:
            V.data *= 20
        folder = tmp_path_factory.mktemp("mixes") / kind
        folder.mkdir()
        save_mix(folder, router, bank, name=kind, base="starter-llama")
        paths[f"mix:{kind}"] = str(folder)
    bank.detach()
    voices = Voices(base)
    yield voices, paths
    voices.close()


VOICES = [
    Ask(),
    Ask(parts=[Part(name="reverse")]),
    Ask(parts=[Part(name="sort", weight=0.7, rank=5), Part(name="upper", weight=0.5)]),
    Ask(mixing=Mixing(name="context"), record=True),
    Ask(mixing=Mixing(name="context", mode="hard", muted=["sort"]), parts=[Part(name="upper", weight=0.5)]),
    Ask(mixing=Mixing(name="context", mode="topk", top_k=1, locked=["reverse"]), record=True),
    Ask(mixing=Mixing(name="local", strength=0.5, renormalise=False, mode="topk", top_k=2)),
]


def alone(voices, paths, ask, **options):
    request = Generate(base="", parts=ask.parts, mixing=ask.mixing, record=ask.record, **options)
    with voices.hold(ask.parts, ask.mixing, paths) as voice:
        return finish(answer(voices.base, voice, request))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_row_says_what_its_voice_says_alone(starter, temperature):
    voices, paths = starter
    options = {"prompt": "reverse: planet", "max_new_tokens": 10, "temperature": temperature, "seed": 4}
    request = Compare(base="", voices=VOICES, **options)
    with voices.hold_all(request.voices, paths) as several:
        said, whole = finish(compare(voices.base, several, request))
    texts = []
    for row, (ask, together) in enumerate(zip(VOICES, whole.answers, strict=True)):
        tokens, single = alone(voices, paths, ask, **options)
        assert (together.text, together.tokens, together.stopped) == (
            *(single.text, single.tokens, single.stopped),
        )
        mine = [each for each in said if isinstance(each, Token) and each.row == row]
        assert [each.text for each in mine] == [each.text for each in tokens if isinstance(each, Token)]
        (routing,) = (each.answer.routing for each in said if isinstance(each, RowDone) and each.row == row)
        assert (routing is None) == (single.routing is None) and together.routing is None
        if single.routing is not None:
            assert routing.row == row and routing.tokens == single.routing.tokens
            difference = torch.tensor(routing.gates) - torch.tensor(single.routing.gates)
            assert difference.abs().max() < 1e-5
        texts.append(together.text)
    assert len(set(texts)) >= 4  # or this test would compare silence with silence


def test_a_row_that_ends_says_so_at_once_and_once(starter):
    voices, paths = starter
    request = Compare(base="", prompt="reverse: planet", voices=VOICES, max_new_tokens=10)
    with voices.hold_all(request.voices, paths) as several:
        said, whole = finish(compare(voices.base, several, request))
    ends = {each.row: (place, each) for place, each in enumerate(said) if isinstance(each, RowDone)}
    assert sorted(ends) == list(range(len(VOICES)))
    for row, (place, end) in ends.items():
        assert replace(end.answer, routing=None) == whole.answers[row]
        assert not any(isinstance(each, Token) and each.row == row for each in said[place:])


def test_adapters_of_a_comparison_share_one_bank(starter):
    voices, paths = starter
    with voices.hold_all(VOICES, paths) as several:
        banks = [voice.bank for voice in several]
    assert banks[0] is None and banks[1] is banks[2] and banks[3] is banks[4] is banks[5]
    assert len({id(bank) for bank in banks}) == 4


def test_a_comparison_leaves_the_model_silent_when_it_is_given_up(starter):
    voices, paths = starter
    _, before = alone(voices, paths, Ask(), prompt="sort: mango", max_new_tokens=8)
    steps = perform(
        Work(request=Compare(base="", prompt="sort: mango", voices=VOICES), paths=paths), voices, {}
    )
    for _ in range(5):
        next(steps)
    steps.close()
    assert all(kept.bank.gates is None and kept.users == 0 for kept in voices._kept.values())
    _, after = alone(voices, paths, Ask(), prompt="sort: mango", max_new_tokens=8)
    assert after.text == before.text


def test_an_adapter_that_is_not_there_is_said(starter):
    voices, paths = starter
    request = Compare(base="", prompt="x", voices=[Ask(), Ask(parts=[Part(name="nobody")])])
    with pytest.raises(StudioError, match="no adapter called nobody"):
        next(perform(Work(request=request, paths=paths), voices, {}))
