"""Which mix plays and how; who joins it or leaves it; the way out of the studio for it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.pages.fields import fill, heading, narrow, quietly, rows
from app.presenters.mixer import Mixer
from app.presenters.playing import listed
from widgets.choice import Choice
from widgets.icon_button import IconButton
from widgets.name_field import NameField
from widgets.number_field import decimal_field, whole_field

__all__ = ["PlayingPanel"]

STATIC = "Static faders"
WORDS = 168
NUMBER = 76
BUTTON = 32
MODES = {
    "soft": ("Soft", "Every expert speaks as loudly as the router says"),
    "topk": ("Top-k", "Only the k loudest experts speak at each token"),
    "hard": ("Hard", "Only the first expert speaks at each token, whole"),
}


class PlayingPanel(QWidget):
    """The upper part of the router panel. ``export_wanted``: the mix on the desk is to go elsewhere."""

    export_wanted = Signal()

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.mix = narrow(QComboBox(objectName="mixer.router.mix", accessibleName="Mix that plays"))
        self.export = IconButton("export", "Export this mix", "mixer.router.export")
        self.rename = IconButton("edit", "Rename this mix  F2", "mixer.router.rename")
        self.remove = IconButton("trash", "Remove this mix; undo brings it back", "mixer.router.remove")
        self.name = NameField("mixer.router.called", "Name of the mix")
        self.name.setProperty("role", "")  # here it is a field, no title
        self.mode = Choice("mixer.router.mode", "Gates", MODES)
        self.k = whole_field("mixer.router.k", "Experts heard per token", 1, 16)
        self.k.setToolTip("How many experts may speak at one token")
        self.renormalise = QCheckBox(
            "", objectName="mixer.router.renormalise", accessibleName="Share out anew"
        )
        self.renormalise.setToolTip(
            "The k loudest get the part of those that were left out; "
            "otherwise all are quieter than they were trained"
        )
        self.strength = decimal_field("mixer.router.strength", "Strength of the mix", 0.0, 4.0, 0.1, 1)
        self.strength.setToolTip("How loudly the whole mix speaks over the base; 1.0 as it was trained")
        self.bring = QPushButton(objectName="mixer.router.bring", accessibleName="Bring into the mix")
        self.without = QPushButton(objectName="mixer.router.without", accessibleName="Make a mix without")
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        head = QHBoxLayout()
        head.setSpacing(0)
        head.addWidget(heading("Router"), 1)
        for button in (self.rename, self.export, self.remove):
            head.addWidget(button)
        head.addStrut(BUTTON)
        self.name.hide()
        column.addLayout(head)
        column.addWidget(self.mix)
        column.addWidget(self.name)
        column.addWidget(self.mode)
        self._topk = QWidget()
        topk = rows({"Experts heard": self.k, "Share out anew": self.renormalise}, NUMBER)
        self._topk.setLayout(topk)
        column.addWidget(self._topk)
        column.addLayout(rows({"Strength": self.strength}, NUMBER))
        column.addWidget(self.bring)
        column.addWidget(self.without)

    def _connect(self) -> None:
        mixer = self._mixer
        self.mix.activated.connect(self._open_mix)
        self.export.clicked.connect(self.export_wanted)
        self.rename.clicked.connect(self.write_name)
        self.name.renamed.connect(lambda to: mixer.rename_mix(mixer.desk.mix, to))
        self.name.left.connect(self._leave_name)
        self.remove.clicked.connect(lambda: mixer.remove_mix(mixer.desk.mix))
        self.mode.chosen.connect(lambda mode: mixer.set_router(mode=mode))
        self.k.valueChanged.connect(lambda k: mixer.set_router(top_k=k))
        self.renormalise.toggled.connect(lambda on: mixer.set_router(renormalise=on))
        self.strength.valueChanged.connect(lambda strength: mixer.set_router(strength=round(strength, 2)))
        self.bring.clicked.connect(mixer.bring_in)
        self.without.clicked.connect(lambda: mixer.leave_out(mixer.playing.absent[0]))
        mixer.desk_changed.connect(self._show)
        mixer.training.changed.connect(self._show_offers)

    def _show(self) -> None:
        mixer, router = self._mixer, self._mixer.desk.router
        with quietly(self.k, self.strength, self.renormalise):
            self.k.setValue(router.top_k)
            self.strength.setValue(router.strength)
            self.renormalise.setChecked(router.renormalise)
        self.mode.choose(router.mode)
        has_router = mixer.playing.has_router
        self.mode.setEnabled(has_router)
        self.strength.setEnabled(has_router)
        self._topk.setVisible(has_router and router.mode == "topk")
        base = mixer.desk.base or mixer.base
        names = [card.name for card in mixer.stock.mixes.values() if base in ("", card.base)]
        fill(self.mix, [(STATIC, ""), *((name, name) for name in names)], mixer.desk.mix)
        self.mix.setToolTip(mixer.desk.mix or "Every expert speaks at its fader, whatever the text")
        self.name.show_name(mixer.desk.mix)
        for button in (self.rename, self.export, self.remove):
            self._offer(button, mixer.mix is not None)
        self._show_offers()

    def _show_offers(self) -> None:
        """What can be done where desk and mix do not have the same experts."""
        mixer, playing = self._mixer, self._mixer.playing
        strangers = playing.strangers
        self._offer(self.bring, bool(strangers) and not mixer.training.is_open)
        self._offer(self.without, mixer.mix is not None and bool(playing.absent) and not strangers)
        if strangers and playing.router is not None:
            data = f" on {mixer.data.name}" if mixer.data else ""
            _label(self.bring, f"Bring {listed(strangers)} into the mix")
            self.bring.setToolTip(
                f"Train {playing.router.name} further{data}: only what it says about {listed(strangers)} is "
                "learned, the rest stays. A new mix is made"
            )
        if playing.absent:
            _label(self.without, f"Make a mix without {playing.absent[0]}")
            self.without.setToolTip(
                f"Make a new mix without {playing.absent[0]}; nothing is trained, the others share its part"
            )

    def _offer(self, button: QWidget, on: bool) -> None:
        """Show a button or not; one that goes leaves the keyboard in this panel."""
        had_focus = button.hasFocus()
        button.setVisible(on)
        if had_focus and not on:
            self.mix.setFocus(Qt.FocusReason.OtherFocusReason)

    def write_name(self) -> None:
        """Let a person write another name in the place of the mix that plays."""
        if self._mixer.mix is not None:
            self.mix.hide()
            self.name.show()
            self.name.write()

    def _leave_name(self) -> None:
        had_focus = self.name.hasFocus()
        self.mix.show()
        self.name.hide()
        if had_focus:
            self.mix.setFocus(Qt.FocusReason.OtherFocusReason)

    def _open_mix(self) -> None:
        name = str(self.mix.currentData())
        if name:
            self._mixer.open_mix(name)
        else:
            self._mixer.close_mix()


def _label(button: QPushButton, words: str) -> None:
    """As many of the words as there is room for; readers hear all."""
    button.setText(button.fontMetrics().elidedText(words, Qt.TextElideMode.ElideMiddle, WORDS))
    button.setAccessibleName(words)
