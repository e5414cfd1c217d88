"""The starter pack that comes with the program: a base, experts and data, used in place and never written."""

from __future__ import annotations

from pathlib import Path

import msgspec

import resources
from engine.formats.dataset import describe
from engine.messages import DataSet

__all__ = ["STARTER", "Starter"]

STARTER = Path(next(iter(resources.__path__))) / "starter"


class _Manifest(msgspec.Struct):
    base: str
    tasks: list[str]
    experts: dict[str, dict[str, str]]


class _Listed(msgspec.Struct):
    name: str
    file: str
    description: str = ""


class Starter:
    """Read access to one starter pack: ``base`` names its model, which lies in ``base_folder``.

    Each of ``tasks`` has an expert of the same name and the data sets NAME.train and NAME.heldout.
    ``hashes`` are the SHA-256 of each expert's files as they were made.

    ``problem`` is a sentence when the pack is missing or damaged, and the pack is then empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problem = ""
        self.base = ""
        self.base_folder = folder / "base"
        self.tasks: list[str] = []
        self.hashes: dict[str, dict[str, str]] = {}
        self._data: dict[str, _Listed] = {}
        try:
            manifest = msgspec.json.decode((folder / "starter.json").read_bytes(), type=_Manifest)
            index = msgspec.json.decode((folder / "data" / "index.json").read_bytes(), type=list[_Listed])
        except (OSError, msgspec.DecodeError) as error:
            self.problem = f"The starter pack is missing or damaged ({error}). Install Adapter Studio again."
            return
        self.base, self.tasks, self.hashes = manifest.base, manifest.tasks, manifest.experts
        self._data = {listed.name: listed for listed in index}

    def adapters(self) -> list[Path]:
        """The folders of the experts, by name."""
        room = self.folder / "adapters"
        return sorted(path for path in room.iterdir() if path.is_dir()) if self.base else []

    def data(self, name: str) -> Path | None:
        """The file of a data set, or None when there is none of this name."""
        listed = self._data.get(name)
        return self.folder / "data" / listed.file if listed else None

    def data_sets(self) -> list[DataSet]:
        """All data sets, read to their ends."""
        return [
            msgspec.structs.replace(
                describe(self.folder / "data" / listed.file), name=listed.name, description=listed.description
            )
            for listed in self._data.values()
        ]
