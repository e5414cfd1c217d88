"""Where the files of a download grow, and where they lie when they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from engine.formats.adapter_file import is_foreign
from engine.formats.base_config import check_config, check_whisper, parse_object
from engine.formats.errors import StudioError
from engine.formats.files import sync_folder
from engine.hub.cache import Cache
from engine.hub.fetch import Control, Digest, fetch
from engine.hub.kept import PARTIAL, WHOLE
from engine.hub.plan import Plan, PlannedFile
from engine.hub.source import Source

__all__ = ["Place", "place_of"]


class Place(Protocol):
    """``folder`` lies on the disk that has to have the space: for the files, and ``extra`` bytes later."""

    folder: Path
    extra: int

    def there(self, file: PlannedFile) -> int:
        """How many bytes of a file need not be fetched."""

    def bring(self, file: PlannedFile, source: Source, control: Control) -> str:
        """Fetch what is missing of a file, check it and put it where it belongs. Returns its SHA-256."""

    def finish(self, revision: str) -> Path:
        """Look at all of it, and make it whole. Returns the folder that it is in now."""


def place_of(plan: Plan, folder: Path) -> Place:
    """The place of a download whose job has ``folder``."""
    return _Quarantine(plan, folder) if plan.room == "adapters" else _Blobs(plan)


class _Quarantine:
    """An adapter stays in the job's folder until it has been looked at and taken in. What the cache already
    has of it is copied."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan, self._cache = plan, Cache()
        self.folder, self._partial = folder / WHOLE, folder / PARTIAL
        self.extra = plan.size  # the library takes in a copy, and only then is this one cleared away
        self.folder.mkdir(exist_ok=True)
        self._partial.mkdir(exist_ok=True)

    def there(self, file: PlannedFile) -> int:
        if self._cached(file):
            return file.size
        return max(_size(self.folder / file.name), _size(self._partial / file.name))

    def bring(self, file: PlannedFile, source: Source, control: Control) -> str:
        whole, partial = self.folder / file.name, self._partial / file.name
        if whole.exists():  # but it was not noted that it is as it should be
            whole.replace(partial)
        if (cached := self._cached(file)) and not partial.exists():
            control.say(f"Copying {file.name} from the Hugging Face cache")
            _copy(cached, partial, control)
        sha256 = fetch(file, partial, source, control)
        partial.replace(whole)
        sync_folder(self.folder)
        return sha256

    def finish(self, revision: str) -> Path:
        is_foreign(self.folder)  # which raises; what can be converted the library will
        return self.folder

    def _cached(self, file: PlannedFile) -> Path | None:
        blob = self._cache.blob(self._plan.repo, file.etag)
        return blob if _size(blob) == file.size > 0 else None


class _Blobs:
    """A base or a Whisper lies in the Hugging Face cache, by ETag; other programs use it there too."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._cache = plan, Cache()
        self.folder, self.extra = self._cache.root, 0

    def there(self, file: PlannedFile) -> int:
        repo, etag = self._plan.repo, file.etag
        return max(_size(self._cache.blob(repo, etag)), _size(self._cache.partial(repo, etag)))

    def bring(self, file: PlannedFile, source: Source, control: Control) -> str:
        repo, etag = self._plan.repo, file.etag

        def waiting() -> None:
            control.say(f"Waiting for another program that fetches {file.name}")
            control.check()

        with self._cache.held(repo, etag, waiting):
            if self._cache.blob(repo, etag).exists():
                if sha256 := self._checked(file, control):
                    return sha256
                control.note(f"{file.name} was damaged in the Hugging Face cache and was fetched again.")
            partial = self._cache.partial(repo, etag)
            sha256 = fetch(file, partial, source, control)
            if file.name == "config.json":  # what cannot be used is refused before its weights come
                check = check_whisper if self._plan.room == "speech" else check_config
                check(parse_object(partial.read_bytes(), f"config.json of {repo}"), repo)
            try:
                self._cache.keep(repo, etag, partial)
            except FileNotFoundError as error:
                raise self._cleaned(file.name) from error
            return sha256

    def finish(self, revision: str) -> Path:
        plan = self._plan
        gone = [file.name for file in plan.files if not self._cache.blob(plan.repo, file.etag).exists()]
        if gone:
            raise self._cleaned(", ".join(gone))
        folder = self._cache.point(plan.repo, plan.commit, {file.name: file.etag for file in plan.files})
        self._cache.refer(plan.repo, revision, plan.commit)
        return folder

    def _cleaned(self, names: str) -> StudioError:
        return StudioError(
            "failed",
            f"{names} of {self._plan.repo} went from the Hugging Face cache in the meantime.",
            "Somebody has cleaned it. Resume: what is missing is fetched again.",
        )

    def _checked(self, file: PlannedFile, control: Control) -> str:
        """The SHA-256 of a blob that is what its name says, "" of one that is not."""
        control.say(f"Checking {file.name}")
        digest = Digest(file)
        with self._cache.blob(self._plan.repo, file.etag).open("rb", buffering=0) as blob:
            digest.follow(blob, control)
        return digest.sha256 if digest.fits() else ""


def _copy(source: Path, target: Path, control: Control) -> None:
    with source.open("rb") as whole, target.open("wb") as copy:
        while data := whole.read(1 << 20):
            control.check()
            copy.write(data)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
