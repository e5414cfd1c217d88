"""The strip at the foot of the page: every download that goes on, waits or has just ended."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from app.models.downloads import face
from app.presenters.downloads import Downloads
from widgets.download_row import DownloadRow

__all__ = ["Strip"]

TALLEST = 168


class Strip(QScrollArea):
    """Signals: ``desk_wanted(name)``; ``shown_in_library(room, name)``; ``base_chosen(name)``."""

    desk_wanted = Signal(str)
    shown_in_library = Signal(str, str)
    base_chosen = Signal(str)

    def __init__(self, downloads: Downloads, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("downloads")
        self.setAccessibleName("Downloads")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._downloads = downloads
        self._rows: dict[str, DownloadRow] = {}
        holder = QWidget(self)
        self._column = QVBoxLayout(holder)
        self._column.setContentsMargins(0, 4, 0, 4)
        self._column.setSpacing(0)
        self.setWidget(holder)
        downloads.changed.connect(self._show)
        self._show()

    def sizeHint(self) -> QSize:
        return QSize(400, min(TALLEST, self.widget().sizeHint().height()))

    def _show(self) -> None:
        fetches = self._downloads.fetches
        wanted = {fetch.job.id for fetch in fetches}
        for job in [job for job in self._rows if job not in wanted]:
            self._rows.pop(job).deleteLater()
        for place, fetch in enumerate(fetches):
            job = fetch.job.id
            if job not in self._rows:
                row = self._rows[job] = DownloadRow(f"download-{job[:8]}", self)
                row.pressed.connect(lambda verb, job=job: self._act(verb, job))
                row.fold.toggled.connect(lambda _: self.updateGeometry())
                self._column.insertWidget(place, row)
            self._rows[job].show_face(face(fetch))
        self.setVisible(bool(fetches))
        self.updateGeometry()

    def _act(self, verb: str, job: str) -> None:
        fetch = next(fetch for fetch in self._downloads.fetches if fetch.job.id == job)
        room, name = fetch.spec.room, str(fetch.job.result.get("name", fetch.spec.out))
        match verb:
            case "pause":
                self._downloads.pause(job)
            case "resume" | "retry":
                self._downloads.resume(job)
            case "cancel":
                self._downloads.cancel(job)
            case "dismiss":
                self._downloads.dismiss(job)
            case "desk":
                self.desk_wanted.emit(name)
            case "library":
                self.shown_in_library.emit(room, name)
            case "use":
                self.base_chosen.emit(name)
