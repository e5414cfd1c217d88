"""The kernel's walls round a process, raised by itself and never lowered again: Landlock and seccomp (Linux)
through ctypes, and resource limits where the system has them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["available", "close_files", "close_system", "die_with", "limit"]

# Landlock's system calls have the same numbers everywhere (linux/landlock.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_WRITE_FILE, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 1, 1 << 5, 1 << 8, 1 << 14
_RIGHTS = {
    1: 13,
    2: 14,
    3: 15,
    4: 15,
}  # kinds of access to files that each version knows; 16 from the fifth on
_SET_PDEATHSIG, _SET_DUMPABLE, _SET_SECCOMP, _SET_NO_NEW_PRIVILEGES = 1, 4, 22, 38
_SECCOMP, _GET_ACTION_AVAILABLE = {"x86_64": 317, "aarch64": 277}, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # EPERM
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# All that a Python that only computes asks of the system: memory, its open files, time. Opening a file and
# renaming one are Landlock's to judge. Whatever is not here (sockets, exec, fork, threads, ptrace, signals,
# modes and owners, limits, mounts, io_uring ...) is refused.
_CALLS = {
    "x86_64": (
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 24, 25, 26, 28, 32, 33, 35,
        39, 60, 63, 72, 74, 75, 76, 77, 78, 79, 82, 83, 87, 89, 95, 96, 98, 99, 100, 102, 104, 107, 108, 110,
        131, 158, 186, 201, 202, 204, 217, 219, 228, 229, 230, 231, 257, 258, 262, 263, 264, 267, 269, 273,
        292, 316, 318, 332, 334, 439,
    ),
    "aarch64": (
        17, 23, 24, 25, 34, 35, 38, 45, 46, 48, 56, 57, 61, 62, 63, 64, 65, 66, 67, 68, 73, 78, 79, 80, 82,
        83, 93, 94, 98, 99, 101, 113, 114, 115, 123, 124, 128, 132, 134, 135, 139, 153, 160, 165, 166, 169,
        172, 173, 174, 175, 176, 177, 178, 179, 214, 215, 216, 222, 226, 227, 233, 276, 278, 291, 293, 439,
    ),
}  # fmt: skip


def available() -> dict[str, str]:
    """What this system has: {"limits"|"landlock"|"seccomp": how much of it}. What is missing is not there."""
    found = {} if sys.platform == "win32" else {"limits": "memory, time, file size, open files, processes"}
    if sys.platform == "linux":
        if version := _landlock_version():
            found["landlock"] = f"version {version}"
        if _has_seccomp():
            found["seccomp"] = f"{len(_CALLS[platform.machine()])} system calls allowed"
    return found


def die_with(parent: int) -> None:
    """On Linux the system ends this process with the one that started it, so that nothing goes on writing
    into a folder that a new engine has swept. SystemExit if that has gone already."""
    if sys.platform == "linux":
        _prctl(_SET_PDEATHSIG, signal.SIGKILL, None)
        if os.getppid() != parent:
            sys.exit("The process that asked for this work has gone.")


def limit(*, memory: int, seconds: float, file_size: int, files: int = 32) -> None:
    """At most ``memory`` bytes more than now, processor time, bytes in a file and open files; no new process,
    no core dump. Windows has none of these."""
    if sys.platform == "win32":
        return
    import resource

    held = 0
    with contextlib.suppress(OSError):
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for what, most in (
        (resource.RLIMIT_AS, held + memory),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def close_files(read: Sequence[Path], write: Sequence[Path]) -> None:
    """From now on only ``read`` (files or folders) can be opened, and only in the folders ``write`` can files
    be made, written and removed; no socket and no signal leaves either. OSError when the kernel refuses."""
    version = _landlock_version()
    files = (1 << _RIGHTS.get(version, 16)) - 1
    net = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0
    attributes = struct.pack("=QQQ", files, net, scoped)
    ruleset = _call(_CREATE_RULESET, ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes)), 0)
    try:
        for path in read:
            _allow(ruleset, path, (_READ_FILE | _READ_DIR if path.is_dir() else _READ_FILE) & files)
        for path in write:
            rights = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
            _allow(ruleset, path, rights & files)
        _no_new_privileges()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def close_system() -> None:
    """From now on every system call that is not on the list fails with EPERM. OSError when the kernel
    refuses."""
    calls = _CALLS[platform.machine()]
    load, equal, answer = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
    program = [(load, 0, 0, 4), (equal, 1, 0, _AUDIT_ARCH[platform.machine()]), (answer, 0, 0, _REFUSE)]
    program.append((load, 0, 0, 0))
    program += [(equal, len(calls) - i, 0, number) for i, number in enumerate(calls)]
    program += [(answer, 0, 0, _REFUSE), (answer, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    head = struct.pack("@HP", len(program), ctypes.addressof(code))
    _no_new_privileges()
    _prctl(_SET_SECCOMP, 2, ctypes.c_char_p(head))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with _opened(path) as handle:
        _call(_ADD_RULE, ruleset, 1, ctypes.c_char_p(struct.pack("=Qi", rights, handle)), 0)


def _no_new_privileges() -> None:
    _prctl(_SET_NO_NEW_PRIVILEGES, 1, None)
    _prctl(_SET_DUMPABLE, 0, None)


def _landlock_version() -> int:
    """0: the kernel has none, or a sandbox round this process hides it."""
    return max(0, int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)))


def _has_seccomp() -> bool:
    number = _SECCOMP.get(platform.machine())
    action = ctypes.c_uint32(_REFUSE & 0x7FFF0000)
    if number is None:
        return False
    return int(ctypes.CDLL(None).syscall(number, _GET_ACTION_AVAILABLE, 0, ctypes.byref(action))) == 0


def _call(number: int, *arguments: object) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    result = int(library.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _prctl(option: int, value: int, pointer: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    none = ctypes.c_ulong(0)
    if library.prctl(option, ctypes.c_ulong(value), pointer or none, none, none):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
