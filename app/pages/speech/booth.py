"""The booth: camera and mouth, loudness, the red light, the record button, the devices."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.capture.messages import FILE_CAMERA, Level, Preview
from app.pages.speech.devices import DeviceBox
from app.presenters.capture import Capture
from app.presenters.clip_view import ClipView
from app.presenters.clips import Clips
from app.presenters.talk import Talk
from app.words import duration
from engine.messages import MouthPlace
from widgets.camera_view import CameraView, Square
from widgets.mouth_view import MouthView
from widgets.record_button import RecordButton
from widgets.record_light import RecordLight
from widgets.sound_meter import SoundMeter

__all__ = ["Booth"]

OFF = "Camera and microphone are off. They open when you record or turn them on."
NO_CAMERA = "No camera is plugged in. The microphone alone, or a video file, works too."

NO_MICROPHONE = "No microphone is plugged in."


class Booth(QWidget):
    """What is recorded, as it is: nothing here is open unless the light is on. While the camera is shut the
    chosen clip is to be seen in its place, with the ``mouth`` of the moment. ``clip_marked``: a person said
    where its mouth is in the first picture."""

    clip_marked = Signal()

    def __init__(
        self,
        capture: Capture,
        talk: Talk,
        clips: Clips,
        view: ClipView,
        mouth: Callable[[], QPixmap],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._capture = capture
        self._clips = clips
        self._view = view
        self._mouth = mouth
        self._warnings = {"camera": "", "microphone": ""}
        self.setObjectName("speech.booth")
        self.camera = CameraView("speech.view", "Camera", self)
        self.mouth = MouthView("speech.mouth", self)
        self.meter = SoundMeter("speech.level", self)
        self.light = RecordLight("speech.light", self)
        self.record = RecordButton("speech.record", self)
        self.switch = QPushButton("Turn on", self, objectName="speech.switch")
        self.devices = DeviceBox(capture, self)
        self._warning = QLabel(wordWrap=True, objectName="speech.warning")
        self._warning.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._compose()
        self.setFocusProxy(self.record)
        self.record.pressed.connect(talk.press)
        self.record.released.connect(talk.release)
        self.switch.clicked.connect(self.turn)
        self.camera.placed.connect(lambda square: self._place(MouthPlace(**square._asdict())))
        self.camera.cleared.connect(lambda: self._place(None))
        clips.changed.connect(self._show)
        view.changed.connect(self._show)
        capture.changed.connect(self._show)
        capture.previewed.connect(self._show_picture)
        capture.levelled.connect(self._show_level)
        self._show()

    def _compose(self) -> None:
        beside = QVBoxLayout()
        beside.setSpacing(2)
        beside.addWidget(self.light)
        beside.addWidget(self.meter)
        beside.addWidget(self._warning, 1)
        middle = QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(self.mouth, 0, Qt.AlignmentFlag.AlignTop)
        middle.addLayout(beside, 1)
        hands = QHBoxLayout()
        hands.setSpacing(8)
        hands.addWidget(self.record, 1)
        hands.addWidget(self.switch)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 8)
        column.setSpacing(8)
        column.addWidget(self.camera, 1)
        column.addLayout(middle)
        column.addLayout(hands)
        column.addWidget(self.devices)

    def show_mouth(self) -> None:
        """While the camera is shut: the mouth of the moment at which the clip is."""
        if not self._capture.state.light.camera:
            self.mouth.show_drawn(self._mouth())

    def turn(self) -> None:
        """Open the devices, or shut them."""
        if self._capture.state.open:
            self._capture.close()
        else:
            self._capture.open()

    def _show(self) -> None:
        state = self._capture.state
        devices = [("camera", state.light.camera), ("microphone", state.light.microphone)]
        opened = tuple(name for name, is_open in devices if is_open)
        self.light.show_light(opened, duration(state.seconds) if state.recording else None)
        self.record.show_recording(state.recording)
        words = "Turn off" if state.open else "Start again" if state.trouble("process") else "Turn on"
        self.switch.setText(words)
        self.switch.setAccessibleName(f"{words}: camera and microphone")
        self.switch.setEnabled(not state.opening or state.open)
        if not state.light.camera:
            self._show_clip()
        if not state.light.microphone:
            self.meter.show_level(None)
            self._warnings["microphone"] = ""
        self._warn()

    def _show_clip(self) -> None:
        """While the camera is shut: the chosen clip, or why there is nothing to see."""
        state, clips = self._capture.state, self._clips.state
        card = clips.card
        place = clips.place or (card.place if card is not None else None)
        self.camera.mirrored = False
        self.camera.show_picture(self._view.picture)
        self.camera.show_square(
            Square(place.x, place.y, place.side) if place and self._view.is_at_beginning else None,
            by_hand=clips.place is not None,
        )
        self.show_mouth()
        self._warnings["camera"] = ""
        trouble = state.trouble("process") or state.trouble("camera")
        is_bare = state.known and not state.cameras
        self.camera.say("camera", trouble.message if trouble else NO_CAMERA if is_bare else OFF)

    def _place(self, place: MouthPlace | None) -> None:
        """A person put the square, or lets the mouth be found: in the camera's picture, or in the clip's."""
        if self._capture.state.light.camera:
            self._capture.set_place(place)
        else:
            self._clips.set_place(place)
            self.clip_marked.emit()

    def _show_picture(self, preview: Preview) -> None:
        if not self._capture.state.light.camera:
            return
        place = preview.place
        self.camera.mirrored = not self._capture.state.camera.startswith(FILE_CAMERA)
        self.camera.show_picture(preview.picture)
        self.camera.show_square(
            Square(place.x, place.y, place.side) if place is not None else None,
            by_hand=self._capture.state.place is not None,
        )
        self.mouth.show_mouth(preview.mouth)
        self._heed("camera", preview.warning)

    def _show_level(self, level: Level) -> None:
        if self._capture.state.light.microphone:
            self.meter.show_level(level.rms, level.peak, clipped=level.clipped)
            self._heed("microphone", level.warning)

    def _heed(self, about: str, words: str) -> None:
        if self._warnings[about] != words:
            self._warnings[about] = words
            self._warn()

    def _warn(self) -> None:
        """What stands in the way: what is missing first, then what is seen and heard."""
        state = self._capture.state
        missing = [error for _, error in state.troubles]
        if missing:
            words, role = f"{missing[0].message} {missing[0].hint}".strip(), "warn"
        else:
            words, role = " ".join(filter(None, self._warnings.values())), "warn"
        if not words:
            words, role = NO_MICROPHONE if state.known and not state.microphones else "", "tiny"
        self._warning.setToolTip("\n".join(f"{error.message} {error.hint}".strip() for error in missing))
        self._warning.setText(words)
        if self._warning.property("role") != role:
            self._warning.setProperty("role", role)
            self._warning.style().polish(self._warning)
