"""Answers: equal to transformers' own, streamed without broken characters, recorded token by token."""

from contextlib import ExitStack

import pytest
import torch

from engine.formats.errors import StudioError
from engine.messages import Generate, Mixing, Part, Route
from engine.runtime.generation import _Text, answer, token_texts
from engine.runtime.routing import route
from engine.runtime.voices import Voice


def finish(generator):
    said = []
    while True:
        try:
            said.append(next(generator))
        except StopIteration as end:
            return [each for each in said if each is not None], end.value


def ask(voices, library, prompt="ab:", parts=(), mixing=None, **options):
    request = Generate(base="tiny", prompt=prompt, parts=list(parts), mixing=mixing, **options)
    with voices.hold(request.parts, request.mixing, library) as voice:
        return finish(answer(voices.base, voice, request))


def test_greedy_equals_transformers(base, voices, library):
    said, whole = ask(voices, library, max_new_tokens=20)
    ids = base.tokenizer("ab:", return_tensors="pt").input_ids
    theirs = base.model.generate(ids, max_new_tokens=20, do_sample=False, pad_token_id=0)[0, ids.shape[1] :]
    assert whole.text == base.tokenizer.decode(theirs, skip_special_tokens=True)
    assert "".join(token.text for token in said) == whole.text
    assert [token.index for token in said] == list(range(whole.tokens))
    assert whole.prompt_tokens == 4
    assert whole.tokens_per_second > 0
    assert 0 < whole.first_token_seconds < 5


def test_adapters_change_the_answer_and_leave_no_trace(voices, library):
    alone = ask(voices, library)[1].text
    left = ask(voices, library, parts=[Part(name="left")])[1].text
    right = ask(voices, library, parts=[Part(name="right")])[1].text
    assert len({alone, left, right}) == 3
    assert ask(voices, library, parts=[Part(name="left", weight=0.0)])[1].text == alone
    for rank in (0, 5):
        with pytest.raises(StudioError, match=f"left has ranks 1 to 4, not {rank}"):
            ask(voices, library, parts=[Part(name="left", rank=rank)])
    assert ask(voices, library)[1].text == alone


def test_interleaved_answers_are_those_given_alone(voices, library):
    """Every answer keeps its own cache, gates and router's memory."""
    wanted = [
        {"parts": [Part(name="left")]},
        {"mixing": Mixing(name="both"), "record": True},
        {"parts": [Part(name="left", weight=0.5), Part(name="right", rank=2)]},
        {},
    ]
    alone = [ask(voices, library, **options)[1].text for options in wanted]
    generators, texts = [], {}
    with ExitStack() as stack:
        for number, options in enumerate(wanted):
            request = Generate(base="tiny", prompt="ab:", **options)
            voice = stack.enter_context(voices.hold(request.parts, request.mixing, library))
            generators.append((number, answer(voices.base, voice, request)))
        while generators:
            for number, generator in list(generators):
                try:
                    next(generator)
                except StopIteration as end:
                    texts[number] = end.value.text
                    generators.remove((number, generator))
    assert [texts[number] for number in range(4)] == alone


def test_sampling_is_seeded(voices, library):
    first, again, other = (ask(voices, library, temperature=1.0, seed=seed)[1].text for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"prompt": "a" * 200}, "reads 128 at most"), ({"temperature": -1.0}, "temperature")],
)
def test_what_cannot_be_done_is_said(voices, library, options, reason):
    with pytest.raises(StudioError, match=reason):
        ask(voices, library, **options)


def test_an_answer_ends_with_the_base_s_window(voices, library):
    whole = ask(voices, library, prompt="a" * 120, max_new_tokens=50)[1]
    assert whole.prompt_tokens + whole.tokens <= 128


def test_recorded_gates_belong_to_the_tokens(base, voices, library):
    (prompt, *said), whole = ask(voices, library, mixing=Mixing(name="both"), record=True, max_new_tokens=12)
    routing = whole.routing
    assert (prompt.tokens, prompt.gates) == (routing.tokens[:4], routing.gates[:4])
    assert routing.experts == ["left", "right", "null"]
    assert routing.tokens == ["<s>", "a", "b", ":", *(token.text for token in said)]
    gates = torch.tensor(routing.gates)
    assert gates.shape == (4 + whole.tokens, len(routing.modules), 3)
    assert torch.allclose(gates.sum(-1), torch.ones(gates.shape[:2]))
    assert gates.std(0).max() > 0.01
    assert torch.equal(gates[4:], torch.tensor([token.gates for token in said]))
    # The same text read at once is routed alike: the cache changes nothing.
    request = Route(mixing=Mixing(name="both"), prompt="ab:" + whole.text)
    with voices.hold([], request.mixing, library) as voice:
        at_once = torch.tensor(finish(route(base, voice, request))[1].gates)
    assert torch.allclose(at_once[: len(gates) - 1][:4], gates[:4], atol=1e-5)
    assert torch.allclose(at_once[3 : 3 + whole.tokens], gates[4:], atol=1e-5)


def test_top_k_and_strength_are_heard(voices, library):
    soft, top, weak = (
        torch.tensor(ask(voices, library, mixing=mixing, record=True)[1].routing.gates)
        for mixing in (
            Mixing(name="both"),
            Mixing(name="both", mode="topk", top_k=1),
            Mixing(name="both", strength=0.5),
        )
    )
    assert ((soft > 1e-3).sum(-1) > 1).any()
    assert ((top > 0).sum(-1) == 1).all()
    assert torch.allclose(weak[0].sum(-1), torch.full(weak[0].shape[:1], 0.5))


class Bytes:
    """A tokenizer whose tokens are bytes: the hardest case for streaming."""

    def decode(self, ids, **_):
        return bytes(ids).decode(errors="replace")


def test_no_piece_ends_inside_a_character():
    content = "naïve 🎛 日本"
    text = _Text(Bytes())
    pieces = [text.add(byte) for byte in content.encode()]
    assert "".join(pieces) == text.whole == content
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)
    assert "".join(token_texts(Bytes(), "日".encode()[:2])) == "\N{REPLACEMENT CHARACTER}"


def test_the_base_alone_needs_no_bank(base):
    assert (
        finish(answer(base, Voice(None, None), Generate(base="tiny", prompt="a", record=True)))[1].routing
        is None
    )
