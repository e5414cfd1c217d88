"""Which camera, which microphone, and how the sound lies against the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QFileDialog, QGridLayout, QLabel, QPushButton, QSlider, QWidget

from app.capture.messages import FILE_CAMERA, LARGEST_OFFSET, Device
from app.presenters.capture import Capture
from widgets.still import still
from widgets.theme import pixmap, theme

__all__ = ["DeviceBox"]

FILE = "file"
VIDEO = "Video (*.mkv *.mp4 *.mov *.webm *.avi *.m4v);;All files (*)"
OFFSET_HOW = (
    "Where lips and sound of your recordings do not fit, move the sound: later to the right. "
    "Clap once before the camera and the studio measures it."
)


class DeviceBox(QWidget):
    """Nothing here opens a device that is shut."""

    def __init__(self, capture: Capture, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._capture = capture
        self._marks: list[tuple[QLabel, str]] = []
        self.camera = self._box("speech.camera", "Camera", self._camera_chosen)
        self.microphone = self._box("speech.microphone", "Microphone", capture.choose_microphone)
        self.offset = QSlider(Qt.Orientation.Horizontal, objectName="speech.offset")
        self.offset.setAccessibleName("Sound against pictures in milliseconds")
        self.offset.setToolTip(OFFSET_HOW)
        self.offset.setRange(-round(LARGEST_OFFSET), round(LARGEST_OFFSET))
        self.offset.setSingleStep(5)
        self.offset.setPageStep(40)
        self.offset.setProperty("role", "balance")
        self._milliseconds = QLabel(alignment=Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._milliseconds.setProperty("role", "tiny")
        self._milliseconds.setFixedWidth(56)
        self._use = QPushButton(objectName="speech.offset.use", accessibleName="Use the measured offset")
        self._use.setProperty("role", "chip")
        self._compose()
        self.offset.valueChanged.connect(capture.set_offset)
        self._use.clicked.connect(self._use_measured)
        capture.changed.connect(self._show)
        theme.changed.connect(self._tint)
        self._tint()
        self._show()

    def _compose(self) -> None:
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(6)
        rows = (("camera", self.camera), ("microphone", self.microphone))
        for row, (drawing, box) in enumerate(rows):
            grid.addWidget(self._mark(drawing), row, 0)
            grid.addWidget(box, row, 1, 1, 2)
        grid.addWidget(self._mark("recent"), 2, 0)
        grid.addWidget(self.offset, 2, 1)
        grid.addWidget(self._milliseconds, 2, 2)
        grid.addWidget(self._use, 3, 1, 1, 2, Qt.AlignmentFlag.AlignLeft)
        grid.setColumnStretch(1, 1)

    def _box(self, name: str, words: str, act: Callable[[str], None]) -> QComboBox:
        box = still(QComboBox(objectName=name, accessibleName=words))
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(8)
        box.activated.connect(lambda: act(str(box.currentData())))
        return box

    def _mark(self, drawing: str) -> QLabel:
        mark = QLabel()
        mark.setFixedWidth(20)
        self._marks.append((mark, drawing))
        return mark

    def choose_file(self) -> None:
        """Let a video file stand for the camera."""
        path, _ = QFileDialog.getOpenFileName(self, "A video file as the camera", "", VIDEO)
        if path:
            self._capture.choose_camera(f"{FILE_CAMERA}{path}")
        else:
            self._show()

    def _camera_chosen(self, camera: str) -> None:
        if camera == FILE:
            self.choose_file()
        else:
            self._capture.choose_camera(camera)

    def _use_measured(self) -> None:
        measured = self._capture.state.measured
        if measured is not None:
            self._capture.set_offset(self._capture.state.offset + measured)
            self._use.hide()

    def _show(self) -> None:
        state = self._capture.state
        _offer(self.camera, state.cameras, state.camera, [("A video file...", FILE), ("No camera", "")])
        _offer(self.microphone, state.microphones, state.microphone, [("No microphone", "")])
        self.offset.blockSignals(True)
        self.offset.setValue(round(state.offset))
        self.offset.blockSignals(False)
        self._milliseconds.setText(f"{state.offset:+.0f} ms" if state.offset else "in step")
        measured = state.measured
        self._use.setVisible(measured is not None and abs(measured) >= 1)
        if measured is not None:
            words = f"The clap says {measured:+.0f} ms: use it"
            self._use.setText(words)
            self._use.setAccessibleName(words)

    def _tint(self) -> None:
        for mark, drawing in self._marks:
            mark.setPixmap(pixmap(drawing, 18, theme.tokens.text_dim, self.devicePixelRatioF()))


def _offer(box: QComboBox, devices: Sequence[Device], chosen: str, others: Sequence[tuple[str, str]]) -> None:
    """Put the devices and what else can be chosen into a box, unless they are there."""
    items = [*((device.name, device.id) for device in devices), *others]
    if [(box.itemText(row), box.itemData(row)) for row in range(box.count())] != items:
        box.clear()
        for words, value in items:
            box.addItem(words, value)
    box.setCurrentIndex(max(0, box.findData(chosen)))
    box.setToolTip(box.currentText())
