"""Where everything of one studio lies, who may look, and the lock that lets one engine serve it."""

from __future__ import annotations

import getpass
import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import filelock
import msgspec
import platformdirs

from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error, write_file

__all__ = ["Announcement", "Home", "find_home", "process_lives"]

# The kernel's sun_path holds 108 bytes with the closing zero, and zmq silently truncates what is longer.
MAX_SOCKET_PATH = 107

LOCK_SECONDS = 30.0


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What ``engine.json`` says about the engine that runs here. ``socket`` is a zmq endpoint."""

    pid: int
    socket: str
    protocol: int
    detached: bool = False


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds one person's studio. Layout: docs/architecture.md."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "studio.db"

    @property
    def backup(self) -> Path:
        return self.root / "backup" / "studio.db"

    @property
    def announcement(self) -> Path:
        return self.root / "engine.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def adapters(self) -> Path:
        return self.root / "adapters"

    @property
    def bases(self) -> Path:
        return self.root / "bases"

    @property
    def mixes(self) -> Path:
        return self.root / "mixes"

    @property
    def speech(self) -> Path:
        return self.root / "speech"

    @property
    def clips(self) -> Path:
        return self.root / "clips"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def trash(self) -> Path:
        return self.root / "trash"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def prepare(self) -> None:
        """Create what is missing, for this user's eyes only. StudioError("disk") when the system refuses."""
        rooms = (
            self.root,
            self.backup.parent,
            self.logs,
            self.adapters,
            self.bases,
            self.mixes,
            self.speech,
            self.clips,
            self.data,
            self.jobs,
            self.trash,
            self.tmp,
        )
        try:
            for folder in rooms:
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o700)
        except OSError as error:
            raise explain_os_error(error, "preparing the studio's folder") from error

    def lock(self) -> filelock.BaseFileLock:
        """Become the one engine of this home, or StudioError("busy") naming the process that already is.

        Held by the operating system until the process ends, however it ends. An engine that has the lock but
        has not announced itself is on its way in or out: that is waited for.
        """
        lock = filelock.FileLock(self.root / "engine.lock")
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                lock.acquire(timeout=0)
                return lock
            except filelock.Timeout as error:
                running = self.read_announcement()
                if running or time.monotonic() > until:
                    who = f" (process {running.pid})" if running else ""
                    raise StudioError(
                        "busy",
                        f"An engine already runs on this folder{who}.",
                        "Use it, or stop it with `adapter-studio engine stop`.",
                        str(self.root),
                    ) from error
            time.sleep(0.05)

    def socket_path(self) -> Path:
        """Where to bind. A home whose path is too long for a socket gets a private folder elsewhere."""
        path = self.root / "engine.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        mark = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        run = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        folder = Path(run, f"adapter-studio-{getpass.getuser()}-{mark}")
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        # Somebody else could have made this predictable name first and would then own our socket.
        if folder.is_symlink() or seen.st_uid != os.getuid():
            raise StudioError(
                "refused",
                f"The folder for the engine's socket belongs to somebody else: {folder}.",
                "Remove it, or choose a shorter home with --home.",
            )
        folder.chmod(0o700)
        return folder / "engine.sock"

    def announce(self, announcement: Announcement) -> None:
        write_file(
            self.announcement,
            msgspec.json.encode(announcement),
            mode=0o600,
            doing="announcing the engine",
        )

    def read_announcement(self) -> Announcement | None:
        """The engine that says it runs here and whose process lives, or None."""
        try:
            said = msgspec.json.decode(self.announcement.read_bytes(), type=Announcement)
        except (OSError, msgspec.DecodeError):
            return None  # not there, or half written by one that died: no engine either way
        return said if process_lives(said.pid) else None

    def withdraw(self) -> None:
        self.announcement.unlink(missing_ok=True)


def process_lives(pid: int) -> bool:
    """Whether a process of this number runs (a dead one that nobody has waited for does not count)."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def find_home(option: str | Path | None = None) -> Home:
    """The home named by ``option``, else by ADAPTER_STUDIO_HOME, else where this system keeps such data."""
    named = option or os.environ.get("ADAPTER_STUDIO_HOME")
    root = (
        Path(named).expanduser() if named else platformdirs.user_data_path("adapter-studio", appauthor=False)
    )
    return Home(root.absolute())
