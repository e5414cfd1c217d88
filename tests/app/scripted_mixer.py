"""A mixer against a scripted engine: a library of five adapters, prompts put to it, answers for it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from app.presenters.mixer import Mixer
from engine.messages import (
    Adapters,
    Ask,
    Call,
    Compare,
    Compared,
    DataSets,
    Generate,
    Generated,
    Jobs,
    ListAdapters,
    ListData,
    ListJobs,
    ListMixes,
    Mixes,
    Routing,
    RowDone,
)
from tests.app.scripted_client import adapter, data_set

NAMES = ["reverse", "sort", "plural"]
GATES = [[[0.1, 0.2, 0.1, 0.6]] * 2, [[0.7, 0.1, 0.1, 0.1]] * 2, [[0.9, 0.05, 0.03, 0.02]] * 2]
ROUTING = Routing(
    tokens=["a", "b", "c"], modules=["l.0.q_proj", "l.0.o_proj"], experts=[*NAMES, "null"], gates=GATES
)


def connected(client, store=None, mixes=(), jobs=()) -> Mixer:
    """A mixer whose engine has answered its first questions; its notices are kept in ``notices``."""
    mixer = Mixer(client, store)
    cards = [adapter(name) for name in [*NAMES, "upper"]] + [adapter("foreign", base="other-base")]
    client.answer_all(ListAdapters, Adapters(adapters=cards))
    client.answer_all(ListMixes, Mixes(mixes=list(mixes)))
    client.answer_all(ListData, DataSets(sets=[data_set("reverse.train", 1500), data_set("mixed")]))
    client.answer_all(ListJobs, Jobs(jobs=list(jobs)))
    mixer.notices = []
    mixer.noticed.connect(mixer.notices.append)
    return mixer


def lay(mixer) -> None:
    for name in NAMES:
        mixer.drop(name)


def settled(qtbot, mixer) -> None:
    qtbot.waitUntil(lambda: not mixer.questions.is_settling)


def ask(client, qtbot, mixer, prompt="reverse: abc") -> Call:
    """Put a prompt to all panes; the Compare that went out."""
    settled(qtbot, mixer)
    mixer.questions.ask(prompt)
    return client.last(Compare)


def voices(call: Call) -> dict[tuple[tuple[str, float], ...], Ask]:
    """The rows of a Compare by what takes part in them: {(("sort", 0.5),): Ask}."""
    return {tuple((part.name, part.weight) for part in voice.parts): voice for voice in call.body.voices}


def generated(text="x", routing=None) -> Generated:
    return Generated(
        text=text,
        tokens=len(text),
        tokens_per_second=100.0,
        first_token_seconds=0.1,
        prompt_tokens=2,
        routing=routing,
    )


def in_rows(answered: Callable[[Generate], list[object]]) -> Callable[[Compare], list[object]]:
    """A FakeClient's reply to a Compare, each row answered as ``answered`` answers a Generate."""

    def compared(request: Compare) -> list[object]:
        said: list[object] = []
        answers = []
        for row, voice in enumerate(request.voices):
            *tokens, answer = answered(
                Generate(
                    base=request.base,
                    prompt=request.prompt,
                    parts=voice.parts,
                    mixing=voice.mixing,
                    record=voice.record,
                )
            )
            said += [msgspec.structs.replace(token, row=row) for token in tokens]
            said.append(RowDone(row=row, answer=answer))
            answers.append(answer)
        return [*said, Compared(answers=answers)]

    return compared
