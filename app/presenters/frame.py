"""What stands around every page: the engine in words, the running job, the bases to choose from."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from app.client import Client, Engine
from app.presenters.activity import Activity
from app.presenters.notice import Notice, from_error
from app.presenters.presenter import Presenter
from app.words import duration, megabytes, percent
from engine import messages

__all__ = ["Frame", "FrameState"]

MARK = {
    "starting": ("waiting", "text_dim"),
    "ready": ("good", "good"),
    "silent": ("warn", "warn"),
    "lost": ("warn", "warn"),
    "stopped": ("bad", "bad"),
}
# What a job does, where it is no training.
DOING = {"download": "Downloading", "export": "Exporting", "scores": "Working out"}
LEVEL = {"info": "info", "warning": "warn", "error": "bad"}


@dataclass(frozen=True)
class FrameState:
    """``engine`` is a drawing, a colour token and words; ``job`` is words, a share 0..1 and the time left."""

    engine: tuple[str, str, str] = ("waiting", "text_dim", "Starting the engine")
    device: str = ""
    memory: str = ""
    job: tuple[str, float, str] = ("", 0.0, "")
    bases: tuple[messages.BaseCard, ...] = ()
    base: str = ""


class Frame(Presenter[FrameState]):
    """Signals: ``changed`` with each new state, ``noticed`` with a Notice."""

    noticed = Signal(object)

    def __init__(
        self, client: Client, activity: Activity, base: str = "", parent: QObject | None = None
    ) -> None:
        super().__init__(FrameState(base=base), parent)
        self._client = client
        self._activity = activity
        self._phase = client.engine.phase
        client.engine_changed.connect(self._engine)
        client.welcomed.connect(self._list)
        client.happened.connect(self._on_event)
        client.failed.connect(lambda error: self.noticed.emit(from_error(error)))
        activity.changed.connect(self._job)
        activity.noticed.connect(self.noticed)
        self._engine()
        if client.engine.phase == "ready":
            self._list()

    def choose_base(self, base: str) -> None:
        self._set(base=base)

    def _list(self) -> None:
        self._client.ask(messages.ListBases(), self._listed)

    def _listed(self, answer: messages.Bases) -> None:
        names = [base.name for base in answer.bases]
        base = self.state.base if self.state.base in names else next(iter(names), "")
        self._set(bases=tuple(answer.bases), base=base)

    def _on_event(self, event: object) -> None:
        match event:
            case messages.LibraryChanged(what="bases"):
                self._list()
            case messages.Notice(level=level, message=message, hint=hint):
                self.noticed.emit(Notice(level=LEVEL[level], message=message, hint=hint))  # type: ignore[arg-type]

    def _engine(self) -> None:
        engine = self._client.engine
        drawing, token = MARK[engine.phase]
        words = engine.sentence
        loading = [card.base for card in engine.runtimes if card.state == "starting"]
        if engine.phase == "ready" and loading:
            drawing, token, words = "waiting", "text_dim", f"Loading {loading[0]}"
        devices = sorted({card.device for card in engine.runtimes})
        memory = (
            f"{megabytes(engine.memory)} of {megabytes(engine.memory_total)}" if engine.memory_total else ""
        )
        self._set(engine=(drawing, token, words.rstrip(".")), device=", ".join(devices), memory=memory)
        before, self._phase = self._phase, engine.phase
        if before != engine.phase:
            self._tell_of_change(before, engine)

    def _tell_of_change(self, before: str, engine: Engine) -> None:
        if engine.phase == "stopped":
            again = ("Start again", self._client.restart)
            self.noticed.emit(Notice("bad", engine.sentence, engine.hint, engine.detail, again))
        elif engine.phase == "lost":
            hint = "It is being started again; training resumes from its last checkpoint."
            self.noticed.emit(Notice("warn", "The engine stopped unexpectedly.", hint))
        elif before == "lost" and engine.phase == "ready":
            self.noticed.emit(Notice("good", "The engine is back."))

    def _job(self) -> None:
        job = self._activity.state.running
        if job is None:
            self._set(job=("", 0.0, ""))
            return
        share = job.step / job.steps if job.steps else 0.0
        doing = DOING.get(job.kind, "Training") if job.state == "running" else "Waiting"
        left = percent(share)
        if job.seconds_left is not None:
            left += f"  {duration(job.seconds_left)} left"
        self._set(job=(f"{doing} {job.name}", share, left))
