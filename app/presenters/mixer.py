"""The mixer's verbs: what hands do to the desk, with undo; its data; the training of its router."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from PySide6.QtCore import QObject, QSettings, Signal

from app.client import Client
from app.presenters.answers import MIX, Answers
from app.presenters.desk import LOUDEST, Desk, History
from app.presenters.notice import Notice, from_error
from app.presenters.playing import NULL, Playing, Router, listed
from app.presenters.questions import Questions
from app.presenters.router_training import LOAD, RouterTraining
from app.presenters.stock import Stock
from app.words import count
from engine.messages import (
    AdapterCard,
    DataSet,
    Error,
    Job,
    JobChanged,
    JobProgress,
    JobRemoved,
    Routing,
    TrainRouter,
    WarmUp,
)

__all__ = ["Mixer"]

SAVED_DESK = "mixer/desk"
SAVED_JOB = "mixer/training"


class Mixer(QObject):
    """The desk and everything that a person can do with it; other views of the mixer share its ``client``.

    ``desk_changed``: strips, faders, router settings, data, mix, or what there is to choose from.
    ``usage_changed``: the experts' shares (``usage``), measured on ``usage_of``.
    ``noticed(Notice)``: something was refused or failed. ``announced(sentence)``: for those who listen.
    """

    desk_changed = Signal()
    usage_changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, store: QSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.client = client
        self._store = store
        self._history = History(self._saved_desk())
        self._warm = ""
        self._heard: Router | None = None
        self.base = ""
        self.usage: dict[str, float] = {}
        self.usage_of = ""
        self.stock = Stock(client, self)
        self.answers = Answers(client, self)
        self.questions = Questions(self.answers, lambda: self.playing, self)
        self.training = RouterTraining(client, self)
        self._listen()
        if client.engine.phase == "ready":
            self.refresh()

    def _listen(self) -> None:
        self.client.welcomed.connect(self.refresh)
        self.client.happened.connect(self._on_event)
        self.client.gauge.connect(self._on_gauge)
        self.stock.changed.connect(self._stock_changed)
        self.stock.failed.connect(self._failed)
        self.training.failed.connect(self._failed)
        self.training.found.connect(self._found_training)
        self.training.finished.connect(self._trained)
        self.training.changed.connect(self._training_changed)
        self.training.curve_grew.connect(self._measure_load)
        self.answers.heard.connect(self._measure_answer)

    # what there is

    @property
    def desk(self) -> Desk:
        return self._history.desk

    @property
    def playing(self) -> Playing:
        """How the desk sounds now."""
        job, spec = self.training.job, self.training.spec
        learns = job is not None and job.state == "running" and job.step > 0
        if learns and job and spec and set(spec.experts) == set(self.desk.experts):
            return Playing(self.desk, Router.in_training(job, spec))
        card = self.stock.mixes.get(self.desk.mix)
        return Playing(self.desk, Router.of_mix(card) if card else None)

    @property
    def data(self) -> DataSet | None:
        """The chosen training data, None until it has been read and found whole."""
        return self.stock.data(self.desk.data)

    @property
    def examples(self) -> list[str]:
        """Prompts to try: one per expert on the desk that it has never met, else the chosen data's first."""
        unseen = [self.stock.unseen(name) for name in self.desk.experts]
        return [row[0] for row in unseen if row] or [
            row[0] for row in (self.data.sample if self.data else [])
        ]

    @property
    def routing(self) -> Routing | None:
        """Who spoke where in the mix's answer, while it is being said and after."""
        return self.answers.answer(MIX).routing

    def hue(self, expert: str) -> int:
        """The palette place of a voice; -1 for the null expert and for those not on the desk."""
        strip = self.desk.strip(expert)
        return -1 if strip is None else strip.hue

    def why_not(self, card: AdapterCard) -> tuple[str, str]:
        """Why an adapter cannot lie on this desk: the reason and what to do; empty where it can."""
        if card.missing:
            return f"The files of {card.name} are gone.", "Bring them back, or remove it in the library."
        base = self.desk.base or self.base
        if base and card.base != base:
            return (
                f"{card.name} was made for {card.base or 'an unnamed base'}, the desk plays {base}.",
                "Clear the desk first, or choose an adapter for the same base."
                if self.desk.base
                else "Choose its base at the top, or an adapter for this one.",
            )
        return "", ""

    @property
    def why_not_train(self) -> str:
        """What is missing before the router can be trained; empty when nothing is."""
        if len(self.desk.strips) < 2:
            return "Put at least two adapters on the desk."
        if self.data is None:
            return "Choose training data."
        if self.training.is_open:
            return "A router is being trained."
        return ""

    # the library

    def refresh(self) -> None:
        """Ask for everything anew, as after every connection."""
        self._warm = ""
        self.stock.refresh()
        self.training.find(self._saved_job())
        if self.desk.base:
            self._warm_up(self.desk.base)
        self.questions.ask_again_what_was_cut_off()

    def use_base(self, base: str) -> None:
        """The base that an empty desk is for."""
        if base != self.base:
            self.base = base
            self.desk_changed.emit()

    def _stock_changed(self) -> None:
        gone = [name for name in self.desk.experts if name not in self.stock.adapters]
        if gone and self.stock.adapters:
            desk = self.desk
            for name in gone:
                desk = desk.removed(name)
            self._change(desk, f"Remove {listed(gone)}")
            self._refuse(
                f"{listed(gone)} left the library, and so the desk.", "Restore it on the library page."
            )
        if self.stock.sets and self.desk.data and self.data is None:
            self.choose_data(self.desk.data)
        elif self.stock.sets and not self.desk.data:
            # The widest set serves any choice of experts best; choosing it is no step of a person's.
            widest = max(self.stock.sets, key=lambda data: data.rows)
            self._history.desk = replace(self.desk, data=widest.path)
        self.desk_changed.emit()

    # verbs of the desk

    def drop(self, adapter: str, slot: int | None = None) -> bool:
        """Put an adapter on the desk at ``slot`` (None: at the end), or move it. False when refused."""
        if self.desk.strip(adapter) is not None:
            if slot is not None:
                self.move(adapter, slot)
            else:
                self.noticed.emit(
                    Notice("info", f"{adapter} is on the desk already, {self._place_of(adapter)}.")
                )
            return True
        card = self.stock.adapters.get(adapter)
        if card is None:
            return self._refuse(
                f"The library has no adapter called {adapter}.", "Import it on the library page."
            )
        reason, advice = self.why_not(card)
        if reason:
            return self._refuse(reason, advice)
        slot = len(self.desk.strips) if slot is None else slot
        self._change(self.desk.dropped(adapter, slot, card.base), f"Add {adapter}")
        self._warm_up(card.base)
        self.announced.emit(f"{adapter} on the desk, {self._place_of(adapter)}")
        return True

    def _place_of(self, adapter: str) -> str:
        return f"channel {self.desk.experts.index(adapter) + 1} of {len(self.desk.strips)}"

    @property
    def starters(self) -> list[str]:
        """The adapters of the starter pack that fit on an empty desk."""
        cards = [card for card in self.stock.adapters.values() if card.source == "starter"]
        return [card.name for card in cards if self.why_not(card) == ("", "")]

    def lay_out_starters(self) -> None:
        """Put the starter pack's adapters on the desk, in one step."""
        desk = self.desk
        for name in self.starters:
            desk = desk.dropped(name, len(desk.strips), self.stock.adapters[name].base)
        if self._change(desk, "Lay out the starter mix"):
            self._warm_up(desk.base)
            self.announced.emit(f"{listed(desk.experts)} on the desk")

    def remove(self, adapter: str) -> None:
        if self.desk.strip(adapter) is not None:
            self._change(self.desk.removed(adapter), f"Remove {adapter}")
            self.announced.emit(f"{adapter} removed from the desk")

    def move(self, adapter: str, slot: int) -> None:
        """Put a strip before the one now in ``slot``; the number of strips means the end."""
        if self.desk.strip(adapter) is None:
            return
        here = self.desk.experts.index(adapter)
        there = max(0, min(slot - (slot > here), len(self.desk.strips) - 1))
        if self._change(self.desk.moved(adapter, there), f"Move {adapter}"):
            self.announced.emit(f"{adapter} moved to channel {there + 1} of {len(self.desk.strips)}")

    def nudge(self, adapter: str, steps: int) -> None:
        """Move a strip by ``steps`` places, negative to the left."""
        if self.desk.strip(adapter) is not None:
            here = self.desk.experts.index(adapter)
            self.move(adapter, here + steps + (steps > 0))

    def set_fader(self, adapter: str, level: float) -> None:
        """``level`` 0..2; movements until ``release_fader`` are one step to undo."""
        level = min(LOUDEST, max(0.0, level))
        self._change(self.desk.edited(adapter, fader=level), f"Fader of {adapter}", merge=f"fader {adapter}")

    def release_fader(self) -> None:
        self._history.seal()

    def mute(self, adapter: str, on: bool) -> None:
        self._change(self.desk.edited(adapter, muted=on), f"{'Mute' if on else 'Unmute'} {adapter}")

    def solo(self, adapter: str, on: bool) -> None:
        self._change(self.desk.edited(adapter, soloed=on), f"{'Solo' if on else 'End solo of'} {adapter}")

    def set_router(self, **changes: Any) -> None:
        """Other RouterSettings: how mixes are played and trained."""
        router = replace(self.desk.router, **changes)
        self._change(replace(self.desk, router=router), "Router settings", merge=f"router {sorted(changes)}")

    def open_mix(self, name: str) -> None:
        """Lay a trained mix on the desk: its experts, and its router."""
        card = self.stock.mixes.get(name)
        if card is None:
            self._refuse(f"There is no mix called {name}.", "Train the router to make one.")
            return
        desk = replace(self.desk, strips=(), base="")
        for expert in card.experts:
            if expert != NULL:
                desk = desk.dropped(expert, len(desk.strips), card.base)
        router = replace(desk.router, router_input=card.router_input)
        self._change(replace(desk, mix=name, router=router), f"Open {name}")
        self._measure(dict(card.usage), f"the data that {name} was trained on")
        self._warm_up(card.base)

    def close_mix(self) -> None:
        """Play static faders; the mix stays in the library."""
        self._change(replace(self.desk, mix=""), "Static faders")

    @property
    def undo_label(self) -> str:
        return self._history.undo_label

    @property
    def redo_label(self) -> str:
        return self._history.redo_label

    def undo(self) -> None:
        label = self._history.undo_label
        if self._history.undo():
            self._desk_replaced()
            self.announced.emit(f"Undone: {label}")

    def redo(self) -> None:
        label = self._history.redo_label
        if self._history.redo():
            self._desk_replaced()
            self.announced.emit(f"Done again: {label}")

    def _change(self, desk: Desk, label: str, merge: str = "") -> bool:
        if not self._history.record(desk, label, merge):
            return False
        self._desk_replaced()
        return True

    def _desk_replaced(self) -> None:
        if self._store is not None:
            self._store.setValue(SAVED_DESK, self.desk.to_json())
        self.desk_changed.emit()
        self.questions.settle()

    # data and training

    def choose_data(self, path: str) -> None:
        """Train on the file at ``path``; it is read to its end first, its first bad line refuses it."""

        def read(data: DataSet) -> None:
            self._change(replace(self.desk, data=path), f"Data {data.name}")
            self.announced.emit(f"{data.name}: {count(data.rows, 'example')}")

        self.stock.read(path, read)

    def train(self, name: str = "") -> bool:
        """Train a router over the desk's experts as ``name``, or the first free one. False if refused."""
        if self.why_not_train:
            return self._refuse("The router cannot be trained yet.", self.why_not_train)
        if name in self.stock.mixes:
            return self._refuse(f"There is a mix called {name} already.", "Choose another name.")
        router = self.desk.router
        self.training.submit(
            TrainRouter(
                base=self.desk.base,
                experts=self.desk.experts,
                data=self.desk.data,
                out=name or self.free_name,
                router_input=router.router_input,
                null_expert=router.null_expert,
                epochs=router.epochs,
                learning_rate=router.learning_rate,
                balance_weight=router.balance_weight,
                entropy_weight=router.entropy_weight,
                seed=router.seed,
            )
        )
        return True

    @property
    def free_name(self) -> str:
        """What the next mix is called unless a person says otherwise: mix-1, mix-2, ..."""
        number = 1
        while f"mix-{number}" in {*self.stock.mixes, *self.training.names}:
            number += 1
        return f"mix-{number}"

    def _found_training(self, job: Job) -> None:
        """A training that outlived the window: put its experts back where they were."""
        if isinstance(job.spec, TrainRouter) and not self.desk.strips:
            desk = replace(self.desk, data=job.spec.data)
            for expert in job.spec.experts:
                desk = desk.dropped(expert, len(desk.strips), job.spec.base)
            self._change(desk, f"Find {job.name}")

    def _trained(self, job: Job) -> None:
        if job.state == "failed" and job.error is not None:
            self._failed(job.error)
        elif job.state == "done" and isinstance(job.spec, TrainRouter):
            name = job.spec.out
            self.stock.list_mixes(then=lambda: self._take_up(name))

    def _take_up(self, name: str) -> None:
        card = self.stock.mixes.get(name)
        if card is None:
            return
        if set(self.desk.experts) == {expert for expert in card.experts if expert != NULL}:
            self._change(replace(self.desk, mix=name), f"Train {name}")
            self._measure(dict(card.usage), f"the data that {name} was trained on")
        self.announced.emit(f"{name} is trained")

    def _saved_desk(self) -> Desk:
        text = str(self._store.value(SAVED_DESK, "")) if self._store is not None else ""
        if not text:
            return Desk()
        try:
            return Desk.from_json(text)
        except msgspec.DecodeError:
            # Written by another version; an empty desk is the honest start.
            return Desk()

    def _saved_job(self) -> str:
        return str(self._store.value(SAVED_JOB, "")) if self._store is not None else ""

    def _training_changed(self) -> None:
        if self.playing.router != self._heard:
            self._heard = self.playing.router
            self.desk_changed.emit()
            self.questions.settle()
        self._remember_training()

    def _remember_training(self) -> None:
        if self._store is not None:
            job = self.training.job
            open_id = job.id if job is not None and self.training.is_open else ""
            if open_id != self._saved_job():
                self._store.setValue(SAVED_JOB, open_id)

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

    def _measure(self, usage: dict[str, float], of: str) -> None:
        self.usage, self.usage_of = usage, of
        self.usage_changed.emit()

    def _warm_up(self, base: str) -> None:
        if base != self._warm:
            self._warm = base
            self.client.ask(WarmUp(base=base), None, self._failed)

    # the engine speaks

    def _on_event(self, body: object) -> None:
        match body:
            case JobChanged(job=job):
                self.training.job_changed(job)
            case JobRemoved(id=job_id):
                self.training.job_removed(job_id)

    def _on_gauge(self, body: object) -> None:
        if isinstance(body, JobProgress):
            self.training.progressed(body)

    def _failed(self, error: Error) -> None:
        if error.code != "cancelled":
            self.noticed.emit(from_error(error))

    def _refuse(self, message: str, hint: str) -> bool:
        self.noticed.emit(Notice("warn", message, hint))
        self.announced.emit(f"{message} {hint}")
        return False
