"""What is heard: the mix on the desk or the one in training, the library's mixes, who speaks how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.answers import MIX, Answers
from app.presenters.desk import Desk, RouterSettings
from app.presenters.hands import Hands
from app.presenters.keeping import Removal
from app.presenters.notice import Notice
from app.presenters.playing import Playing, Router, experts_of
from app.presenters.questions import Questions
from app.presenters.training import LOAD, Training
from app.words import count
from engine.messages import (
    Body,
    DropExpert,
    FindUses,
    MixCard,
    RemoveMix,
    Rename,
    RestoreMix,
    Routing,
    Uses,
)

__all__ = ["Player", "as_trained"]

LONGEST = 64


class Player(Hands):
    """A desk that is heard: ``answers`` to ``questions``, of a mix or of the ``training`` that makes one.

    ``usage_changed``: the experts' shares (``usage``), measured on ``usage_of``. ``doubted`` with the Removal
    of a mix that is to be agreed to, because something depends on it.
    """

    usage_changed = Signal()
    doubted = Signal(object)

    def __init__(self, client: Client, store: QSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(client, store, parent)
        self._heard: Router | None = None
        self.usage: dict[str, float] = {}
        self.usage_of = ""
        self.training = Training(client, self)
        self.answers = Answers(client, self)
        self.questions = Questions(self.answers, lambda: self.playing, self)
        self.training.curve_grew.connect(self._measure_load)
        self.answers.heard.connect(self._measure_answer)

    @property
    def playing(self) -> Playing:
        """How the desk sounds now."""
        job, spec = self.training.job, self.training.spec
        loose = {name: card.sha256 for name, card in self.stock.adapters.items()}
        learns = job is not None and job.state == "running" and job.step > 0
        if learns and job and spec and set(experts_of(spec)) == set(self.desk.experts):
            return Playing(self.desk, Router.in_training(job, spec), loose)
        card = self.mix
        return Playing(self.desk, Router.of_mix(card) if card else None, loose)

    @property
    def mix(self) -> MixCard | None:
        """The mix that lies on the desk."""
        return self.stock.mixes.get(self.desk.mix)

    @property
    def ranks_of_mix(self) -> dict[str, int]:
        """Experts of the mix on the desk whose strips show a lower rank than they have."""
        names = experts_of(self.mix) if self.mix is not None else []
        return {s.adapter: s.rank for s in self.desk.strips if s.rank is not None and s.adapter in names}

    @property
    def routing(self) -> Routing | None:
        """Who spoke where in the mix's answer, while it is being said and after."""
        return self.answers.answer(MIX).routing

    # mixes

    def open_mix(self, name: str) -> None:
        """Lay a trained mix on the desk: its experts, and its router."""
        card = self.stock.mixes.get(name)
        if card is None:
            self.refuse(f"There is no mix called {name}.", "Train the router to make one.")
            return
        desk = replace(self.desk, strips=(), base="")
        for expert in experts_of(card):
            desk = desk.dropped(expert, len(desk.strips), card.base)
        self.change(replace(desk, mix=name, router=as_trained(desk.router, card)), f"Open {name}")
        self._show_usage_of(card)
        self._warm_up(card.base)

    def close_mix(self) -> None:
        """Play static faders; the mix stays in the library."""
        self.change(self._without_mix(), "Static faders")

    def _without_mix(self) -> Desk:
        """The desk on its own: experts that only the mix has go with it."""
        desk = self.desk
        for name in [name for name in desk.trained if name not in self.stock.adapters]:
            desk = desk.removed(name)
        return self._with_mix(desk, "")

    def rename_mix(self, name: str, to: str) -> None:
        """Call a mix otherwise; undo takes the name back. Jobs and mixes that were made with it go on."""
        to = to.strip()
        if to in ("", name):
            return

        def ask(before: str, after: str) -> None:
            request = Rename(kind="mixes", name=before, to=after)
            self.client.ask(request, lambda _: self.stock.list_mixes(), self.complain)

        def renamed(_: Body) -> None:
            self.stock.list_mixes()
            self._did(
                self.desk,
                f"Rename {name}",
                f"{name} is called {to} now.",
                back=lambda: ask(to, name),
                again=lambda: ask(name, to),
            )

        self.client.ask(Rename(kind="mixes", name=name, to=to), renamed, self.complain)

    def remove_mix(self, name: str) -> None:
        """Move a mix to the trash, after a question if anything depends on it; undo brings it back."""

        def found(uses: Body) -> None:
            if isinstance(uses, Uses) and (uses.mixes or uses.jobs):
                self.doubted.emit(Removal(name, uses))
            else:
                self.remove_mix_now(name)

        self.client.ask(FindUses(kind="mixes", name=name), found, self.complain)

    def remove_mix_now(self, name: str) -> None:
        """Move a mix to the trash; undo brings it back."""

        def ask(request: RemoveMix | RestoreMix) -> None:
            self.client.ask(request, None, self.complain)

        def removed(_: Body) -> None:
            desk = self._without_mix() if self.desk.mix == name else self.desk
            self._did(
                desk,
                f"Remove {name}",
                f"{name} was removed.",
                back=lambda: ask(RestoreMix(name=name)),
                again=lambda: ask(RemoveMix(name=name)),
            )

        self.client.ask(RemoveMix(name=name), removed, self.complain)

    def _did(
        self, desk: Desk, label: str, words: str, back: Callable[[], None], again: Callable[[], None]
    ) -> None:
        """Record what was done in the library, and say it with a button that takes it back, also later."""

        def take_back() -> None:
            if self.undo_label == label:
                self.undo()
            else:
                back()

        self.change(desk, label, back=back, again=again)
        self.noticed.emit(Notice("info", words, action=("Undo", take_back)))

    def _follow_names(self) -> None:
        """A mix that was given another name keeps its place on the desk, before and after each step too."""
        now = {old: card.name for card in self.stock.mixes.values() for old in card.former}
        self._history.amend(lambda desk: replace(desk, mix=now.get(desk.mix, desk.mix)))

    def leave_out(self, expert: str) -> None:
        """Make a new mix of the one on the desk, without ``expert``; nothing is trained."""
        mix = self.desk.mix
        out = self._free(f"{mix}-without-{expert}")

        def made(_: Body) -> None:
            self.stock.list_mixes(then=play)

        def play() -> None:
            if self.desk.mix == mix and out in self.stock.mixes:
                self.change(self._with_mix(self.desk, out), f"Make {out}")
                self._show_usage_of(self.stock.mixes[out])
            self.announced.emit(f"{out} is ready")

        self.client.ask(DropExpert(mix=mix, expert=expert, out=out), made, self.complain)

    @property
    def free_name(self) -> str:
        """What the next mix is called unless a person says otherwise: mix-1, mix-2, ..."""
        number = 1
        while f"mix-{number}" in {*self.stock.mixes, *self.training.names}:
            number += 1
        return f"mix-{number}"

    def _free(self, name: str) -> str:
        """``name`` cut to what a name may be, or, when it is taken, the next numbered one."""
        return name if name not in self.stock.mixes and len(name) <= LONGEST else self.free_name

    def _listen_anew(self) -> None:
        """Another router is heard than before: ask it what was asked of that one."""
        if self.playing.router != self._heard:
            self._heard = self.playing.router
            self.desk_changed.emit()
            self.questions.settle()

    def _desk_replaced(self) -> None:
        super()._desk_replaced()
        self.questions.settle()

    # who speaks how much

    def _measure_load(self, step: int, metrics: dict[str, float]) -> None:
        load = {name.removeprefix(LOAD): share for name, share in metrics.items() if name.startswith(LOAD)}
        if load and not self.answers.busy:
            self._measure(load, f"step {step} of the training")

    def _measure_answer(self, pane: str) -> None:
        answer = self.answers.answer(pane)
        if pane == MIX and answer.routing is not None:
            tokens = count(len(answer.routing.tokens), "token")
            self._measure(answer.usage, f"this prompt and answer, {tokens}")

    def _show_usage_of(self, card: MixCard) -> None:
        self._measure(dict(card.usage), f"the data that {card.name} was trained on")

    def _measure(self, usage: dict[str, float], of: str) -> None:
        self.usage, self.usage_of = usage, of
        self.usage_changed.emit()


def as_trained(router: RouterSettings, card: MixCard) -> RouterSettings:
    """With gates that play a mix as it learned: hard where they were hard, and only there."""
    if card.gates == "hard":
        return replace(router, mode="hard")
    return replace(router, mode="soft") if router.mode == "hard" else router
