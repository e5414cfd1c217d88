"""The speech page: record or open a clip, and see what is understood of it by ear, by eye and by both."""

from __future__ import annotations

from PySide6.QtCore import QSettings, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QHideEvent, QKeyEvent, QPixmap, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QSplitter, QWidget

from app.client import Client
from app.pages.page import Page
from app.pages.speech.acts import acts
from app.pages.speech.booth import Booth
from app.pages.speech.desk import SpeechDesk
from app.pages.speech.models import ModelBar
from app.pages.speech.shelf import ClipShelf
from app.presenters.captions import Captions
from app.presenters.capture import Capture
from app.presenters.clip_view import ClipView
from app.presenters.clips import Clips
from app.presenters.playback import Playback
from app.presenters.speech_models import SpeechLibrary
from app.presenters.talk import Talk
from app.presenters.transcripts import Transcripts
from widgets.tab_order import order

__all__ = ["SpeechPage"]


class SpeechPage(Page):
    """Booth and shelf at the left, what was understood at the right. Camera and microphone are shut whenever
    the page is not shown."""

    def __init__(self, client: Client, settings: QSettings, parent: QWidget | None = None) -> None:
        super().__init__("speech", "Speech", parent)
        self.setAcceptDrops(True)
        self.clips = Clips(client, settings, self)
        self.models = SpeechLibrary(client, settings, self)
        self.capture = Capture(settings, self)
        self.captions = Captions(client, self.capture, self.models, self)
        self.transcripts = Transcripts(client, self.clips, self.models, self)
        self.playback = Playback(self.capture.process, self.clips, self.transcripts, self)
        self.view = ClipView(self.capture.process, self.clips, self.playback, self)
        self._talk = Talk(self.capture)
        self.bar = ModelBar(self.models)
        self.desk = SpeechDesk(self.clips, self.transcripts, self.playback, self.captions)
        self.booth = Booth(self.capture, self._talk, self.clips, self.view, self._mouth)
        self.shelf = ClipShelf(self.clips)
        self.head = _beside(self.bar, self.desk.live)
        self._compose()
        self._connect()
        self._offer_acts()

    def _compose(self) -> None:
        left = QSplitter(Qt.Orientation.Vertical, objectName="speech.left")
        left.addWidget(self.booth)
        left.addWidget(self.shelf)
        left.setChildrenCollapsible(False)
        left.setStretchFactor(0, 1)
        left.setStretchFactor(1, 2)
        split = QSplitter(Qt.Orientation.Horizontal, objectName="speech.split")
        split.addWidget(left)
        split.addWidget(self.desk)
        split.setCollapsible(1, False)
        split.setStretchFactor(0, 0)
        split.setStretchFactor(1, 1)
        split.setSizes([336, 888])
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(split)

    def _connect(self) -> None:
        presenters = (self.clips, self.models, self.capture, self.captions, self.transcripts)
        for presenter in presenters:
            presenter.noticed.connect(self.noticed)
            presenter.announced.connect(self.announce)
        self.clips.changed.connect(lambda: self.capture.keep_in(self.clips.state.folder))
        self.capture.recorded.connect(self._take_in)
        self.playback.moved.connect(self.booth.show_mouth)
        self.booth.clip_marked.connect(lambda: self.playback.seek(0.0))
        self.desk.example_wanted.connect(self._open_example)
        self.desk.export.noticed.connect(self.noticed)

    def _offer_acts(self) -> None:
        for words, keys, act in (
            ("Record, or end the recording", "Ctrl+R", self._record),
            ("Play or pause", "Ctrl+P", self.playback.toggle),
            ("Turn camera and microphone on or off", "Ctrl+D", self.booth.turn),
            ("Open clips from files", "Ctrl+O", self.shelf.open_files),
            ("Take the chosen clip off the shelf", "", self.shelf.remove_chosen),
            ("Use a video file as the camera", "", self.booth.devices.choose_file),
            *acts(self.desk, self.bar, self.transcripts),
        ):
            self.offer(words, keys, act)

    # --- the shell's ---

    def regions(self) -> list[QWidget]:
        return [self.booth, self.shelf, *self.desk.regions(), self.head]

    def undo(self) -> None:
        self.clips.undo()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self.capture.look()
            self.captions.come_back()
            self.view.wake()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous():
            self.playback.pause()
            self.view.rest()
            self.captions.leave()
            self.capture.leave()

    def focusNextPrevChild(self, is_next: bool) -> bool:
        order(self)
        return super().focusNextPrevChild(is_next)

    # --- the space bar: what nobody else on the page takes, records ---

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and not event.modifiers():
            if not event.isAutoRepeat():
                self._talk.press()
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._talk.release()
            return
        super().keyReleaseEvent(event)

    # --- something is dropped ---

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        event.acceptProposedAction()
        self.clips.add(*(url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()))

    # --- inside ---

    def _mouth(self) -> QPixmap:
        return self.desk.player.strip.mouth_at(self.playback.state.seconds)

    def _take_in(self, path: str) -> None:
        """A recording was made: show it, and what is said in it where a model can tell."""
        self.clips.recorded(path)
        if self.transcripts.state.clip == path and not self.transcripts.why_not:
            self.transcripts.transcribe()

    def _record(self) -> None:
        if self.capture.records:
            self.capture.stop()
        else:
            self.capture.record()

    def _open_example(self) -> None:
        example = next((clip for clip in self.clips.state.clips if clip.origin == "example"), None)
        if example is None:
            self.shelf.open_files()
        else:
            self.clips.choose(example.path)
            self.shelf.list.setFocus(Qt.FocusReason.OtherFocusReason)


def _beside(*parts: QWidget) -> QWidget:
    """The parts in a row, for the title row."""
    head = QWidget(objectName="speech.head")
    row = QHBoxLayout(head)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    for part in parts:
        row.addWidget(part)
    return head
