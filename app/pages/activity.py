"""The activity page: every job on the left; the chosen one's progress, curve, log and verbs on the right."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QListView,
    QPlainTextEdit,
    QProgressBar,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.models.downloads import file_faces
from app.models.jobs import MARKS, JobRoles, Jobs, figures, sentence
from app.pages.page import Page
from app.presenters.activity import Activity, ActivityState, Curve
from engine.messages import Download, Error, Job, TrainDylora
from widgets.curve_plot import CurvePlot
from widgets.empty import Empty
from widgets.file_bars import FileBars
from widgets.icon_button import WordButton
from widgets.job_row import JobDelegate
from widgets.verdict import Verdict

__all__ = ["ActivityPage"]

KINDS = {
    "lora": "Adapter training",
    "dylora": "DyLoRA training",
    "router": "Router training",
    "joint": "Training of experts and router together",
    "gate": "Training of an expert's own gate",
    "scores": "Scoring of a mix",
    "export": "Export of a mix",
    "download": "Download",
}
# Half of such a job is of no use.
ALL_OR_NOTHING = ("export", "download")
# What the verbs do to a download.
TIPS = {
    "pause": "The bytes that are here stay",
    "resume": "Go on from the bytes that are here",
    "cancel": "Stop; what is here is kept until the job is removed",
}
# Small downloads are counted in what their bytes fill: (unit of the curve, units per byte).
SMALL, LARGE = ("kB/s, over kB", 1e-3), ("MB/s, over MB", 1e-6)
SMALL_BYTES = 10_000_000
# state -> what can be done about a job in it
VERBS = {
    "queued": ("pause", "cancel"),
    "running": ("pause", "keep", "cancel"),
    "paused": ("resume", "keep", "cancel"),
    "failed": ("resume", "remove"),
    "held": ("resume", "keep", "cancel"),
    "done": ("remove",),
    "cancelled": ("remove",),
}


class ActivityPage(Page):
    """Shows what the Activity presenter knows and passes its verbs on."""

    def __init__(self, activity: Activity, parent: QWidget | None = None) -> None:
        super().__init__("activity", "Activity", parent)
        self.activity = activity
        self.jobs = Jobs(self)
        self._build()
        activity.changed.connect(self._show_state)
        self.list.selectionModel().currentChanged.connect(self._chosen)
        self._show_state()

    def regions(self) -> list[QWidget]:
        return [self.list, self.details]

    def _build(self) -> None:
        self.list = QListView(self, objectName="activity-jobs", accessibleName="Jobs")
        self.list.setModel(self.jobs)
        self.list.setItemDelegate(JobDelegate(JobRoles.FACE, self.list))
        self.list.setUniformItemSizes(True)
        self.list.setMouseTracking(True)
        self.list.setMinimumWidth(300)
        self.details = JobDetails(self.activity, self)
        self.details.setMinimumWidth(420)
        splitter = QSplitter(Qt.Orientation.Horizontal, self, objectName="activity-splitter")
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.list)
        splitter.addWidget(self.details)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([420, 800])
        empty = Empty(
            "activity",
            "Nothing has run yet",
            "Training appears here with its progress, its curve and its log. It goes on when you leave "
            "the page, and is still here tomorrow.",
            "",
            "activity-empty",
            self,
        )
        self._stack = QStackedWidget(self)
        for widget in (QWidget(self), empty, splitter):
            self._stack.addWidget(widget)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.addWidget(self._stack)

    def _show_state(self) -> None:
        state = self.activity.state
        self._stack.setCurrentIndex(0 if not state.known else 2 if state.jobs else 1)
        self.jobs.show(state.jobs)
        if not state.chosen and state.jobs:
            self.activity.choose((state.running or state.jobs[0]).id)
            return
        row = self.jobs.row_of(state.chosen)
        if row >= 0 and self.list.currentIndex().row() != row:
            self.list.setCurrentIndex(self.jobs.index(row))
        self.details.show_state(state)

    def _chosen(self, index: QModelIndex) -> None:
        if index.isValid():
            self.activity.choose(index.data(JobRoles.ID))


class JobDetails(QWidget):
    """One job. Its log grows at the end and never moves what was read."""

    def __init__(self, activity: Activity, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._activity = activity
        self._job = ""
        self._lines = 0
        self._drawn = 0
        self._unit = LARGE[0]
        self._error: Error | None = None
        self._build()

    def _build(self) -> None:
        self._name = QLabel(self, textFormat=Qt.TextFormat.PlainText)
        self._name.setProperty("role", "title")
        self._kind = QLabel(self)
        self._kind.setProperty("role", "dim")
        self._verdict = Verdict(self)
        self._bar = QProgressBar(self, objectName="job-progress", textVisible=False)
        self._bar.setAccessibleName("Progress of this job")
        self._figures = QLabel(self)
        self._figures.setProperty("role", "dim")
        self._curve = CurvePlot("Loss", "nats", parent=self)
        self._speed = CurvePlot("Speed", LARGE[0], parent=self)
        for curve in (self._curve, self._speed):
            curve.setMinimumHeight(180)
        self._files = FileBars(self)
        self._log = QPlainTextEdit(self, objectName="job-log", accessibleName="Log", readOnly=True)
        self._log.setMaximumBlockCount(2000)
        self._log.setMinimumHeight(96)
        self._log.setFrameShape(QFrame.Shape.NoFrame)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 16, 24, 16)
        column.setSpacing(8)
        for widget in (self._name, self._kind, self._verdict):
            column.addWidget(widget)
        column.addLayout(self._verbs())
        progress = QHBoxLayout()
        progress.setSpacing(12)
        progress.addWidget(self._bar, 1)
        progress.addWidget(self._figures)
        column.addLayout(progress)
        column.addWidget(self._files)
        column.addWidget(self._curve, 3)
        column.addWidget(self._speed, 3)
        column.addWidget(self._log, 2)

    def _verbs(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        self._buttons: dict[str, WordButton] = {}
        for verb, drawing, words, act in (
            ("pause", "pause", "Pause", self._activity.pause),
            ("resume", "play", "Resume", self._activity.resume),
            ("keep", "keep", "Stop and keep", self._activity.keep),
            ("cancel", "stop", "Cancel", self._activity.cancel),
            ("remove", "trash", "Remove", self._activity.remove),
        ):
            button = WordButton(drawing, words, f"job-{verb}", self)
            button.clicked.connect(lambda _=False, act=act: act(self._job))
            self._buttons[verb] = button
            row.addWidget(button)
        self._copy = WordButton("copy", "Copy details", "job-copy", self)
        self._copy.clicked.connect(self._copy_details)
        row.addWidget(self._copy)
        row.addStretch(1)
        return row

    def show_state(self, state: ActivityState) -> None:
        job = state.job
        if job is None:
            return
        if job.id != self._job:
            self._job, self._lines, self._drawn = job.id, 0, 0
            self._log.clear()
            self._curve.clear()
            self._speed.clear()
            self._name_verbs(job)
        self._show_job(job)
        self._show_curve(state.curve, job)
        for line in state.log[self._lines :]:
            when = datetime.fromtimestamp(line.time).strftime("%H:%M:%S")
            self._log.appendPlainText(f"{when}  {line.text}")
        self._lines = len(state.log)

    def _name_verbs(self, job: Job) -> None:
        is_download = isinstance(job.spec, Download)
        self._curve.setVisible(not is_download)
        self._speed.setVisible(is_download)
        self._files.setVisible(is_download)
        for verb, tip in TIPS.items():
            self._buttons[verb].setToolTip(tip if is_download else "")

    def _show_job(self, job: Job) -> None:
        self._name.setText(job.name)
        started = datetime.fromtimestamp(job.created).strftime("%d %b %Y, %H:%M") if job.created else ""
        again = f", attempt {job.attempt}" if job.attempt > 1 else ""
        self._kind.setText(f"{KINDS.get(job.kind, job.kind)} {_source(job)}, {started}{again}")
        mark, token, _ = MARKS[job.state]
        hint = f" {job.error.hint}" if job.error else ""
        self._verdict.say(token, sentence(job) + hint, mark)
        self._error = job.error
        self._copy.setVisible(job.error is not None)
        self._bar.setRange(0, max(job.steps, 1))
        self._bar.setValue(job.step)
        self._figures.setText(figures(job))
        self._files.show_files(file_faces(job) if job.state != "done" else ())
        is_retry = job.state == "failed" and isinstance(job.spec, Download)
        self._buttons["resume"].setText("Try again" if is_retry else "Resume")
        had_focus = any(button.hasFocus() for button in self._buttons.values())
        verbs = [verb for verb in VERBS[job.state] if verb != "keep" or job.kind not in ALL_OR_NOTHING]
        for verb in (*verbs, *self._buttons):
            self._buttons[verb].setVisible(verb in verbs)
        # A verb that has gone leaves the keyboard on the first that remains, never by chance on Cancel.
        if had_focus and not any(
            button.hasFocus() and button.isVisible() for button in self._buttons.values()
        ):
            self._buttons[VERBS[job.state][0]].setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_curve(self, curve: Curve, job: Job) -> None:
        if isinstance(job.spec, Download):
            name, plot = "speed", self._speed
            unit, scale = SMALL if 0 < job.steps < SMALL_BYTES else LARGE
            if unit != self._unit:
                self._unit, self._drawn = unit, 0
                plot.clear()
                plot.set_unit(unit)
        else:
            name, plot, scale = "loss", self._curve, 1.0
        values = curve.series.get(name, ())
        for step, value in list(zip(curve.steps, values, strict=False))[self._drawn :]:
            if value is not None:
                plot.append(name, step * scale, value * scale)
        self._drawn = len(values)

    def _copy_details(self) -> None:
        if self._error is not None:
            error = self._error
            parts = (error.message, error.hint, error.detail, self._log.toPlainText())
            QGuiApplication.clipboard().setText("\n\n".join(part for part in parts if part))


def _source(job: Job) -> str:
    match job.spec:
        case Download(repo=repo):
            return f"from {repo}"
        case TrainDylora(low=low, rank=rank, base=base):
            return f"at ranks {low} to {rank} on {base}"
    return f"on {job.spec.base}"
