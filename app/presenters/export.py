"""Taking a mix elsewhere, as a folder with its router or as plain LoRA: what that loses, before and after."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec
from PySide6.QtCore import QObject, Signal

from app.client import Client
from app.presenters.notice import Notice
from app.presenters.playing import experts_of, listed
from app.presenters.stock import Stock
from app.words import percent
from engine.messages import (
    Body,
    CancelJob,
    CopyMix,
    DataSet,
    Done,
    Error,
    ExportMix,
    Job,
    JobProgress,
    MixCard,
    SubmitJob,
)

__all__ = ["Export", "Plan"]

OWN_SET = ".train"
OVER = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Plan:
    """What is to be written. ``rank`` 0 keeps every direction, ``distil`` 0 trains nothing."""

    kind: Literal["folder", "lora"] = "folder"
    gates: Literal["mean", "domain"] = "mean"
    data: tuple[DataSet, ...] = ()
    rank: int = 0
    distil: int = 0
    folder: str = ""


class Export(QObject):
    """The plan for one mix, and the job that carries it out.

    ``changed``: plan, progress or outcome. ``noticed(Notice)``: it is done, or why not; its button asks to
    ``reveal(path)`` the folder.
    """

    changed = Signal()
    noticed = Signal(object)
    reveal = Signal(str)

    def __init__(
        self,
        client: Client,
        stock: Stock,
        ranks: Callable[[], dict[str, int]],
        parent: QObject | None = None,
    ) -> None:
        """``ranks`` says which of the desk's experts are slid to which rank."""
        super().__init__(parent)
        self._client = client
        self._stock = stock
        self._slid = ranks
        self.plan = Plan()
        self.mix: MixCard | None = None
        self.job: Job | None = None
        self.path = ""
        self.error: Error | None = None
        self._is_sent = False

    def begin(self, mix: MixCard, home: str = "") -> None:
        """Plan the export of ``mix`` anew; one that is under way goes on and stays in sight."""
        if self.busy:
            return
        self.mix, self.job, self.path, self.error = mix, None, "", None
        widest = max(self._stock.sets, key=lambda data: data.rows, default=None)
        self.plan = Plan(data=(widest,) if widest else (), folder=str(Path(home or Path.home()) / mix.name))
        self.changed.emit()

    @property
    def busy(self) -> bool:
        return self._is_sent or (self.job is not None and self.job.state not in OVER)

    def set(self, **changes: Any) -> None:
        """Another Plan."""
        plan = replace(self.plan, **changes)
        if "gates" in changes and plan.gates != self.plan.gates:
            plan = replace(plan, data=self._usual(plan.gates))
        if plan != self.plan:
            self.plan = plan
            self.changed.emit()

    def take(self, data: DataSet, on: bool) -> None:
        """Measure on this data set too, or no longer."""
        others = tuple(other for other in self.plan.data if other.name != data.name)
        self.set(data=(*others, data) if on else others)

    def read(self, path: str) -> None:
        """Take a file, once it has been read to its end."""
        self._stock.read(path, lambda data: self.take(data, True))

    def _usual(self, gates: str) -> tuple[DataSet, ...]:
        """What fits: the experts' own sets for a LoRA each, else the widest there is."""
        if gates == "domain" and self.mix is not None:
            own = {name + OWN_SET for name in experts_of(self.mix)}
            return tuple(data for data in self._stock.sets if data.name in own)
        widest = max(self._stock.sets, key=lambda data: data.rows, default=None)
        return (widest,) if widest else ()

    @property
    def ranks(self) -> dict[str, int]:
        """The ranks at which experts of this mix leave, where they are not whole."""
        names = experts_of(self.mix) if self.mix is not None else []
        return {name: rank for name, rank in self._slid().items() if name in names}

    @property
    def full_rank(self) -> int:
        """The rank of a LoRA that holds every expert whole; 0 while the experts' ranks are not known."""
        names = experts_of(self.mix) if self.mix is not None else []
        cards = {name: card.rank for name, card in self._stock.adapters.items()}
        own = self.mix.ranks if self.mix is not None else {}
        ranks = cards | {name: highest for name, (_, highest) in own.items()} | self.ranks
        return sum(ranks[name] for name in names) if {*names} <= {*ranks} else 0

    @property
    def loss(self) -> str:
        """What will be lost, in words."""
        plan = self.plan
        if plan.kind == "folder":
            cut = [f"rank {rank} of {name}" for name, rank in self.ranks.items()]
            lost = f"What lies above {listed(cut)}" if cut else "Nothing"
            return (
                f"{lost} is lost. Router and experts go into one folder that any studio plays as it is. "
                "Other programs can load its experts one by one, without the router."
            )
        if plan.gates == "domain":
            kept = (
                "The router is lost. Each data set gets a LoRA of its own, in which every expert speaks at "
                "its average weight over that data. Whoever loads them chooses which."
            )
        else:
            kept = (
                "The router is lost. Every expert speaks at its average weight over the data, at every "
                "token the same: for text that needs one expert at a time this is a poor stand-in."
            )
        if plan.rank:
            kept += f" Of {self.full_rank or 'all'} directions the strongest {plan.rank} stay."
        if plan.distil:
            kept += f" Then {plan.distil:,} steps of training bring it closer to what the mix says."
        return kept + " How far it is from the mix is measured on the data and written beside it."

    @property
    def why_not(self) -> str:
        """What is missing before it can begin; empty when nothing is."""
        if self.mix is None:
            return "Choose a mix first."
        if not Path(self.plan.folder).is_absolute():
            return "Name the new folder in full, from the root on."
        if self.plan.kind == "lora" and not self.plan.data:
            return "Choose the data to measure on."
        return ""

    def run(self) -> None:
        """Begin. A folder is written at once, a LoRA by a job that goes on without the window."""
        plan, mix = self.plan, self.mix
        if self.why_not or self.busy or mix is None:
            return
        self._is_sent, self.error, self.path = True, None, ""
        self.changed.emit()
        if plan.kind == "folder":
            request = CopyMix(name=mix.name, folder=plan.folder, ranks=self.ranks)
            self._client.ask(request, self._copied, self._failed)
            return
        spec = ExportMix(
            base=mix.base,
            mix=mix.name,
            folder=plan.folder,
            data={data.name: data.path for data in plan.data},
            gates=plan.gates,
            ranks=self.ranks,
            rank=plan.rank or None,
            distill_steps=plan.distil,
        )
        self._client.ask(SubmitJob(id=str(uuid.uuid4()), spec=spec), self._submitted, self._failed)

    def cancel(self) -> None:
        if self.job is not None and self.busy:
            self._client.ask(CancelJob(id=self.job.id), None, self._failed)

    def job_changed(self, job: Job) -> None:
        """An Event of the engine; other jobs are none of this one's business."""
        if self.job is None or job.id != self.job.id:
            return
        was_busy = self.busy
        self.job = job
        self.changed.emit()
        if was_busy and not self.busy:
            self._ended(job)

    def progressed(self, progress: JobProgress) -> None:
        if self.job is not None and progress.id == self.job.id and self.busy:
            self.job = msgspec.structs.replace(
                self.job, step=progress.step, steps=progress.steps, message=progress.message
            )
            self.changed.emit()

    @property
    def measured(self) -> str:
        """What the finished LoRA was found to lose, in words; empty before."""
        if self.job is None or self.job.state != "done":
            return ""
        error, said = self.job.result.get("error", {}), []
        if "exact_lora" in error:
            lora, mix = percent(error["exact_lora"]), percent(error["exact_mix"])
            said.append(f"exact answers: {lora} as LoRA, {mix} as mix")
        if "kl" in error:
            said.append(f"{error['kl']:.2g} nats away from the mix at each token")
        on = f", measured on {error['rows']:,} rows" if "rows" in error else ""
        return f"Rank {self.job.result.get('rank')}; {'; '.join(said)}{on}."

    def _copied(self, body: Body) -> None:
        self._is_sent = False
        if isinstance(body, Done):
            self._arrived(body.path or self.plan.folder)

    def _submitted(self, body: Body) -> None:
        self._is_sent = False
        if isinstance(body, Job):
            self.job = body
            self.changed.emit()

    def _ended(self, job: Job) -> None:
        if job.state == "done":
            self._arrived(str(job.result.get("path", self.plan.folder)))
        elif job.error is not None:
            self._failed(job.error)

    def _arrived(self, path: str) -> None:
        self.path = path
        self.changed.emit()
        assert self.mix is not None
        self.noticed.emit(
            Notice(
                "good",
                f"{self.mix.name} was exported to {path}.",
                self.measured,
                action=("Show folder", lambda: self.reveal.emit(path)),
            )
        )

    def _failed(self, error: Error) -> None:
        self._is_sent = False
        self.error = error
        self.changed.emit()
