"""A box for one number, named for readers, its figures set off from its edge."""

from __future__ import annotations

from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox

from widgets.still import still

__all__ = ["decimal_field", "whole_field"]

INSET = 6


def whole_field(name: str, words: str, least: int, most: int, step: int = 1) -> QSpinBox:
    """A whole number of ``least`` to ``most``; ``name`` is the widget's, ``words`` what readers say."""
    field = QSpinBox(objectName=name, accessibleName=words)
    field.setRange(least, most)
    field.setSingleStep(step)
    field.lineEdit().setTextMargins(INSET, 0, 0, 0)  # the style sheet has no say over what is inside the box
    return still(field)


def decimal_field(
    name: str, words: str, least: float, most: float, step: float, decimals: int
) -> QDoubleSpinBox:
    """A number with ``decimals`` places; arrows change it by ``step``."""
    field = QDoubleSpinBox(objectName=name, accessibleName=words)
    field.setDecimals(decimals)
    field.setRange(least, most)
    field.setSingleStep(step)
    field.lineEdit().setTextMargins(INSET, 0, 0, 0)
    return still(field)
