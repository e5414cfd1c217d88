"""Whether an adapter is what came in, holds numbers, and changes anything; and which ones are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from engine.formats.adapter_file import GATE, WEIGHTS, AdapterFile, inspect_folder, read_folder
from engine.formats.errors import AdapterError
from engine.formats.files import sha256_file
from engine.formats.numbers import Numbers, look_at_numbers
from engine.messages import Inspection, Verification
from engine.supervisor.entry import Entry

__all__ = ["Sound", "Twin", "check_sound", "look_into", "twin_of", "verify_entry", "weights_of"]

SILENT = "It has no effect: every B is zero, as before training."


@dataclass(frozen=True)
class Sound:
    """An adapter whose folder was read strictly and whose numbers are numbers."""

    file: AdapterFile
    numbers: Numbers

    @property
    def silent(self) -> bool:
        """Whether it changes nothing on any base: of every pair one factor is zero, and nothing is beside."""
        quiet = self.numbers.silent
        return not self.file.contents.replaced and all(
            (landing.a.name in quiet or landing.b.name in quiet)
            and landing.magnitude is None
            and (landing.bias is None or landing.bias.name in quiet)
            for landing in self.file.landings
        )


def check_sound(folder: Path) -> Sound:
    """Read everything of an adapter. AdapterError when it is refused, or holds NaN or infinity."""
    sound = Sound(read_folder(folder), look_at_numbers(folder / WEIGHTS))
    if broken := sound.numbers.broken:
        others = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        raise AdapterError(
            f"It holds numbers that are none (NaN or infinity), in {broken[0][:160]}{others}.",
            "Its training went wrong, or the file was damaged: fetch or train it again.",
        )
    return sound


def look_into(path: Path) -> Inspection:
    """What ``inspect_folder`` says of a folder or file, and whether its numbers are numbers: what would be
    refused when it comes in is refused before. Those of one that has to be converted are read then."""
    seen = inspect_folder(path)
    if seen.verdict != "ok":
        return seen
    try:
        sound = check_sound(path if path.is_dir() else path.parent)
    except AdapterError as error:
        return replace(seen, verdict="refuse", reason=str(error))
    except OSError as error:
        return replace(seen, verdict="refuse", reason=f"It cannot be read: {error.strerror or error}.")
    return replace(seen, reason=f"{seen.reason} {SILENT}") if sound.silent else seen


def weights_of(folder: Path) -> str:
    """The digest of an adapter's numbers."""
    return look_at_numbers(folder / WEIGHTS).digest


def verify_entry(entry: Entry) -> tuple[Verification, Sound | None]:
    """Compare an adapter's files with the hashes taken when they came in, then look at its numbers; these too
    where they are numbers."""
    folder, sound, unchanged = Path(entry.card.path), None, f"{len(entry.files)} files unchanged."
    try:
        if fault := _changed(folder, entry.files):
            ok, detail = False, fault
        else:
            sound = check_sound(folder)
            ok, detail = not sound.silent, f"{unchanged} {SILENT}" if sound.silent else unchanged
    except AdapterError as error:
        ok, detail = False, f"{unchanged} {error}"
    except OSError as error:
        ok, detail = False, f"It cannot be read: {error.strerror or error}."
    return Verification(name=entry.card.name, ok=ok, detail=detail), sound


def _changed(folder: Path, files: Mapping[str, str]) -> str:
    """The first of ``files`` that is not what it was, in a sentence."""
    for file, expected in files.items():
        if not (folder / file).is_file():
            return f"{file} is missing."
        if sha256_file(folder / file) != expected:
            return f"{file} is not what it was when it came in."
    return ""


@dataclass(frozen=True)
class Twin:
    """Another adapter with the same weights: ``how`` it differs, "" when it says the very same."""

    name: str
    how: str
    removed: bool = False

    @property
    def sentence(self) -> str:
        return f"It has the same weights as {self.name}{f', {self.how}' if self.how else ''}."


def twin_of(file: AdapterFile, others: Iterable[Entry]) -> Twin | None:
    """How ``file`` differs from the likest of ``others``, which hold the same weights."""
    twins = [
        Twin(entry.card.name, _difference(file, Path(entry.card.path)), entry.removed) for entry in others
    ]
    return min(twins, key=lambda twin: bool(twin.how), default=None)


def _difference(file: AdapterFile, other: Path) -> str:
    there = read_folder(other)
    mine = {landing.module: landing.scale for landing in file.landings}
    theirs = {landing.module: landing.scale for landing in there.landings}
    ratios = {round(mine[module] / theirs[module], 6) for module in mine}
    if len(ratios) > 1:
        return "at other strengths"
    if ratios != {1.0}:
        return f"at {ratios.pop():.3g} times its strength"
    if file.cutting != there.cutting:
        return "cut otherwise to lower ranks"
    gates = [folder / GATE for folder in (file.folder, other)]
    hashes = {sha256_file(gate) if gate.is_file() else "" for gate in gates}
    return "with another gate of its own" if len(hashes) > 1 else ""
