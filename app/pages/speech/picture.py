"""Error against noise, a point for each transcription."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.pages.speech.senses import HUES, MARKS
from app.presenters.noise_curve import SNRS
from app.presenters.transcript_columns import MODES, SENSES
from app.presenters.transcripts import Transcripts
from app.words import count
from widgets.snr_plot import SnrLine, SnrPlot

__all__ = ["NoisePicture"]

NO_REFERENCE = (
    "Word errors against noise. Type what is said in the clip: without it there is nothing to count errors "
    "against."
)
NO_POINTS = (
    "Word errors against noise: a point for each transcription. Transcribe, move the noise, or measure."
)


class NoisePicture(QWidget):
    """Of one clip, one model and its rates; another of these is another picture."""

    def __init__(self, transcripts: Transcripts, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transcripts = transcripts
        self.setObjectName("speech.picture")
        self._title = QLabel("Errors by noise")
        self._title.setProperty("role", "heading")
        self._of = QLabel(objectName="speech.picture.of")
        self._of.setProperty("role", "tiny")
        self._of.setMinimumWidth(1)
        self._title.setMinimumWidth(1)
        self.progress = QProgressBar(
            objectName="speech.picture.progress", accessibleName="Progress of measuring", textVisible=False
        )
        self.progress.setMaximumWidth(120)
        self.measure = QPushButton("Measure", objectName="speech.picture.measure")
        self.plot = SnrPlot("speech.picture.plot", "Share of wrong words by noise")
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self._title, 1)
        line.addWidget(self.progress)
        line.addWidget(self.measure)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(line)
        column.addWidget(self._of)
        column.addWidget(self.plot, 1)
        self.measure.clicked.connect(self._press)
        transcripts.changed.connect(self._show)
        transcripts.curve.changed.connect(self._show)
        self._show()

    def _press(self) -> None:
        if self._transcripts.curve.is_open:
            self._transcripts.curve.stop()
        else:
            self._transcripts.measure()

    def _show(self) -> None:
        transcripts, state = self._transcripts, self._transcripts.state
        curve, points = transcripts.curve, transcripts.points
        lines = [
            SnrLine(
                SENSES[mode],
                HUES[mode],
                MARKS[mode],
                tuple((p.snr, p.wer) for p in points[mode]),
                is_flat=mode == "video",
            )
            for mode in MODES
        ]
        empty = NO_POINTS if state.reference else NO_REFERENCE
        self.plot.set_lines(lines, state.snr, (SNRS[0], SNRS[-1]), empty)
        words = len(state.reference.split())
        has_points = any(points.values())
        self._of.setText(f"Of this clip's {count(words, 'word')} alone")
        self._of.setVisible(has_points)
        self.progress.setVisible(curve.is_open)
        self.progress.setRange(0, max(1, curve.total))
        self.progress.setValue(curve.done)
        self.progress.setAccessibleDescription(f"{curve.done} of {curve.total} transcriptions")
        self.measure.setText("Cancel" if curve.is_open else "Measure")
        self.measure.setAccessibleName(
            "Cancel measuring the curve" if curve.is_open else "Measure the curve of errors"
        )
        why_not = transcripts.why_not_measure
        self.measure.setEnabled(not why_not)
        self.measure.setToolTip(
            why_not or "Transcribe this clip clean and at every noise; from the lips once, which hear none"
        )
