"""A rank slid under an answer: what is then said is what would have been said at that rank from the start."""

import dataclasses

import pytest
import torch
from msgspec.structs import replace

from engine.formats.errors import StudioError
from engine.lora import Factors, attach, write_adapter
from engine.messages import Generate, Mixing, Part, Routing, Slide, Token, Work
from engine.mixer import Router
from engine.runtime.base import Base
from engine.runtime.requests import perform
from engine.runtime.slides import Slides
from engine.runtime.voices import Voices

LEFT = [Part(name="left", rank=4)]


class Pane:
    """An answer called "pane" and what is heard of it: every pass gives the logits of its last token."""

    def __init__(self, voices, paths, **options):
        self.slides = Slides()
        request = Generate(
            **{"base": "tiny", "prompt": "ab:", "live": "pane", "max_new_tokens": 12} | options
        )
        self.steps = perform(Work(request=request, paths=paths), voices, {}, self.slides)
        assert next(self.steps) is None

    def slide(self, rank, generation, adapter="left"):
        ask = Slide(base="tiny", live="pane", adapter=adapter, rank=rank, generation=generation)
        self.slides.post(ask)

    def hear(self, count=None):
        """``count`` tokens, or all to the end and the whole."""
        said = []
        while count is None or len(said) < count:
            try:
                said.append(next(self.steps))
            except StopIteration as end:
                return said, end.value
        return said


@pytest.fixture
def heard(monkeypatch):
    """The logits of every pass of a base."""
    logits, read = [], Base.read

    def listening(self, *args, **options):
        logits.append(read(self, *args, **options))
        return logits[-1]

    monkeypatch.setattr(Base, "read", listening)
    return logits


@pytest.fixture
def voices(base):
    """Of a base that never ends of itself."""
    voices = Voices(dataclasses.replace(base, ends=frozenset()))
    yield voices
    voices.close()


def plain(tokens):
    return [(token.index, token.text) for token in tokens]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    "voice",
    [
        {},
        {"parts": [Part(name="left", rank=4), Part(name="right", weight=0.5)]},
        {"parts": [Part(name="left", rank=4, order="spread")]},
        {"mixing": Mixing(name="both")},
    ],
    ids=["one", "sum", "spread", "mix"],
)
def test_an_answer_slid_to_is_the_answer_asked_for(voices, library, heard, voice, temperature):
    options = {"parts": LEFT, "temperature": temperature, "seed": 3} | voice
    at_two = [replace(part, rank=2) if part.name == "left" else part for part in options["parts"]]
    wanted, whole = Pane(voices, library, **options | {"parts": at_two}).hear()
    logits = [*heard]
    pane = Pane(voices, library, **options)
    before = pane.hear(5)
    assert [token.generation for token in before] == [0] * 5
    heard.clear()
    pane.slide(2, 7)
    said, answer = pane.hear()
    assert plain(said) == plain(wanted)
    assert {token.generation for token in said} == {answer.generation} == {7}
    assert (answer.text, answer.tokens, answer.stopped) == (whole.text, whole.tokens, whole.stopped)
    assert len(heard) == len(logits)
    for one, other in zip(heard, logits, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)
    assert plain(before) != plain(said)[:5]


def test_the_newest_of_several_slides_counts_and_old_generations_are_dropped(voices, library, heard):
    wanted = plain(Pane(voices, library, parts=[Part(name="left", rank=1)]).hear()[0])
    pane = Pane(voices, library, parts=LEFT)
    pane.hear(2)
    heard.clear()
    for rank, generation in ((3, 5), (2, 8), (1, 9), (4, 6), (3, 8)):
        pane.slide(rank, generation)
    assert (pane.hear(1)[0].generation, len(heard)) == (9, 1), "one pass for all of them"
    pane.slide(4, 8)
    said, answer = pane.hear()
    assert answer.generation == 9 and plain(said) == wanted[1:]


def test_a_slide_reaches_an_answer_before_its_first_pass_and_after_its_last_token(voices, library, heard):
    pane = Pane(voices, library, parts=LEFT, generation=3)
    pane.slide(2, 4)
    first = pane.hear(12)
    assert ({token.generation for token in first}, len(heard)) == ({4}, 12)
    pane.slide(2, 5)
    assert plain(pane.hear()[0]) == plain(first)


