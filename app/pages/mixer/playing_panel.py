"""Which mix plays and how: soft or top-k, how many experts, how strong."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.pages.mixer.fields import fill, heading, narrow, quietly, rows
from app.presenters.mixer import Mixer
from widgets.number_field import decimal_field, whole_field

__all__ = ["PlayingPanel"]

STATIC = "Static faders"


class PlayingPanel(QWidget):
    """The upper part of the router panel."""

    def __init__(self, mixer: Mixer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._mixer = mixer
        self.mix = QComboBox(objectName="mixer.router.mix", accessibleName="Mix that plays")
        self.soft = QPushButton("Soft", objectName="mixer.router.soft", checkable=True)
        self.soft.setToolTip("Every expert speaks as loudly as the router says")
        self.topk = QPushButton("Top-k", objectName="mixer.router.topk", checkable=True)
        self.topk.setToolTip("Only the k loudest experts speak at each token")
        self._modes = QButtonGroup(self)
        for button, words in ((self.soft, "Soft gates"), (self.topk, "Top-k gates")):
            button.setAccessibleName(words)
            self._modes.addButton(button)
        self.k = whole_field("mixer.router.k", "Experts heard per token", 1, 16)
        self.k.setToolTip("How many experts may speak at one token")
        self.strength = decimal_field("mixer.router.strength", "Strength of the mix", 0.0, 4.0, 0.1, 1)
        self.strength.setToolTip("How loudly the whole mix speaks over the base; 1.0 as it was trained")
        self._compose()
        self._connect()
        self._show()

    def _compose(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(heading("Router"))
        column.addWidget(narrow(self.mix))
        modes = QHBoxLayout()
        modes.setSpacing(8)
        modes.addWidget(self.soft, 1)
        modes.addWidget(self.topk, 1)
        column.addLayout(modes)
        column.addLayout(rows({"Experts heard": self.k, "Strength": self.strength}))

    def _connect(self) -> None:
        mixer = self._mixer
        self.mix.activated.connect(self._open_mix)
        self._modes.buttonClicked.connect(
            lambda _: mixer.set_router(mode="topk" if self.topk.isChecked() else "soft")
        )
        self.k.valueChanged.connect(lambda k: mixer.set_router(top_k=k))
        self.strength.valueChanged.connect(lambda strength: mixer.set_router(strength=round(strength, 2)))
        mixer.desk_changed.connect(self._show)

    def _show(self) -> None:
        mixer, router = self._mixer, self._mixer.desk.router
        with quietly(self.k, self.strength):
            self.k.setValue(router.top_k)
            self.strength.setValue(router.strength)
        (self.topk if router.mode == "topk" else self.soft).setChecked(True)
        has_router = mixer.playing.has_router
        for widget in (self.soft, self.topk, self.strength):
            widget.setEnabled(has_router)
        self.k.setEnabled(has_router and router.mode == "topk")
        base = mixer.desk.base or mixer.base
        names = [card.name for card in mixer.stock.mixes.values() if base in ("", card.base)]
        fill(self.mix, [(STATIC, ""), *((name, name) for name in names)], mixer.desk.mix)

    def _open_mix(self) -> None:
        name = str(self.mix.currentData())
        if name:
            self._mixer.open_mix(name)
        else:
            self._mixer.close_mix()
