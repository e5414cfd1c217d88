"""What a person said of clips, kept in the settings: which files, what is said in them, where mouths are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from engine.messages import MouthPlace

__all__ = ["ClipMemory"]


@dataclass(frozen=True)
class ClipMemory:
    """``files`` are the paths that a person brought, ``texts`` and ``places`` are by path, ``current`` is the
    clip that was looked at last."""

    files: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    places: dict[str, MouthPlace] = field(default_factory=dict)
    current: str = ""

    @classmethod
    def from_json(cls, text: str) -> ClipMemory:
        """What was kept; nothing where it cannot be read, as that of another version."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.DecodeError:
            return cls()

    def to_json(self) -> str:
        return msgspec.json.encode(self).decode()

    def with_files(self, paths: Sequence[str], place: int = 0) -> ClipMemory:
        """With these files, from ``place`` on."""
        others = [file for file in self.files if file not in paths]
        return replace(self, files=(*others[:place], *paths, *others[place:]))

    def with_text(self, path: str, text: str) -> ClipMemory:
        """Other words for a clip; "" too is an answer, which an example's own words do not override."""
        return replace(self, texts={**self.texts, path: text})

    def with_place(self, path: str, place: MouthPlace | None) -> ClipMemory:
        """Another mouth for a clip; None forgets it."""
        others = {of: where for of, where in self.places.items() if of != path}
        return replace(self, places=others if place is None else {**others, path: place})

    def without(self, path: str) -> ClipMemory:
        """As if nobody had brought that file; what was said of it stays, for whoever brings it again."""
        return replace(self, files=tuple(file for file in self.files if file != path))
