"""Files that appear whole or not at all (temp, sync, rename, sync of the parent), and streamed hashes."""

from __future__ import annotations

import contextlib
import errno
import glob
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.formats.errors import StudioError

__all__ = ["atomic_folder", "explain_os_error", "sha256_file", "sync_file", "sync_folder", "write_file"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_CHUNK = 1 << 20
PARTIAL = ".partial"


def explain_os_error(error: OSError, doing: str) -> StudioError:
    """``error`` as a sentence about what was being done ("saving the adapter")."""
    where = f" ({error.filename})" if error.filename else ""
    detail = f"{type(error).__name__}: {error}"
    if error.errno in _FULL:
        return StudioError(
            "disk",
            f"The disk is full, so {doing} was not finished.",
            "Free some space and try again; nothing that was there before has changed.",
            detail,
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StudioError(
            "disk",
            f"The folder may not be written to, so {doing} was not finished{where}.",
            "Choose another folder or change its permissions.",
            detail,
        )
    if error.errno == errno.EIO:
        return StudioError(
            "disk",
            f"The disk reported an error, so {doing} was not finished.",
            "Check the disk, then try again; nothing that was there before has changed.",
            detail,
        )
    return StudioError(
        "disk",
        f"The system refused while {doing}{where}: {error.strerror or error}.",
        "Check the path and try again.",
        detail,
    )


def sync_file(path: Path) -> None:
    """Flush one file's bytes to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk (Windows has no such call and does it by itself)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_folder(
    target: Path, *, tmp: Path | None = None, replace: bool = False, doing: str = "saving"
) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` when the block ends well, and vanishes when it does not.

    ``tmp`` is where the temporary folder lies (same filesystem; default: beside the target). Files are
    readable by everyone (0644) as ordinary files are. StudioError(code="disk") when the system refuses or
    ``target`` exists and ``replace`` is false. With ``replace`` the old folder is moved aside first, so a
    crash leaves the old or the new one, or the old one under ``.NAME.old`` beside it.
    """
    parent = target.parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        (tmp or parent).mkdir(parents=True, exist_ok=True)
        _sweep(tmp or parent, target.name)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=PARTIAL, dir=tmp or parent))
    except OSError as error:
        raise explain_os_error(error, doing) from error
    try:
        with _held(work):
            yield work
            _settle(work)
            _move_in(work, target, replace)
        sync_folder(parent)
    except OSError as error:
        raise explain_os_error(error, doing) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _sweep(folder: Path, name: str) -> None:
    """Remove what earlier attempts at ``name`` that were killed have left behind."""
    for left in folder.glob(f".{glob.escape(name)}.*{PARTIAL}"):
        with contextlib.suppress(OSError), _held(left) as mine:  # its maker may just have ended
            if mine:
                shutil.rmtree(left)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Whether ``folder`` could be locked, as nobody else holds it; the lock ends with the block, and with the
    process. Windows locks no folders, so there nothing is known to be left behind."""
    if os.name == "nt":
        yield False
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def _settle(work: Path) -> None:
    work.chmod(0o755)
    for path in sorted(work.rglob("*"), reverse=True):
        if path.is_symlink():
            raise OSError(errno.ELOOP, "a link has no place in a finished folder", str(path))
        if path.is_dir():
            sync_folder(path)
        else:
            path.chmod(0o644)
            sync_file(path)
    sync_folder(work)


def _move_in(work: Path, target: Path, replace: bool) -> None:
    if not target.exists():
        work.rename(target)
        return
    if not replace:
        raise FileExistsError(errno.EEXIST, "a folder of this name is already there", str(target))
    aside = target.with_name(f".{target.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    target.rename(aside)
    try:
        work.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def write_file(path: Path, data: bytes, *, mode: int = 0o644, doing: str = "saving") -> None:
    """Write ``data`` to ``path`` so that readers see the old bytes or the new, also after a power cut."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise explain_os_error(error, doing) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise explain_os_error(error, doing) from error
    finally:
        Path(name).unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file in hex, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
