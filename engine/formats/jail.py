"""Work on a stranger's file in a child process that can do nothing else: it reads what it is given, writes
where it is told, and is killed when it takes too long.

Run as a module it is that child: it imports the module that does the work (one of ours), raises every wall
that the system has, and only then reads what it is to work on.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import msgspec

from engine import messages
from engine.formats import walls
from engine.formats.errors import AdapterError, DataError, StudioError
from engine.formats.files import explain_os_error

__all__ = ["run"]

_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "TMPDIR", "VIRTUAL_ENV")
_SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
MAX_ANSWER = 256 << 20
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


def run(
    module: str,
    work: bytes,
    *,
    seconds: float,
    memory: int,
    read: Sequence[Path] = (),
    write: Sequence[Path] = (),
    file_size: int = MAX_ANSWER,
) -> bytes:
    """What ``module.in_jail(work)`` returns, worked out in a child.

    The child can open nothing but ``read`` (files or folders), the folders ``write`` and Python's own
    library, sees nothing of this process's environment, and has no network and no way to start a program:
    ``walls.available()`` says what of that this system can enforce. It may take ``seconds`` of time,
    ``memory`` bytes above what Python takes by itself, and write ``file_size`` bytes into a file. It dies
    with this process. A StudioError of the work's own, or a full disk, comes back as such; everything else
    that goes wrong is StudioError("refused") with the child's last words as detail.
    """
    order = {
        "module": module,
        "parent": os.getpid(),
        "seconds": seconds,
        "memory": memory,
        "read": [str(path) for path in read],
        "write": [str(path) for path in write],
        "file_size": file_size,
    }
    with ExitStack() as stack:
        inbox, outbox, log = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        inbox.write(json.dumps(order).encode() + b"\n" + work)
        inbox.seek(0)
        status = _outlive(inbox, outbox, log, seconds)
        outbox.seek(0)
        log.seek(max(0, log.seek(0, os.SEEK_END) - 4000))
        words = log.read().decode(errors="replace")
        return _open(outbox.read(file_size + 1), status, seconds, words)


def _outlive(inbox: IO[bytes], outbox: IO[bytes], log: IO[bytes], seconds: float) -> int | None:
    """Run the child to its end, or kill it after ``seconds``; its status, None where it was killed."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.formats.jail"],
        stdin=inbox,
        stdout=outbox,
        stderr=log,
        env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ} | _SETTINGS,
    )
    try:
        return child.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        child.kill()
        child.wait()


def _open(answer: bytes, status: int | None, seconds: float, words: str) -> bytes:
    if status is None:
        raise _stopped(f"it took longer than {seconds:g} s", f"timed out\n{words}")
    if status == 0 and answer[:1] == b"+":
        return answer[1:]
    if status == 0 and answer[:1] == b"-":
        raise _as_error(answer[1:])
    if "MemoryError" in words:
        raise _stopped("it took more memory than it may", words)
    raise _stopped(f"its process ended with status {status}", words)


def _stopped(reason: str, words: str) -> StudioError:
    return StudioError("refused", f"The work on this file was stopped: {reason}.", "Do not use it.", words)


def _as_error(raw: bytes) -> StudioError:
    try:
        error = msgspec.json.decode(raw, type=messages.Error)
    except msgspec.DecodeError as damaged:
        raise _stopped("its process gave an answer that is none", str(damaged)) from damaged
    if error.code == "data":
        return DataError(error.message, error.hint, error.detail)
    return AdapterError(error.message, error.hint, error.detail, code=error.code)


def _in_child() -> None:
    order: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    walls.die_with(order["parent"])
    module = importlib.import_module(order["module"])
    read, write = ([Path(path) for path in order[key]] for key in ("read", "write"))
    there = walls.available()
    walls.limit(memory=order["memory"], seconds=order["seconds"], file_size=order["file_size"])
    if "landlock" in there:
        # Python imports parts of its own library when they are first used (Counter: heapq).
        walls.close_files([*read, Path(sysconfig.get_path("stdlib"))], write)
    if "seccomp" in there:
        walls.close_system()
    try:
        answer = b"+" + module.in_jail(sys.stdin.buffer.read())
    except StudioError as error:
        answer = b"-" + msgspec.json.encode(error.as_message())
    except OSError as error:
        if error.errno not in _OF_THE_DISK:
            raise
        answer = b"-" + msgspec.json.encode(explain_os_error(error, "working on this file").as_message())
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    _in_child()
