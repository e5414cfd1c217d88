"""Base models, mixes and what lies on the disk, as rows: the words and figures of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QObject, Qt

from app.models.adapters import SOURCES
from app.models.hub import BASE_FITS
from app.models.rows import Index, Rows
from app.words import count, many, megabytes
from engine.messages import BaseCard, DiskItem, Fit, MixCard
from widgets.card import CardFace
from widgets.job_row import JobFace

__all__ = [
    "DISK_NAMES",
    "Disk",
    "Others",
    "OthersRoles",
    "Thing",
    "base_thing",
    "base_verdict",
    "mix_thing",
    "mix_verdict",
]

# place -> drawing, words
PLACES = {
    "adapters": ("library", "Adapter"),
    "bases": ("keep", "Base model"),
    "mixes": ("mixer", "Mix"),
    "speech": ("speech", "Speech model"),
    "clips": ("record", "Recording"),
    "jobs": ("activity", "Checkpoints and results of a job"),
    "data": ("file", "Data that a job learned from"),
    "trash": ("trash", "Removed; can be brought back until it is deleted for good"),
    "cache": ("folder", "Hugging Face cache, shared with other programs"),
}

# The same places as one calls many things in them.
DISK_NAMES = {
    "adapters": "Adapters",
    "bases": "Base models",
    "mixes": "Mixes",
    "speech": "Speech models",
    "clips": "Recordings",
    "jobs": "Jobs",
    "data": "Data",
    "trash": "Trash",
    "cache": "Hugging Face cache",
}


class OthersRoles(IntEnum):
    FACE = Qt.ItemDataRole.UserRole + 1
    NAME = Qt.ItemDataRole.UserRole + 2


@dataclass(frozen=True)
class Thing:
    """One row: ``spoken`` says it to those who do not see the ``face``."""

    name: str
    face: CardFace
    spoken: str
    why: str = ""


class Others(Rows[Thing]):
    """Base models or mixes."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(lambda thing: thing.name, parent)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        thing = self.item(index)
        if thing is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole | OthersRoles.NAME:
                return thing.name
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return thing.spoken
            case Qt.ItemDataRole.ToolTipRole:
                return thing.why or None
            case OthersRoles.FACE:
                return thing.face
        return None


def base_verdict(card: BaseCard, fits: Mapping[str, Fit]) -> tuple[str, str, str]:
    """(word, colour token, sentence): whether this machine's memory holds a base."""
    if card.missing:
        return "Files missing", "bad", "Its files are not where they were."
    fit = fits.get(card.name)
    return (*BASE_FITS[fit.verdict], fit.reason) if fit else ("Looking", "text_dim", "")


def base_thing(card: BaseCard, fits: Mapping[str, Fit], current: str) -> Thing:
    word, token, why = base_verdict(card, fits)
    source = f"{megabytes(card.bytes)}   {card.repo or SOURCES.get(card.source, card.source)}"
    marks = [("check", "in use")] if card.name == current else []
    lines = (card.architecture, f"{many(card.parameters)} parameters", source)
    return Thing(
        name=card.name,
        face=CardFace(
            title=card.name, about=None, lines=lines, verdict=word, token=token, marks=tuple(marks)
        ),
        spoken=". ".join(part.rstrip(".") for part in (word, why, *lines) if part),
        why=why,
    )


def mix_verdict(card: MixCard) -> tuple[str, str, str]:
    """(word, colour token, sentence): whether a mix can be played, and whether its routing is sound."""
    if card.missing:
        return "Files missing", "bad", "Its files are not where they were."
    return ("Collapsed", "warn", card.warning) if card.warning else ("Plays", "good", "")


def mix_thing(card: MixCard) -> Thing:
    word, token, why = mix_verdict(card)
    lines = (card.base, f"Router of {many(card.router_parameters)}", card.made)
    face = CardFace(title=card.name, about=", ".join(card.experts), lines=lines, verdict=word, token=token)
    experts = f"{count(len(card.experts), 'expert')}: {', '.join(card.experts)}"
    spoken = ". ".join(part.rstrip(".") for part in (word, why, experts, *lines) if part)
    return Thing(name=card.name, face=face, spoken=spoken, why=why)


class Disk(Rows[DiskItem]):
    """What lies on the disk, largest first, each with a bar beside that of the largest."""

    def __init__(self, named: Callable[[DiskItem], str], parent: QObject | None = None) -> None:
        """``named`` says what an item is called, where its own name is a number for machines."""
        super().__init__(lambda item: item.path, parent)
        self._named = named
        self._most = 1

    def show(self, items: Sequence[DiskItem]) -> None:
        self._most = max((item.bytes for item in items), default=1) or 1
        super().show(items)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        item = self.item(index)
        if item is None:
            return None
        drawing, words = PLACES[item.place]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return self._named(item)
            case Qt.ItemDataRole.AccessibleDescriptionRole:
                return f"{megabytes(item.bytes)}. {words}"
            case Qt.ItemDataRole.ToolTipRole:
                return item.path
            case OthersRoles.FACE:
                return JobFace(
                    mark=drawing,
                    token="text_dim",
                    title=self._named(item),
                    words=words,
                    figures=megabytes(item.bytes),
                    share=item.bytes / self._most,
                )
        return None
