"""A guard that fails a test when looking at a stranger's file does more than read it."""

import sys
import threading
import time
from pathlib import Path

import pytest
import regex

_FORBIDDEN = (
    "exec", "compile", "import", "socket", "subprocess", "os.system", "os.exec", "os.fork", "os.posix_spawn",
    "ctypes.dlopen", "pickle.find_class", "marshal.loads", "mmap", "os.remove", "os.rename", "os.mkdir",
    "os.link", "os.symlink", "os.chmod", "shutil",
)  # fmt: skip


class Guard:
    """While ``folder`` is set, everything but reading in it is noted, except of ``others``, threads that have
    work of their own. An audit hook cannot be taken out again, so there is one for the session."""

    def __init__(self):
        self.folder: Path | None = None
        self.seen: list[str] = []
        self.others: set[int] = set()

    def hook(self, event, arguments):
        if self.folder is None or threading.get_ident() in self.others:
            return
        if event == "open":
            path, mode, flags = arguments
            if isinstance(path, int):
                return
            inside = Path(path.decode() if isinstance(path, bytes) else path).absolute()
            if not inside.is_relative_to(self.folder) or (mode and set(mode) & set("wax+")) or flags & 3:
                self.seen.append(f"open {path} {mode} {flags}")
        elif event.startswith(_FORBIDDEN):
            self.seen.append(f"{event} {str(arguments)[:200]}")


@pytest.fixture(scope="session")
def audit():
    # It imports as it compiles, and Qt's binding reads the source of whoever imports for the first time.
    regex.compile("a|b")
    guard = Guard()
    sys.addaudithook(guard.hook)
    return guard


@pytest.fixture
def watched(audit, tmp_path):
    """Runs a function that may only read in the test's folder, within a few seconds."""

    def run(work, *arguments):
        audit.others = sys._current_frames().keys() - {threading.get_ident()}
        audit.folder, audit.seen = tmp_path, []
        began = time.process_time()
        try:
            return work(*arguments)
        finally:
            audit.folder = None
            assert audit.seen == []
            assert time.process_time() - began < 4

    return run
