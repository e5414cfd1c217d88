"""One prompt put to base, experts and mix: which panes stand side by side, and when each is asked anew."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer, Signal

from app.presenters.answers import BASE, MIX, Answers, expert_pane
from app.presenters.playing import Playing
from engine.messages import Generate

__all__ = ["Questions"]

SETTLE_MS = 50
MAX_NEW_TOKENS = 64
MOST_COMPARED = 3

Asked = tuple[Generate, tuple[str, ...]]
"""A question, and the hashes of the adapters that answer it: their names may be given to others."""


class Questions(QObject):
    """``compared`` are the experts that answer alone beside the others. ``changed``: other panes."""

    changed = Signal()

    def __init__(
        self, answers: Answers, playing: Callable[[], Playing], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.prompt = ""
        self.compared: tuple[str, ...] = ()
        self._answers = answers
        self._playing = playing
        self._asked: dict[str, Asked] = {}
        self._settle = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._settle.timeout.connect(self.ask_anew)

    @property
    def panes(self) -> list[str]:
        """The keys of the answers that stand side by side, from left to right."""
        return [BASE, *(expert_pane(name) for name in self.compared), MIX]

    @property
    def is_settling(self) -> bool:
        """Whether a hand is still on the desk, so that the panes will be asked anew in a moment."""
        return self._settle.isActive()

    def compare(self, adapter: str, on: bool) -> None:
        """Show the answer of one expert alone beside the others."""
        others = tuple(name for name in self.compared if name != adapter)
        compared = (*others, adapter)[-MOST_COMPARED:] if on else others
        if compared != self.compared:
            self.compared = compared
            self.changed.emit()
            self.ask_anew()

    def ask(self, prompt: str) -> None:
        """Put ``prompt`` to every pane; a second time the same prompt is asked again."""
        self.prompt = prompt
        self._asked.clear()
        self.ask_anew()

    def settle(self) -> None:
        """The desk is another one: ask anew what that changes, once the hand rests."""
        experts = self._playing().desk.trained
        self.compared = tuple(name for name in self.compared if name in experts) or tuple(experts[:1])
        self.changed.emit()
        questions = {pane: self._question(pane) for pane in self.panes}
        for pane in [pane for pane, asked in self._asked.items() if questions.get(pane, asked) != asked]:
            del self._asked[pane]
            self._answers.expect(pane)
        self._settle.start()

    def ask_again_what_was_cut_off(self) -> None:
        """The engine is back: what it died over is asked again."""
        for pane in [pane for pane in self._asked if self._answers.answer(pane).is_cut_off]:
            del self._asked[pane]
        self.ask_anew()

    def ask_anew(self) -> None:
        """Ask every pane whose question has changed since it was last asked, and only those, all at once."""
        if not self.prompt or not self._playing().desk.strips:
            return
        questions = {pane: self._question(pane) for pane in self.panes}
        changed = {pane: asked for pane, asked in questions.items() if self._asked.get(pane) != asked}
        self._asked |= changed
        self._answers.ask({pane: request for pane, (request, _) in changed.items()})
        for pane in [pane for pane in self._asked if pane not in self.panes]:
            del self._asked[pane]
            self._answers.clear(pane)

    def _question(self, pane: str) -> Asked:
        playing, request = self._playing(), self._request(pane)
        loose = [] if request.mixing is not None else request.parts
        return request, tuple(playing.loose.get(part.name, "") for part in loose)

    def _request(self, pane: str) -> Generate:
        playing = self._playing()
        question = Generate(base=playing.desk.base, prompt=self.prompt, max_new_tokens=MAX_NEW_TOKENS)
        if pane == BASE:
            return question
        if pane == MIX:
            return playing.request(question)
        name = next(name for name in self.compared if expert_pane(name) == pane)
        return playing.alone(question, name)
