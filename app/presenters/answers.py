"""Answers side by side: panes asked at one moment are rows of one batch, and none shows a stale token.

A pane awaits one round of asking; what another round still says to it is dropped, and a round that nobody
awaits is cancelled. Once the question is another one, and until the first token that answers it, the old
answer stays, marked stale.
A pane whose rank slides awaits one generation of one round; what older generations say is dropped, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.answer import Answer
from app.presenters.rounds import Round
from engine.messages import (
    Body,
    Compared,
    Error,
    Generate,
    Generated,
    Routing,
    RowDone,
    Token,
)

__all__ = ["BASE", "MIX", "Answers", "expert_pane"]

BASE = "base"
MIX = "mix"
# What ends a round as a whole; anything else may be the fault of one voice.
ENDINGS = ("cancelled", "crashed")


def expert_pane(adapter: str) -> str:
    """The pane of one expert alone; prefixed, so that an adapter may be called "mix"."""
    return f"expert:{adapter}"


class Answers(QObject):
    """The panes of the score. Signals carry the pane's key.

    ``started``: another answer, as far as it is known, replaces what the pane shows; ``spoke(pane, Spoken)``:
    one token was appended; ``heard``: its routing began, grew or is whole; ``changed``: anything else.
    """

    started = Signal(str)
    spoke = Signal(str, object)
    heard = Signal(str)
    changed = Signal(str)

    def __init__(self, client: Client, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._panes: dict[str, Answer] = {}
        self._rounds: dict[str, Round] = {}
        self._generation = 0

    def answer(self, pane: str) -> Answer:
        return self._panes.setdefault(pane, Answer())

    @property
    def busy(self) -> bool:
        return bool(self._rounds)

    def ask(self, questions: Mapping[str, Generate]) -> None:
        """Put questions about one prompt to their panes; those before are given up.

        A router in training is asked on its own: its answer may end with its training.
        """
        together = {pane: question for pane, question in questions.items() if not _is_in_training(question)}
        if together:
            self._send(Round(together))
        for pane, question in questions.items():
            if pane not in together:
                self._send(Round({pane: question}))

    def slide(self, pane: str, question: Generate) -> None:
        """Let the pane's answer be that of ``question``, of one adapter at a rank.

        An answer that is being said and differs in its rank alone goes over to this rank at its next token;
        anything else is given up and asked anew. Of ranks that come faster than the engine hears of them only
        the newest is sent.
        """
        self._generation += 1
        sent = self._rounds.get(pane)
        if sent is not None and sent.may_become(question):
            live = sent.question.live
            sent.questions[pane] = msgspec.structs.replace(question, live=live, generation=self._generation)
            self._await(pane)
            self._tell(pane, sent)
        else:
            self._ask_live(pane, question)

    def expect(self, pane: str) -> None:
        """Another question is on its way to a pane: nothing more is heard of the one before."""
        self._give_up(pane)
        self._await(pane)

    def _ask_live(self, pane: str, question: Generate) -> None:
        live = msgspec.structs.replace(question, live=uuid.uuid4().hex, generation=self._generation)
        self._send(Round({pane: live}, told=live.generation))

    def _tell(self, pane: str, sent: Round) -> None:
        """Send the newest rank, unless the engine knows it, or has yet to answer to the one before."""
        if sent.is_telling or sent.told == sent.generation or self._rounds.get(pane) is not sent:
            return

        def heard(_: Body) -> None:
            sent.is_telling = False
            self._tell(pane, sent)

        def refused(error: Error) -> None:
            sent.is_telling = False
            if self._rounds.get(pane) is not sent:
                return
            if error.code in ("missing", "crashed"):
                # Over, or not begun: its result asks anew, or its first token tells again. A runtime that has
                # died says so of the question, too.
                sent.told = 0
            else:
                self._give_up(pane)
                self._fail(pane, error)

        sent.told, sent.is_telling = sent.generation, True
        self._client.ask(sent.slide, heard, refused)

    def show(self, pane: str, answer: Answer) -> None:
        """Show an answer that was heard before in place of what the pane says or waits for."""
        self._give_up(pane)
        self._panes[pane] = replace(answer, tokens=list(answer.tokens))
        self.started.emit(pane)
        self.changed.emit(pane)

    def _send(self, sent: Round) -> None:
        for pane in sent.panes:
            self._give_up(pane)
            self._rounds[pane] = sent
            self._await(pane)
        sent.call = self._client.ask(
            sent.request,
            partial(self._on_result, sent),
            partial(self._on_failure, sent),
            partial(self._on_progress, sent),
        )

    def _await(self, pane: str) -> None:
        answer = self.answer(pane)
        if answer.state != "waiting":
            answer.wait()
            self.changed.emit(pane)

    def _on_progress(self, sent: Round, body: Body) -> None:
        if not isinstance(body, Token | Routing | RowDone):
            return
        pane = sent.panes[body.row]
        if self._rounds.get(pane) is not sent:
            return
        match body:
            case Token(generation=generation) if generation < sent.generation:
                self._tell(pane, sent)
            case Token():
                self._append(pane, body)
            case Routing():
                self._hear(pane, body)
            case RowDone(answer=generated):
                self._finish(pane, generated)

    def _on_result(self, sent: Round, body: Body) -> None:
        answers = body.answers if isinstance(body, Compared) else [body]
        for pane, generated in zip(sent.panes, answers, strict=True):
            if not isinstance(generated, Generated) or self._rounds.get(pane) is not sent:
                continue
            if generated.generation < sent.generation:
                self._rounds.pop(pane)
                self._ask_live(pane, sent.question)
            else:
                self._finish(pane, generated)

    def _on_failure(self, sent: Round, error: Error) -> None:
        waiting = {pane: asked for pane, asked in sent.questions.items() if self._rounds.get(pane) is sent}
        if waiting and error.code == "crashed" and not sent.is_again and self._client.engine.phase == "ready":
            # Only a runtime has died, and a new one starts on demand; what kills that one, too, has failed.
            # When a whole engine died, who has asked asks the next one.
            self._send(Round(waiting, told=sent.generation, is_again=True))
            return
        for pane in waiting:
            if len(sent.panes) > 1 and error.code not in ENDINGS:
                # One voice that cannot speak fails the whole round; asked alone, only that one fails.
                self._send(Round({pane: sent.questions[pane]}))
            else:
                self._fail(pane, error)

    def stop(self, pane: str) -> None:
        """Give up the question; what has been said so far stays."""
        if pane in self._rounds:
            self._give_up(pane)
            self.answer(pane).stop()
            self.changed.emit(pane)

    def clear(self, pane: str) -> None:
        self._give_up(pane)
        self._panes[pane] = Answer()
        self.changed.emit(pane)

    def _give_up(self, pane: str) -> None:
        """Await nothing any more; the call goes on while another pane awaits a row of it."""
        sent = self._rounds.pop(pane, None)
        if sent is not None and sent not in self._rounds.values():
            self._client.cancel(sent.call)

    def _begin(self, pane: str) -> Answer:
        answer = self.answer(pane)
        if answer.state == "waiting":
            answer.begin()
            self.started.emit(pane)
        return answer

    def _hear(self, pane: str, prompt: Routing) -> None:
        answer = self._begin(pane)
        answer.prompt_tokens = len(prompt.tokens)
        answer.route(prompt)
        self.heard.emit(pane)

    def _append(self, pane: str, token: Token) -> None:
        answer = self._begin(pane)
        answer.append(token)
        self.spoke.emit(pane, answer.tokens[-1])
        if token.gates and answer.routing is not None:
            self.heard.emit(pane)

    def _finish(self, pane: str, generated: Generated) -> None:
        answer = self._begin(pane)
        self._rounds.pop(pane, None)
        said = len(answer.tokens)
        answer.end(generated)
        for token in answer.tokens[said:]:
            self.spoke.emit(pane, token)
        if generated.routing is not None:
            answer.route(generated.routing)
            self.heard.emit(pane)
        self.changed.emit(pane)

    def _fail(self, pane: str, error: Error) -> None:
        self._rounds.pop(pane, None)
        self.answer(pane).fail(error)
        self.changed.emit(pane)


def _is_in_training(question: Generate) -> bool:
    return question.mixing is not None and bool(question.mixing.job)
