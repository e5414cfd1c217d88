"""What a hostile piece of work would try from inside the jail: each attempt and how it ended."""

import ctypes
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from engine.formats.safetensors_file import read_header


def in_jail(work: bytes) -> bytes:
    order = json.loads(work)
    if order.get("do") == "spin":
        while True:
            pass
    if order.get("do") == "grow":
        return bytes(1 << 30)
    if order.get("do") == "flood":
        while True:
            sys.stdout.buffer.write(bytes(1 << 20))
    if order.get("do") == "fill":
        Path(order["folder"], "large").write_bytes(bytes(8 << 20))
    if order.get("do") == "read a header":
        return str(len(read_header(Path(order["file"])))).encode()
    if order.get("do") == "die":
        os._exit(3)
    attempts = {
        "socket": socket.socket,
        "unix socket": lambda: socket.socket(socket.AF_UNIX),
        "read a file": lambda: Path("/etc/passwd").read_bytes(),
        "list a folder": lambda: list(Path("/").iterdir()),
        "read beside": lambda: Path(order["beside"]).read_bytes(),
        "write elsewhere": lambda: Path(order["elsewhere"]).write_bytes(b"x"),
        "write over the input": lambda: Path(order["input"]).write_bytes(b"x"),
        "link out": lambda: Path(order["output"], "link").symlink_to("/etc/passwd"),
        "large file": lambda: Path(order["output"], "large").write_bytes(bytes(3 << 20)),
        "fork": os.fork,
        "thread": threading.Thread(target=print).start,
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "signal": lambda: os.kill(os.getppid(), 0),
        "ptrace": _ptrace,
        "mode": lambda: Path(order["input"]).chmod(0o777),
        "more memory": lambda: len(bytearray(512 << 20)),
        "lift a limit": _lift,
        "read the input": lambda: len(Path(order["input"]).read_bytes()),
        "write the output": lambda: Path(order["output"], "result").write_bytes(b"done"),
    }
    ends = {name: _try(attempt) for name, attempt in attempts.items()}
    return json.dumps({"ends": ends, "environment": dict(os.environ)}).encode()


def _try(attempt) -> str:
    try:
        return f"did: {attempt()}"
    except (OSError, RuntimeError, MemoryError, ValueError) as error:
        return type(error).__name__


def _ptrace() -> None:
    if ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "ptrace")


def _lift() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 40))
