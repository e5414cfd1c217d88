"""A small window with what is being said, in large letters, over all others."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.presenters.captions import Captions
from widgets.caption_view import CaptionView
from widgets.facts import plain_label
from widgets.icon_button import IconButton, WordButton
from widgets.theme import theme

__all__ = ["CaptionsButton", "CaptionsWindow"]

SIZE = QSize(720, 200)
LETTERS = (20, 24, 28, 36, 44, 56)
ON_TOP = Qt.WindowType.Window | Qt.WindowType.WindowStaysOnTopHint
SPEAKS = {"audio": "by ear", "video": "from the lips", "both": "by ear and eye"}


class CaptionsButton(WordButton):
    """Opens the window, which is built when it is first wanted."""

    def __init__(self, captions: Captions, parent: QWidget | None = None) -> None:
        super().__init__("captions", "Live captions", "speech.captions.open", parent)
        self._captions = captions
        self.window_: CaptionsWindow | None = None
        self.setToolTip("What is said into the microphone, in large letters over all windows")
        self.clicked.connect(self.present)

    def present(self) -> None:
        """Show the window and begin to listen."""
        if self.window_ is None:
            self.window_ = CaptionsWindow(self._captions, self)
        self.window_.present()


class CaptionsWindow(QWidget):
    """``present()`` shows it and begins to listen; closing it ends that. Without its frame it is moved by
    dragging anywhere in it. Ctrl+Plus and Ctrl+Minus change the letters, Escape closes."""

    def __init__(self, captions: Captions, parent: QWidget | None = None) -> None:
        super().__init__(parent, ON_TOP)
        self._captions = captions
        self._letters = LETTERS[2]
        self.setObjectName("speech.captions")
        self.setWindowTitle("Captions")
        self.setAccessibleName("Live captions")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.resize(SIZE)
        self.setMinimumSize(360, 120)
        self.view = CaptionView("speech.captions.text", "What was said")
        self._who = plain_label("tiny")
        self._who.setObjectName("speech.captions.who")
        self.turn = QPushButton("Start", objectName="speech.captions.turn")
        self.frame = IconButton("pin", "Without a frame", "speech.captions.frame")
        self.frame.setCheckable(True)
        self.smaller = _letter_button("A\N{MINUS SIGN}", "Smaller letters", "Ctrl+-")
        self.larger = _letter_button("A+", "Larger letters", "Ctrl++")
        self.copy = IconButton("copy", "Copy all captions", "speech.captions.copy")
        self.leave = IconButton("close", "Close captions", "speech.captions.close")
        self._compose()
        self._connect()
        self._dress()
        self._show()

    def present(self) -> None:
        """Show the window and begin to listen."""
        self.show()
        self.activateWindow()
        self._captions.start()
        hand = self.turn if self.turn.isEnabled() else self.leave
        hand.setFocus(Qt.FocusReason.PopupFocusReason)

    def _compose(self) -> None:
        self._who.setMinimumWidth(1)
        foot = QHBoxLayout()
        foot.setSpacing(4)
        foot.addWidget(self._who, 1)
        for button in (self.turn, self.smaller, self.larger, self.copy, self.frame, self.leave):
            foot.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 12, 12, 8)
        column.setSpacing(4)
        column.addWidget(self.view, 1)
        column.addLayout(foot)

    def _connect(self) -> None:
        self.turn.clicked.connect(self._turn)
        self.frame.toggled.connect(self._set_frameless)
        self.smaller.clicked.connect(lambda: self._grow(-1))
        self.larger.clicked.connect(lambda: self._grow(1))
        self.copy.clicked.connect(self._copy)
        self.leave.clicked.connect(self.close)
        self._captions.changed.connect(self._show)
        theme.changed.connect(self._dress)

    def _turn(self) -> None:
        if self._captions.state.is_on:
            self._captions.stop()
        else:
            self._captions.start()

    def _set_frameless(self, on: bool) -> None:
        place = self.geometry()
        self.setWindowFlag(Qt.WindowType.FramelessWindowHint, on)
        self.setGeometry(place)
        self.show()
        self.frame.setFocus(Qt.FocusReason.OtherFocusReason)

    def _grow(self, steps: int) -> None:
        here = LETTERS.index(self._letters) + steps
        self._letters = LETTERS[max(0, min(here, len(LETTERS) - 1))]
        self.view.set_letters(self._letters)
        self._show_letters()

    def _show_letters(self) -> None:
        self.smaller.setEnabled(self._letters > LETTERS[0])
        self.larger.setEnabled(self._letters < LETTERS[-1])

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText("\n".join(self._captions.state.lines))

    def _dress(self) -> None:
        tokens = theme.tokens
        self.setStyleSheet(
            f"CaptionsWindow {{ background: {tokens.ground}; border: 1px solid {tokens.line} }}"
        )
        self.view.set_letters(self._letters)
        self._show_letters()

    def _show(self) -> None:
        captions, state = self._captions, self._captions.state
        self.view.show_lines(state.lines, state.partial, self._waiting_words())
        self.turn.setText("Stop" if state.is_on else "Start")
        self.turn.setAccessibleName(f"{self.turn.text()} live captions")
        self.turn.setEnabled(state.is_on or not captions.why_not)
        self.copy.setEnabled(bool(state.lines))
        self._who.setText(self._about())
        self._who.setToolTip(self._who.text())

    def _waiting_words(self) -> str:
        """What is said before the first caption: a sentence, then the next step."""
        state, card = self._captions.state, self._captions.card
        if state.is_on and state.is_opening and card is not None:
            return f"{card.name} is being opened. What you say is written as soon as it is."
        if state.is_on:
            return "Speak: what you say is written here when you pause."
        return self._captions.problem or "Captions are off. Press Start and speak."

    def _about(self) -> str:
        """Who listens, and how far behind; above all what is wrong, unless that stands in the middle."""
        captions, state = self._captions, self._captions.state
        if captions.problem and (state.lines or state.is_on):
            return captions.problem
        if captions.card is None:
            return ""
        if not state.is_on:
            return "Captions are off; what was written is kept." if state.lines else ""
        listens = f"{captions.card.name} listens {SPEAKS[captions.mode]}"
        if captions.card.kind == "demo":
            listens += ": synthetic voices, 51 words"
        if captions.late:
            return f"{captions.late:.0f} s behind, {state.waiting} to go. {listens}"
        if state.speaking:
            return f"Somebody speaks. {listens}"
        return f"{state.delay:.1f} s after the pause. {listens}" if state.delay else listens

    # --- hands ---

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.frame.isChecked() and event.button() == Qt.MouseButton.LeftButton:
            self.windowHandle().startSystemMove()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if event.key() == Qt.Key.Key_Escape:
            self.close()
        elif is_control and event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._grow(1)
        elif is_control and event.key() == Qt.Key.Key_Minus:
            self._grow(-1)
        else:
            super().keyPressEvent(event)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._captions.stop()
        super().closeEvent(event)


def _letter_button(words: str, described: str, keys: str) -> QPushButton:
    name = f"speech.captions.{described.split()[0].lower()}"
    button = QPushButton(words, objectName=name, accessibleName=described)
    button.setProperty("role", "quiet")
    button.setToolTip(f"{described}  {keys}")
    return button
