"""One expert on the desk: colour, name, fader, rank, mute, solo, lock and usage, all strips alike."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDropEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from widgets.fader import Fader
from widgets.fitted_label import FittedLabel
from widgets.letter_button import LetterButton
from widgets.level_meter import LevelMeter
from widgets.painting import NULL_HUE, fill_hue, focus_ring
from widgets.rank_steps import RankSteps
from widgets.theme import theme

__all__ = ["ChannelStrip"]

NARROWEST, WIDEST = 64, 84
BAR = 4
LETTERS = [Qt.Key.Key_M, Qt.Key.Key_S, Qt.Key.Key_L]
SLIDES = {
    Qt.Key.Key_BracketLeft: -1,
    Qt.Key.Key_BracketRight: 1,
    Qt.Key.Key_BraceLeft: -1,
    Qt.Key.Key_BraceRight: 1,
}
MUTE = (
    "Mute (M): out of the router's choice, and the others share its part. "
    "A fader at 0 leaves it its part, and silence there."
)
SOLO = "Solo (S): only soloed and locked experts are heard; a router chooses among the soloed"
LOCK = (
    "Lock (L): always heard at its fader, whatever the router says and whoever is soloed; "
    "the router shares its choice among the others"
)


class ChannelStrip(QWidget):
    """Signals: ``fader_moved(level)``, ``rank_moved(rank)``, ``released`` (either), ``mute_toggled(on)``,
    ``solo_toggled(on)``, ``lock_toggled(on)``, ``remove_wanted``, ``move_wanted(steps)`` (negative is left),
    ``drag_wanted`` (by mouse), ``lift_wanted`` (by the space bar), ``file_dropped(path)`` (only after
    ``setAcceptDrops``), ``gate_wanted`` (a gate of its own), ``ranks_wanted`` (the page for them).

    On the strip [ and ] slide the rank, with Shift by powers of two. An expert of one rank has no slider.
    A strip of hue NULL_HUE is the null expert: a meter without fader or buttons, since silence has no volume.
    """

    fader_moved = Signal(float)
    rank_moved = Signal(int)
    released = Signal()
    mute_toggled = Signal(bool)
    solo_toggled = Signal(bool)
    lock_toggled = Signal(bool)
    remove_wanted = Signal()
    move_wanted = Signal(int)
    drag_wanted = Signal()
    lift_wanted = Signal()
    file_dropped = Signal(str)
    gate_wanted = Signal()
    ranks_wanted = Signal()

    def __init__(self, name: str, hue: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = name
        self.hue = hue
        self._press: QPoint | None = None
        self._is_heard = True
        self.fader = Fader(hue)
        self.meter = LevelMeter(hue)
        self.rank = RankSteps(name, hue)
        self.mute = LetterButton("M", f"Mute {name}", MUTE)
        self.solo = LetterButton("S", f"Solo {name}", SOLO)
        self.lock = LetterButton("L", f"Lock {name}", LOCK)
        self._buttons = (self.mute, self.solo, self.lock)
        self._title = FittedLabel(name)
        self._value = QLabel()
        self._rank = QLabel()
        self._data = QLabel(visible=False)
        self._usage = QLabel("–")
        self._compose()
        self.set_rank(None, (0, 0))
        self._connect()
        self._dress()
        self._show_value(self.fader.level)
        self.fader.setAccessibleName(f"Fader of {name}")
        self.meter.setAccessibleName(f"Usage of {name}")

    def set_state(self, *, fader: float, muted: bool, soloed: bool, locked: bool, heard: bool) -> None:
        """Show what the desk says; ``heard`` is False when muted, faded out or silenced by another's solo."""
        self.fader.set_level(fader)
        self._show_value(fader)
        for button, on in zip(self._buttons, (muted, soloed, locked), strict=True):
            button.show_checked(on)
        self._set_heard(heard)

    def set_rank(self, rank: int | None, ranks: tuple[int, int], kept: str = "", instead: str = "") -> None:
        """Which of ``ranks`` (lowest, highest) plays, None for all; ``kept`` says what that keeps. With less
        than two there is no slider, and ``instead`` stands there."""
        had_focus = self.rank.hasFocus()
        self.rank.set_rank(rank, ranks, kept)
        self.rank.setVisible(self.rank.slides)
        self._rank.setVisible(not self.rank.slides)
        self._rank.setText(instead)
        if had_focus and not self.rank.slides:
            self.setFocus(Qt.FocusReason.OtherFocusReason)
        self._describe()

    def set_data(self, words: str) -> None:
        """What the expert learns from, below its name; "" where it is not about to learn."""
        self._data.setText(words)
        self._data.setVisible(bool(words))
        self._data.setToolTip(f"{self.name} learns from {words}" if words else "")
        self._describe()

    def _describe(self) -> None:
        rank = f"rank {self.rank.accessibleDescription()}" if self.rank.slides else self._rank.text()
        self.setAccessibleDescription(", ".join(words for words in (rank, self._data.toolTip()) if words))

    def set_usage(self, share: float | None, of: str = "") -> None:
        """The share of the words of ``of`` that were this expert's, 0..1; None when nobody has spoken yet."""
        self.meter.set_share(share, of)
        self._usage.setText("–" if share is None else f"{100 * share:.0f} %")

    def _compose(self) -> None:
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumWidth(NARROWEST)
        self.setMaximumWidth(WIDEST)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        for label in (self._value, self._rank, self._data, self._usage):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._title.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        column = QVBoxLayout(self)
        column.setContentsMargins(2, BAR + 8, 2, 8)
        column.setSpacing(4)
        column.addWidget(self._title)
        column.addWidget(self._data)
        column.addWidget(self.fader, 1, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self._value)
        column.addWidget(self.rank)
        column.addWidget(self._rank)
        column.addLayout(self._foot())
        column.addWidget(self._usage)
        column.addWidget(self.meter)
        if self.hue == NULL_HUE:
            self.fader.setEnabled(False)
            self.fader.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            self.fader.setToolTip("The null expert says nothing, so there is nothing to make louder.")
            for part in self._buttons:
                keep_place = part.sizePolicy()
                keep_place.setRetainSizeWhenHidden(True)
                part.setSizePolicy(keep_place)
                part.setVisible(False)

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        foot.setSpacing(1)
        foot.addStretch(1)
        for button in self._buttons:
            foot.addWidget(button)
        foot.addStretch(1)
        return foot

    def _connect(self) -> None:
        self.fader.moved.connect(self._show_value)
        self.fader.moved.connect(self.fader_moved)
        self.fader.released.connect(self.released)
        self.rank.moved.connect(self.rank_moved)
        self.rank.moved.connect(self._describe)
        self.rank.released.connect(self.released)
        self.mute.toggled.connect(self.mute_toggled)
        self.solo.toggled.connect(self.solo_toggled)
        self.lock.toggled.connect(self.lock_toggled)
        # Muting dims at once, without waiting for whoever owns the desk.
        self.mute.toggled.connect(lambda on: self._set_heard(not on))
        theme.changed.connect(self._dress)

    def _dress(self) -> None:
        self._rank.setFixedHeight(self.rank.sizeHint().height())
        self._tint()
        self.update()

    def _tint(self) -> None:
        small = f"font-size: {theme.tokens.tiny}px"
        dim, ink = theme.tokens.text_dim, theme.tokens.text
        self._title.set_dimmed(not self._is_heard)
        self._value.setStyleSheet(f"color: {ink if self._is_heard else dim}; {small}")
        for label in (self._rank, self._data, self._usage):
            label.setStyleSheet(f"color: {dim}; {small}")

    def _set_heard(self, heard: bool) -> None:
        if heard != self._is_heard:
            self._is_heard = heard
            self.fader.set_dimmed(not heard)
            self.rank.set_dimmed(not heard)
            self.meter.set_dimmed(not heard)
            self._tint()
            self.update()

    def _show_value(self, level: float) -> None:
        is_null = self.hue == NULL_HUE
        self._value.setText("silence" if is_null else f"{level:.2f}")
        self.setAccessibleName("Null expert, says nothing" if is_null else f"{self.name}, {level:.2f}")

    # keyboard and mouse on the strip itself

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self.hue == NULL_HUE:
            super().keyPressEvent(event)
            return
        key = Qt.Key(event.key())
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(key, 0)
        if step and event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.move_wanted.emit(step)
        elif key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_wanted.emit()
        elif key == Qt.Key.Key_Space:
            self.lift_wanted.emit()
        elif key in LETTERS and not event.modifiers():
            self._buttons[LETTERS.index(key)].toggle()
        elif key in SLIDES:
            is_leap = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
            (self.rank.leap if is_leap else self.rank.step)(SLIDES[key])
        elif key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.fader.setFocus(Qt.FocusReason.TabFocusReason)
            QApplication.sendEvent(self.fader, event)
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self.hue == NULL_HUE:
            return
        menu = QMenu(self)
        menu.addAction("Move left", lambda: self.move_wanted.emit(-1))
        menu.addAction("Move right", lambda: self.move_wanted.emit(1))
        menu.addAction("Set to 1.0", lambda: self.fader.setValue(100))
        menu.addAction("Unlock" if self.lock.isChecked() else "Lock", self.lock.toggle)
        if self.rank.slides:
            menu.addAction("Slide its rank", self.ranks_wanted.emit)
        menu.addAction("Train its own gate", self.gate_wanted.emit)
        menu.addSeparator()
        menu.addAction("Remove from desk", self.remove_wanted.emit)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(event.globalPos())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.hue != NULL_HUE:
            self._press = event.position().toPoint()
        self.setFocus(Qt.FocusReason.MouseFocusReason)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._press is None:
            return
        distance = (event.position().toPoint() - self._press).manhattanLength()
        if distance >= QApplication.startDragDistance():
            self._press = None
            self.drag_wanted.emit()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._press = None

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        event.setAccepted(any(url.isLocalFile() for url in event.mimeData().urls()))

    def dropEvent(self, event: QDropEvent) -> None:
        path = next(url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile())
        event.acceptProposedAction()
        self.file_dropped.emit(path)

    def sizeHint(self) -> QSize:
        return QSize(WIDEST, 380)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        radius = theme.tokens.radius
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("surface"))
        painter.drawRoundedRect(QRectF(self.rect()), radius, radius)
        bar = QRectF(8, 6, self.width() - 16, BAR)
        fill_hue(painter, bar, self.hue, 1.0 if self._is_heard else 0.25, BAR / 2)
        if self.hasFocus():
            focus_ring(painter, QRectF(self.rect()))
        painter.end()
