"""The settings of a training in one column; what means nothing beside the others says why and is at rest."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QGridLayout, QLabel, QSpinBox, QWidget

from app.pages.fields import FIELD, quietly, tiny
from app.pages.mixer.knobs import SETTINGS, Setting
from app.presenters.lesson import barred
from app.presenters.mixer import Mixer

__all__ = ["Settings"]

SIGNS = {-1: "Below 0: sharpens the gates.", 0: "", 1: "Above 0: flattens the gates."}


class Settings(QWidget):
    """Shows what the desk's lesson can be told, each setting under its label."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__()
        self._mixer = mixer
        self._rows: list[tuple[Setting, QLabel, QWidget]] = []
        self._sign = tiny("mixer.router.sign")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(4)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(0, 1)
        for setting in SETTINGS:
            self._add(setting)
            if setting.key == "entropy_weight":
                self._grid.addWidget(self._sign, self._grid.rowCount(), 0, 1, 2)
        mixer.desk_changed.connect(self._show)
        self._show()

    def _add(self, setting: Setting) -> None:
        field = setting.widget()
        field.setFixedWidth(FIELD)
        label = QLabel(setting.words)
        label.setBuddy(field)
        label.setProperty("role", "dim")
        row = self._grid.rowCount()
        self._grid.addWidget(label, row, 0)
        self._grid.addWidget(field, row, 1)
        self._rows.append((setting, label, field))
        match field:
            case QComboBox():
                field.activated.connect(lambda _: self._set(setting, field.currentData()))
            case QCheckBox():
                field.toggled.connect(lambda on: self._set(setting, on))
            case QSpinBox() | QDoubleSpinBox():
                field.valueChanged.connect(lambda value: self._set(setting, value))

    def _set(self, setting: Setting, value: object) -> None:
        if isinstance(value, float) and setting.range is not None:
            value = round(value, setting.range[3])
        change = self._mixer.set_joint if setting.of == "joint" else self._mixer.set_router
        change(**{setting.key: value})

    def _show(self) -> None:
        desk = self._mixer.desk
        reasons = barred(desk.router) if desk.lesson == "router" else {}
        for setting, label, field in self._rows:
            is_offered = setting.lesson in ("both", desk.lesson)
            reason = reasons.get(setting.key, "") if setting.of == "router" else ""
            for part in (label, field):
                part.setVisible(is_offered)
                part.setEnabled(not reason)
                part.setToolTip(reason or setting.tip)
            field.setAccessibleDescription(reason or setting.tip)
            _put(field, getattr(desk.joint if setting.of == "joint" else desk.router, setting.key))
        entropy = desk.router.entropy_weight
        self._sign.setText("" if "entropy_weight" in reasons else SIGNS[(entropy > 0) - (entropy < 0)])
        self._sign.setVisible(bool(self._sign.text()))


def _put(field: QWidget, value: object) -> None:
    """Show a value without saying that a person chose it."""
    with quietly(field):
        match field:
            case QComboBox():
                field.setCurrentIndex(field.findData(value))
            case QCheckBox():
                field.setChecked(bool(value))
            case QSpinBox() | QDoubleSpinBox():
                field.setValue(value)