def test_what_is_recorded_belongs_to_the_rank(voices, library):
    options = {"mixing": Mixing(name="both"), "record": True}
    _, wanted = Pane(voices, library, parts=[Part(name="left", rank=1)], **options).hear()
    pane = Pane(voices, library, parts=[], **options)
    pane.hear(4)
    pane.slide(1, 1)
    (routing, *_), whole = pane.hear()
    assert isinstance(routing, Routing) and routing.generation == 1
    assert whole.routing.tokens == wanted.routing.tokens
    assert torch.allclose(torch.tensor(whole.routing.gates), torch.tensor(wanted.routing.gates), atol=1e-5)


@pytest.mark.parametrize(
    ("adapter", "rank", "reason"),
    [
        ("left", 0, "left has ranks 1 to 4, not 0"),
        ("left", 5, "not 5"),
        ("right", 1, "right takes no part in this answer"),
    ],
)
def test_a_slide_that_cannot_be_leaves_the_answer_as_it_is(voices, library, adapter, rank, reason):
    wanted, whole = Pane(voices, library, parts=LEFT).hear()
    pane = Pane(voices, library, parts=LEFT)
    said = pane.hear(3)
    with pytest.raises(StudioError, match=reason) as refused:
        pane.slide(rank, 1, adapter)
    assert refused.value.code == "usage" and refused.value.hint
    rest, answer = pane.hear()
    assert plain(said + rest) == plain(wanted) and answer.text == whole.text
    assert all(isinstance(token, Token) and token.generation == 0 for token in said + rest)


def test_names_are_free_when_an_answer_is_over_or_given_up(voices, library):
    pane = Pane(voices, library, parts=LEFT)
    with pytest.raises(StudioError, match="still being said") as refused:
        other = perform(
            Work(request=Generate(base="tiny", prompt="a", live="pane"), paths=library),
            voices,
            {},
            pane.slides,
        )
        next(other)
    assert refused.value.code == "busy"
    pane.hear()
    with pytest.raises(StudioError, match="is over") as missing:
        pane.slide(2, 1)
    assert missing.value.code == "missing"
    given_up = Pane(voices, library, parts=LEFT)
    given_up.hear(2)
    given_up.steps.close()
    with pytest.raises(StudioError, match="is over"):
        given_up.slide(2, 1)


def test_a_dora_is_slid_exactly(base, voices, adapters, tmp_path):
    """Down and up again: its magnitude belongs to what is left of it."""
    left = adapters["left"]
    norms = {path: base.model.get_submodule(path).weight.norm(dim=1) * 1.1 for path in left.factors}
    factors = {path: Factors(f.A, f.B, f.scale, magnitude=norms[path]) for path, f in left.factors.items()}
    config = dataclasses.replace(left.config, dora=True)
    write_adapter(dataclasses.replace(left, factors=factors, config=config), tmp_path / "left")
    paths = {"adapter:left": str(tmp_path / "left")}
    wanted = {
        rank: plain(Pane(voices, paths, parts=[Part(name="left", rank=rank)]).hear()[0]) for rank in (2, 4)
    }
    assert wanted[2] != wanted[4]
    pane = Pane(voices, paths, parts=LEFT)
    pane.hear(2)
    pane.slide(2, 1)
    assert plain(pane.hear(12)) == wanted[2]
    pane.slide(4, 2)
    assert plain(pane.hear()[0]) == wanted[4]


def test_sliding_one_strip_changes_only_its_columns(base, adapters):
    """Whatever the router says: the other experts' columns are the same bit for bit, and so are those that
    are left of the slid one."""
    x = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(1))
    bank = attach(base.model, adapters)
    router = Router(bank.layout(), tuple(adapters), "local", seed=3)
    gates = bank.new_gates(dict.fromkeys(adapters, 1.0), router=router)
    with torch.no_grad():
        for group in [group for group in bank._stack.groups if group.A.shape[1] == 32]:

            def columns(group=group):
                return [h.clone() for h, _ in gates.columns(group, x, None)]

            whole = columns()
            gates.set_rank("left", 2)
            cut = columns()
            gates.set_rank("left", 4)
            for site, before, after, again in zip(group.sites, whole, cut, columns(), strict=True):
                left, right = (
                    slice(site.cells[name].start - site.first, site.cells[name].stop - site.first)
                    for name in ("left", "right")
                )
                assert before[:, left].abs().min() > 0 and before[:, right].abs().min() > 0
                assert torch.equal(after[:, right], before[:, right])
                assert torch.equal(after[:, left][:, :2], before[:, left][:, :2])
                assert not after[:, left][:, 2:].any()
                assert torch.equal(again, before)
    bank.detach()
