"""The mixer: a desk that is heard, and what is made of it: trainings, gates, exports."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, QSettings

from app.client import Client
from app.presenters.export import Export
from app.presenters.gates import GATED, Gates
from app.presenters.lesson import Lesson
from app.presenters.notice import Notice
from app.presenters.player import Player, as_trained
from app.presenters.playing import experts_of, listed, ranks_of
from app.words import count
from engine.messages import (
    DataSet,
    Job,
    JobChanged,
    JobProgress,
    TrainRouter,
)

__all__ = ["Mixer"]

SAVED_JOB = "mixer/training"
MORE_BALANCE = 0.05


class Mixer(Player):
    """The desk and everything that a person can do with it; other views of the mixer share its ``client``."""

    def __init__(self, client: Client, store: QSettings | None = None, parent: QObject | None = None) -> None:
        super().__init__(client, store, parent)
        self.export = Export(client, self.stock, lambda: self.ranks_of_mix, self)
        self.gates = Gates(client, self)
        self._listen()
        if client.engine.phase == "ready":
            self.refresh()

    def _listen(self) -> None:
        self.client.welcomed.connect(self.refresh)
        self.client.happened.connect(self._on_event)
        self.client.gauge.connect(self._on_gauge)
        self.stock.changed.connect(self._stock_changed)
        self.training.failed.connect(self.complain)
        self.training.found.connect(self._found_training)
        self.training.finished.connect(self._trained)
        self.training.changed.connect(self._training_changed)
        self.export.noticed.connect(self.noticed)
        self.gates.failed.connect(self.complain)
        self.gates.begun.connect(lambda job: self.announced.emit(f"{job.name} waits for its turn"))
        self.gates.ready.connect(self._gate_ready)

    # what there is

    @property
    def lesson(self) -> Lesson:
        """What would be trained now."""
        return Lesson(self.desk, self.stock)

    @property
    def data(self) -> DataSet | None:
        """The chosen training data, None until it has been read and found whole."""
        return self.lesson.data

    @property
    def examples(self) -> list[str]:
        """Prompts to try: one per expert on the desk that it has never met, else the chosen data's first."""
        unseen = [self.stock.unseen(name) for name in self.desk.experts]
        return [row[0] for row in unseen if row] or [
            row[0] for row in (self.data.sample if self.data else [])
        ]

    @property
    def collapse(self) -> str:
        """A sentence when the routing has collapsed: of the training that is seen, else of the mix."""
        warning = self.training.collapse
        if self.training.is_open:
            return warning
        return self.mix.warning if self.mix is not None else warning

    @property
    def why_not_train(self) -> str:
        """What is missing before training can begin; empty when nothing is."""
        return self.lesson.why_not or ("A mix is being trained." if self.training.is_open else "")

    # the library

    def refresh(self) -> None:
        """Ask for everything anew, as after every connection."""
        self._warm = ""
        self.stock.refresh()
        self.training.find(self._saved_job())
        if self.desk.base:
            self._warm_up(self.desk.base)
        self.questions.ask_again_what_was_cut_off()

    def _stock_changed(self) -> None:
        self._follow_names()
        known = {*self.stock.adapters, *(experts_of(self.mix) if self.mix else ())}
        gone = [name for name in self.desk.trained if name not in known]
        if gone and self.stock.adapters and self.stock.knows_mixes:
            desk = self.desk
            for name in gone:
                desk = desk.removed(name)
            self.change(desk, f"Remove {listed(gone)}")
            self.refuse(
                f"{listed(gone)} left the library, and so the desk.", "Restore it on the library page."
            )
        if self.stock.sets and self.desk.data and self.data is None:
            self.choose_data(self.desk.data)
        elif self.stock.sets and not self.desk.data:
            # The widest set serves any choice of experts best; choosing it is no step of a person's.
            widest = max(self.stock.sets, key=lambda data: data.rows)
            self._history.now = replace(self.desk, data=widest.path)
        self._keep_ranks()
        for strip in self.desk.strips:
            if self.stock.sets and strip.data and self.stock.data(strip.data) is None:
                self.choose_data_for(strip.adapter, strip.data)
        self.desk_changed.emit()
        self._listen_anew()
        self.questions.settle()

    # data and training

    def choose_data(self, path: str) -> None:
        """Train on the file at ``path``; it is read to its end first, its first bad line refuses it."""

        def read(data: DataSet) -> None:
            self.change(replace(self.desk, data=path), f"Data {data.name}")
            self.announced.emit(f"{data.name}: {count(data.rows, 'example')}")

        self.stock.read(path, read)

    def choose_data_for(self, adapter: str, path: str) -> None:
        """Let one expert learn from the file at ``path`` in joint training, once it has been read."""

        def read(data: DataSet) -> None:
            self.change(self.desk.edited(adapter, data=path), f"Data of {adapter}")
            self.announced.emit(f"{adapter} learns from {data.name}: {count(data.rows, 'example')}")

        self.stock.read(path, read)

    def train(self, name: str = "") -> bool:
        """Begin the desk's lesson; it makes the mix ``name``, or the first free one. False if refused."""
        if self.why_not_train:
            return self.refuse("Training cannot begin yet.", self.why_not_train)
        if name in self.stock.mixes:
            return self.refuse(f"There is a mix called {name} already.", "Choose another name.")
        self.training.submit(self.lesson.job(name or self.free_name))
        return True

    def bring_in(self) -> bool:
        """Teach the mix on the desk about the experts that it does not know. False if refused."""
        router = self.playing.router
        if router is None or not self.playing.strangers:
            return False
        if self.data is None or self.training.is_open:
            return self.refuse(
                f"{router.name} cannot learn about {listed(self.playing.strangers)} yet.",
                "Wait until the training has ended." if self.training.is_open else "Choose training data.",
            )
        self.training.submit(self.lesson.extension(router, self.playing.strangers, self.free_name))
        return True

    @property
    def evener_balance(self) -> float:
        """The balance weight that is worth trying against collapse."""
        return max(MORE_BALANCE, 5 * self.desk.router.balance_weight)

    def train_gate(self, adapter: str) -> bool:
        """Train the gate that ``adapter`` brings with it, on its own data. False if refused."""
        strip = self.desk.strip(adapter)
        data = self.lesson.data_of(strip) if strip is not None else None
        if strip is None or strip.blank or data is None or adapter not in self.stock.adapters:
            return self.refuse(
                f"{adapter} cannot be given a gate yet.", "Choose its data first, under Together."
            )
        if strip.rank is not None:
            self.noticed.emit(Notice("info", f"The gate learns with every rank of {adapter}."))
        self.gates.train(self.desk.base, adapter, data, adapter + GATED)
        return True

    def _gate_ready(self, adapter: str, gated: str) -> None:
        act = ("Put it on the desk", lambda: self.swap(adapter, gated))
        self.noticed.emit(Notice("good", f"{gated} is {adapter} with a gate of its own.", action=act))

    def train_evener(self) -> None:
        """What helps against collapse: the lesson again with a larger balance weight, in place of this."""
        self.set_router(balance_weight=self.evener_balance)
        if self.training.is_open:
            self.training.cancel(then=self.train)
        else:
            self.train()

    def _found_training(self, job: Job) -> None:
        """A training that outlived the window: put its experts back where they were."""
        spec = self.training.spec
        if spec is None or self.desk.strips:
            return
        desk = self.desk
        if isinstance(spec, TrainRouter):
            desk = replace(desk, data=spec.data or desk.data)
            for expert in spec.experts:
                desk = desk.dropped(expert, len(desk.strips), spec.base)
        else:
            desk = replace(desk, lesson="joint")
            for part in spec.domains:
                desk = desk.dropped(part.expert, len(desk.strips), spec.base, blank=not part.adapter)
                desk = desk.edited(part.expert, data=part.data)
        for name, rank in ranks_of(spec).items():
            desk = desk.edited(name, rank=rank, order="energy")
        # Where the library is not known yet, the order that an expert has is set right once it is.
        self.change(self._at_ranks(desk, dict(ranks_of(spec))), f"Find {job.name}")

    def _trained(self, job: Job) -> None:
        if job.state == "failed" and job.error is not None:
            self.complain(job.error)
        elif job.state == "done":
            self.stock.list_mixes(then=lambda: self._take_up(job.name))

    def _take_up(self, name: str) -> None:
        card = self.stock.mixes.get(name)
        if card is None:
            return
        if set(self.desk.experts) == set(experts_of(card)):
            strips = tuple(replace(strip, blank=False) for strip in self.desk.strips)
            router = as_trained(self.desk.router, card)
            desk = replace(self.desk, strips=strips, router=router)
            self.change(self._with_mix(desk, name), f"Take up {name}")
            self._show_usage_of(card)
        self.announced.emit(f"{name} is ready")

    def _saved_job(self) -> str:
        return str(self._store.value(SAVED_JOB, "")) if self._store is not None else ""

    def _training_changed(self) -> None:
        self._listen_anew()
        self._remember_training()

    def _remember_training(self) -> None:
        if self._store is not None:
            job = self.training.job
            open_id = job.id if job is not None and self.training.is_open else ""
            if open_id != self._saved_job():
                self._store.setValue(SAVED_JOB, open_id)

    # the engine speaks

    def _on_event(self, body: object) -> None:
        match body:
            case JobChanged(job=job):
                self.export.job_changed(job)
                self.gates.job_changed(job)

    def _on_gauge(self, body: object) -> None:
        if isinstance(body, JobProgress):
            self.export.progressed(body)
