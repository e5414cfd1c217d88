"""One prompt put to the base, the pinned ranks and the live one; what was heard to its end is kept."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

import msgspec
from PySide6.QtCore import QObject

from app.presenters.answer import Answer
from app.presenters.answers import BASE, Answers
from app.presenters.rank_scene import LIVE, Scene, rank_of
from engine.messages import AdapterCard, Generate, Part

__all__ = ["RankQuestions"]

MAX_NEW_TOKENS = 64
KEPT = 256


class RankQuestions(QObject):
    """Asks what has changed, and only that: base and pinned ranks as rows of one batch, the live rank by a
    question that slides. An answer to the same question is the same, so it is asked once."""

    def __init__(self, answers: Answers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._answers = answers
        self._asked: dict[str, Generate] = {}
        self._revision = ""
        self._kept: OrderedDict[bytes, Answer] = OrderedDict()
        answers.changed.connect(self._keep)

    def ask(self, base: str, prompt: str, scene: Scene, card: AdapterCard) -> None:
        """Put ``prompt`` to every pane of ``scene`` whose question is another one than before."""
        self._revision = card.sha256
        questions = {pane: _question(base, prompt, scene, pane) for pane in scene.panes}
        changed = {pane: asked for pane, asked in questions.items() if self._asked.get(pane) != asked}
        for pane in [pane for pane in self._asked if pane not in questions]:
            self._drop(pane)
        self._asked |= changed
        unknown = {pane: asked for pane, asked in changed.items() if not self._show_kept(pane, asked)}
        live = unknown.pop(LIVE, None)
        if live is not None:
            self._answers.slide(LIVE, live)
        self._answers.ask(unknown)

    def ask_again(self) -> None:
        """Forget what was asked, so that everything is asked anew."""
        self._asked.clear()

    def ask_again_what_was_cut_off(self) -> bool:
        """The same for what the engine died over; whether there is such a pane."""
        cut_off = [pane for pane in self._asked if self._answers.answer(pane).is_cut_off]
        for pane in cut_off:
            del self._asked[pane]
        return bool(cut_off)

    def clear(self) -> None:
        """Empty all panes: another adapter, or none."""
        for pane in list(self._asked):
            self._drop(pane)

    def forget(self) -> None:
        """Answers heard before may no longer be what the engine would say."""
        self._kept.clear()

    @property
    def kept(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    def _drop(self, pane: str) -> None:
        self._asked.pop(pane, None)
        self._answers.clear(pane)

    def _show_kept(self, pane: str, asked: Generate) -> bool:
        answer = self._kept.get(self._key(asked))
        if answer is not None:
            self._kept.move_to_end(self._key(asked))
            self._answers.show(pane, answer)
        return answer is not None

    def _keep(self, pane: str) -> None:
        asked, answer = self._asked.get(pane), self._answers.answer(pane)
        if asked is None or answer.state != "done":
            return
        self._kept[self._key(asked)] = replace(answer, tokens=list(answer.tokens))
        self._kept.move_to_end(self._key(asked))
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _key(self, asked: Generate) -> bytes:
        return msgspec.json.encode((asked, self._revision if asked.parts else ""))


def _question(base: str, prompt: str, scene: Scene, pane: str) -> Generate:
    rank = scene.rank if pane == LIVE else rank_of(pane)
    parts = [] if pane == BASE else [Part(name=scene.adapter, rank=rank, order=scene.order)]
    return Generate(base=base, prompt=prompt, parts=parts, max_new_tokens=MAX_NEW_TOKENS)
