"""The mixer's state and verbs: the desk, its data, the router's training, and the answers side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
from PySide6.QtCore import QObject, QSettings, QTimer, Signal

from app.client import Client
from app.presenters.answers import BASE, MIX, Answers, expert_pane
from app.presenters.desk import LOUDEST, Desk, History
from app.presenters.notice import Notice, from_error
from app.presenters.router_training import RouterTraining
from engine.messages import (
    AdapterCard,
    Adapters,
    Body,
    CheckData,
    DataSet,
    DataSets,
    Error,
    Generate,
    Job,
    JobChanged,
    JobProgress,
    JobRemoved,
    LibraryChanged,
    ListAdapters,
    ListData,
    ListMixes,
    MixCard,
    Mixes,
    Part,
    Routing,
    TrainRouter,
    WarmUp,
)

__all__ = ["LOAD", "NULL", "Mixer"]

NULL = "null"
LOAD = "load."
HELD_OUT = ".heldout"
SETTLE_MS = 50
PASSES = 3
MAX_NEW_TOKENS = 64
MOST_COMPARED = 3
SAVED_DESK = "mixer/desk"
SAVED_JOB = "mixer/training"


class Mixer(QObject):
    """What the mixer page shows and what a person can do there.

    ``desk_changed``: strips, faders, router settings, data or mix. ``library_changed``: adapters, mixes or
    starter sets. ``panes_changed``: which answers stand side by side. ``usage_changed``: the experts' shares.
    ``noticed(Notice)``: something was refused or failed. ``announced(sentence)``: for those who listen.
    """

    desk_changed = Signal()
    library_changed = Signal()
    panes_changed = Signal()
    usage_changed = Signal()
    noticed = Signal(object)
    announced = Signal(str)

    def __init__(self, client: Client, store: QSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._store = store
        self._history = History(self._saved_desk())
        self.adapters: dict[str, AdapterCard] = {}
        self.mixes: dict[str, MixCard] = {}
        self.sets: list[DataSet] = []
        self.prompt = ""
        self.passes = PASSES
        self.compared: tuple[str, ...] = ()
        self.usage: dict[str, float] = {}
        self.answers = Answers(client, self)
        self.training = RouterTraining(client, self)
        self._data: dict[str, DataSet] = {}
        self._asked: dict[str, Generate] = {}
        self._warm = ""
        self._settle = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._settle.timeout.connect(self._ask_anew)
        self._listen()
        if client.engine.phase == "ready":
            self.refresh()

    def _listen(self) -> None:
        self._client.welcomed.connect(self.refresh)
        self._client.happened.connect(self._on_event)
        self._client.gauge.connect(self._on_gauge)
        self.training.failed.connect(self._failed)
        self.training.found.connect(self._found_training)
        self.training.finished.connect(self._trained)
        self.training.changed.connect(self._remember_training)
        self.training.curve_grew.connect(self._measure_load)
        self.answers.changed.connect(self._answered)

    # what there is

    @property
    def desk(self) -> Desk:
        return self._history.desk

    @property
    def data(self) -> DataSet | None:
        """The chosen training data, None until it has been read and found whole."""
        return self._data.get(self.desk.data)

    @property
    def examples(self) -> list[tuple[str, str]]:
        """(prompt, completion) to try out: one unseen row per expert on the desk, then the chosen data's."""
        unseen = {
            data.name.removesuffix(HELD_OUT): data.sample for data in self.sets if HELD_OUT in data.name
        }
        own = [row for name in self.desk.experts for row in unseen.get(name, [])[:1]]
        return [*own, *(self.data.sample if self.data else [])]

    @property
    def mix(self) -> MixCard | None:
        return self.mixes.get(self.desk.mix)

    @property
    def plays_mix(self) -> bool:
        """Whether the router is heard: a mix is open and knows every expert on the desk."""
        return (
            self.mix is not None
            and bool(self.desk.strips)
            and set(self.desk.experts) <= set(self.mix.experts)
        )

    @property
    def has_null(self) -> bool:
        return self.plays_mix and self.mix is not None and NULL in {*self.mix.experts, *self.mix.usage}

    @property
    def routing(self) -> Routing | None:
        return self.answers.answer(MIX).routing

    @property
    def voices(self) -> list[str]:
        """The experts of the mix being played in the order of its gates; without a mix, those on the desk."""
        if self.routing is not None:
            return self.routing.experts
        if not self.plays_mix or self.mix is None:
            return self.desk.experts
        experts = [name for name in self.mix.experts if name != NULL]
        return [*experts, NULL] if self.has_null else experts

    @property
    def silent(self) -> set[str]:
        """Voices that are not heard now: muted, not soloed, or not on the desk at all."""
        weights = self.desk.weights()
        return {name for name in self.voices if name != NULL and weights.get(name, 0.0) == 0.0}

    def hue(self, expert: str) -> int:
        """The palette place of a voice; -1 for the null expert and for those not on the desk."""
        strip = self.desk.strip(expert)
        return -1 if strip is None else strip.hue

    @property
    def sound(self) -> str:
        """One sentence on what the faders do now."""
        desk, mix = self.desk, self.mix
        if not desk.strips:
            return ""
        if mix is None:
            return "Static faders: all experts speak at once. Train the router to let them take turns."
        strangers = [name for name in desk.experts if name not in mix.experts]
        absent = [name for name in mix.experts if name not in (*desk.experts, NULL)]
        if strangers:
            return (
                f"{mix.name} was trained without {_and(strangers)}, so static faders play. "
                "Train the router again to bring everyone in."
            )
        if absent:
            return f"{mix.name} plays with {_and(absent)} silent: they are not on the desk."
        return f"{mix.name} plays: its router decides at every token who speaks, the faders say how loudly."

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
        self._list_adapters()
        self._list_mixes()
        self._client.ask(ListData(), self._sets_listed, self._failed)
        self.training.find(self._saved_job())
        if self.desk.base:
            self._warm_up(self.desk.base)
        for pane in [pane for pane in self._asked if self._was_cut_off(pane)]:
            del self._asked[pane]
        self._ask_anew()

    def _list_adapters(self) -> None:
        self._client.ask(ListAdapters(), self._adapters_listed, self._failed)

    def _list_mixes(self, then: Callable[[], None] | None = None) -> None:
        def listed(body: Body) -> None:
            if isinstance(body, Mixes):
                self.mixes = {card.name: card for card in body.mixes if not card.missing}
                self.library_changed.emit()
                self.desk_changed.emit()
                if then is not None:
                    then()

        self._client.ask(ListMixes(), listed, self._failed)

    def _adapters_listed(self, body: Body) -> None:
        if not isinstance(body, Adapters):
            return
        self.adapters = {card.name: card for card in body.adapters}
        self.library_changed.emit()
        gone = [name for name in self.desk.experts if name not in self.adapters]
        desk = self.desk
        for name in gone:
            desk = desk.removed(name)
        if gone:
            self._change(desk, f"Remove {_and(gone)}")
            self._refuse(
                f"{_and(gone)} left the library, and so the desk.", "Restore it on the library page."
            )

    def _sets_listed(self, body: Body) -> None:
        if not isinstance(body, DataSets):
            return
        self.sets = body.sets
        self._data |= {data.path: data for data in body.sets}
        self.library_changed.emit()
        if self.desk.data and self.data is None:
            self.choose_data(self.desk.data)
        elif not self.desk.data and self.sets:
            # The widest set serves any choice of experts best; choosing it is no step of a person's.
            widest = max(self.sets, key=lambda data: data.rows)
            self._history.desk = replace(self.desk, data=widest.path)
        self.desk_changed.emit()

    # verbs of the desk

    def drop(self, adapter: str, slot: int | None = None) -> bool:
        """Put an adapter on the desk at ``slot`` (None: at the end), or move it there. False when refused."""
        slot = len(self.desk.strips) if slot is None else slot
        if self.desk.strip(adapter) is not None:
            self.move(adapter, slot)
            return True
        card = self.adapters.get(adapter)
        if card is None:
            return self._refuse(
                f"The library has no adapter called {adapter}.", "Import it on the library page."
            )
        if card.missing:
            return self._refuse(
                f"The files of {adapter} are gone.", "Bring them back, or remove it in the library."
            )
        if self.desk.base and card.base != self.desk.base:
            return self._refuse(
                f"{adapter} was made for {card.base}, the desk plays {self.desk.base}.",
                "Clear the desk first, or choose an adapter for the same base.",
            )
        if not self.compared:
            self.compared = (adapter,)
        self._change(self.desk.dropped(adapter, slot, card.base), f"Add {adapter}")
        self._warm_up(card.base)
        place = self.desk.experts.index(adapter) + 1
        self.announced.emit(f"{adapter} on the desk, channel {place} of {len(self.desk.strips)}")
        return True

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
        """Other ``mode``, ``top_k``, ``strength``, ``router_input`` or ``null_expert``."""
        router = replace(self.desk.router, **changes)
        self._change(replace(self.desk, router=router), "Router settings", merge=f"router {sorted(changes)}")

    def open_mix(self, name: str) -> None:
        """Lay a trained mix on the desk: its experts, and its router."""
        card = self.mixes.get(name)
        if card is None:
            self._refuse(f"There is no mix called {name}.", "Train the router to make one.")
            return
        desk = replace(self.desk, strips=(), base="")
        for expert in card.experts:
            if expert != NULL:
                desk = desk.dropped(expert, len(desk.strips), card.base)
        router = replace(desk.router, router_input=card.router_input)
        self.usage = dict(card.usage)
        self._change(replace(desk, mix=name, router=router), f"Open {name}")
        self.usage_changed.emit()
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
        self.compared = tuple(name for name in self.compared if self.desk.strip(name) is not None)
        if self._store is not None:
            self._store.setValue(SAVED_DESK, self.desk.to_json())
        self.desk_changed.emit()
        self.panes_changed.emit()
        self._settle.start()

    # data and training

    def choose_data(self, path: str) -> None:
        """Train on the file at ``path``; it is read to its end first, its first bad line refuses it."""

        def read(body: Body) -> None:
            if isinstance(body, DataSet):
                self._data[path] = body
                self._change(replace(self.desk, data=path), f"Data {body.name}")
                self.desk_changed.emit()
                self.announced.emit(f"{body.name}: {body.rows} examples")

        if path in self._data:
            self._change(replace(self.desk, data=path), f"Data {self._data[path].name}")
        else:
            self._client.ask(CheckData(path=path), read, self._failed)

    def set_passes(self, passes: int) -> None:
        """How often the training goes over the data."""
        self.passes = passes

    def train(self) -> None:
        """Train a router over the experts on the desk, under the first free name mix-1, mix-2, ..."""
        if self.why_not_train:
            self._refuse("The router cannot be trained yet.", self.why_not_train)
            return
        router = self.desk.router
        self.training.submit(
            TrainRouter(
                base=self.desk.base,
                experts=self.desk.experts,
                data=self.desk.data,
                out=self._free_name(),
                router_input=router.router_input,
                null_expert=router.null_expert,
                epochs=self.passes,
            )
        )

    def pause(self) -> None:
        self.training.pause()

    def resume(self) -> None:
        self.training.resume()

    def cancel(self) -> None:
        self.training.cancel()

    def stop_and_keep(self) -> None:
        self.training.stop_and_keep()

    def _free_name(self) -> str:
        number = 1
        while f"mix-{number}" in {*self.mixes, *self.training.names}:
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
            self._list_mixes(then=lambda: self._take_up(name))

    def _measure_load(self, _: int, metrics: dict[str, float]) -> None:
        load = {name.removeprefix(LOAD): share for name, share in metrics.items() if name.startswith(LOAD)}
        if load:
            self.usage = load
            self.usage_changed.emit()

    def _take_up(self, name: str) -> None:
        card = self.mixes.get(name)
        if card is None:
            return
        if set(self.desk.experts) == {expert for expert in card.experts if expert != NULL}:
            self.usage = dict(card.usage)
            self._change(replace(self.desk, mix=name), f"Train {name}")
            self.usage_changed.emit()
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

    def _remember_training(self) -> None:
        if self._store is not None:
            job = self.training.job
            open_id = job.id if job is not None and self.training.is_open else ""
            if open_id != self._saved_job():
                self._store.setValue(SAVED_JOB, open_id)

    # answers

    @property
    def panes(self) -> list[str]:
        """The keys of the answers that stand side by side, from left to right."""
        return [BASE, *(expert_pane(name) for name in self.compared), MIX]

    def compare(self, adapter: str, on: bool) -> None:
        """Show the answer of one expert alone beside the others."""
        others = tuple(name for name in self.compared if name != adapter)
        compared = (*others, adapter)[-MOST_COMPARED:] if on else others
        if compared != self.compared:
            self.compared = compared
            self.panes_changed.emit()
            self._ask_anew()

    def ask(self, prompt: str) -> None:
        """Put ``prompt`` to base, experts and mix; a second time the same prompt is asked again."""
        self.prompt = prompt
        self._asked.clear()
        self._ask_anew()

    def _request(self, pane: str) -> Generate:
        desk = self.desk
        request = Generate(base=desk.base, prompt=self.prompt, max_new_tokens=MAX_NEW_TOKENS)
        if pane == BASE:
            return request
        if pane != MIX:
            name = next(name for name in self.compared if expert_pane(name) == pane)
            return msgspec.structs.replace(request, parts=[Part(name=name)])
        if not self.plays_mix or self.mix is None:
            return msgspec.structs.replace(request, parts=desk.parts())
        absent = [name for name in self.mix.experts if name not in (*desk.experts, NULL)]
        parts = desk.parts() + [Part(name=name, weight=0.0) for name in absent]
        return msgspec.structs.replace(request, parts=parts, mixing=desk.mixing(), record=True)

    def _ask_anew(self) -> None:
        """Ask every pane whose question has changed since it was last asked, and only those."""
        if not self.prompt or not self.desk.strips:
            return
        for pane in self.panes:
            request = self._request(pane)
            if self._asked.get(pane) != request:
                self._asked[pane] = request
                self.answers.ask(pane, request)
        for pane in [pane for pane in self._asked if pane not in self.panes]:
            del self._asked[pane]
            self.answers.clear(pane)

    def _answered(self, pane: str) -> None:
        if pane == MIX and self.routing is not None and self.answers.answer(MIX).state == "done":
            self.usage = shares(self.routing)
            self.usage_changed.emit()

    def _was_cut_off(self, pane: str) -> bool:
        error = self.answers.answer(pane).error
        return error is not None and error.code == "crashed"

    def _warm_up(self, base: str) -> None:
        if base != self._warm:
            self._warm = base
            self._client.ask(WarmUp(base=base), None, self._failed)

    # the engine speaks

    def _on_event(self, body: object) -> None:
        match body:
            case JobChanged(job=job):
                self.training.job_changed(job)
            case JobRemoved(id=job_id):
                self.training.job_removed(job_id)
            case LibraryChanged(what="adapters"):
                self._list_adapters()
            case LibraryChanged(what="mixes"):
                self._list_mixes()

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


def shares(routing: Routing) -> dict[str, float]:
    """The mean gate of every expert over all tokens and modules: the share of the words it had."""
    cells = [row for token in routing.gates for row in token]
    if not cells:
        return {}
    return {name: sum(row[index] for row in cells) / len(cells) for index, name in enumerate(routing.experts)}


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
