"""What works on this machine, and what to do about what does not."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import apsw
import psutil
from huggingface_hub import constants

from engine.formats.errors import StudioError
from engine.hub.client import Hub
from engine.messages import Check
from engine.supervisor.home import Home
from engine.supervisor.speech_cards import card_of
from engine.supervisor.speech_shelf import DEMO
from engine.supervisor.starter import STARTER
from engine.supervisor.threads import in_thread

__all__ = ["examine"]

GIGABYTE = 1 << 30
WITHOUT = "Clips can be transcribed from files; only recording needs it."

_TORCH = """
import torch
if torch.cuda.is_available():
    gpu = torch.cuda.get_device_properties(0)
    print(f"yes|{gpu.name}, {gpu.total_memory / 2**30:.0f} GB, torch {torch.__version__}")
elif torch.backends.mps.is_available():
    print(f"yes|Apple GPU, torch {torch.__version__}")
else:
    print(f"no|torch {torch.__version__} sees no GPU here")
"""

_MICROPHONE = """
try:
    import sounddevice
except ImportError:
    raise SystemExit("PortAudio's Python binding, sounddevice, is not installed")
except OSError:
    raise SystemExit("the PortAudio library is not installed")
inputs = [device["name"] for device in sounddevice.query_devices() if device["max_input_channels"] > 0]
print(("yes|" + ", ".join(inputs)) if inputs else "no|no microphone is connected")
"""

_KEYRING = """
import keyring
ring = keyring.get_keyring()
if ring.priority < 1:
    raise SystemExit("no keyring service runs on this machine")
print(f"yes|{type(ring).__module__.removeprefix('keyring.backends.')} keeps secrets")
"""


async def examine(home: Home) -> list[Check]:
    """All checks. What could hang or crash runs in a child with a time limit, never in this process."""
    return list(
        await asyncio.gather(
            _ask("gpu", _TORCH, 90.0, "Everything works on the processor too, only slower."),
            asyncio.to_thread(_camera),
            _ask("microphone", _MICROPHONE, 10.0, WITHOUT),
            _hub(),
            _ask("keyring", _KEYRING, 10.0, "The Hub's token is kept in a file that only you may read."),
            asyncio.to_thread(_speech, home),
            asyncio.to_thread(_display),
            asyncio.to_thread(_disk, home),
            asyncio.to_thread(_database),
            asyncio.to_thread(_memory),
        )
    )


async def _ask(name: str, script: str, seconds: float, hint: str) -> Check:
    """Run a script that prints "yes|detail" or "no|detail", or exits with what is wrong."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", script),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(child.communicate(), seconds)
    except TimeoutError:
        child.kill()
        await child.wait()
        return Check(name=name, ok=False, detail=f"no answer within {seconds:.0f} s", hint=hint)
    verdict, _, detail = output.decode(errors="replace").strip().partition("|")
    if not detail:
        lines = errors.decode(errors="replace").strip().splitlines()
        detail = lines[-1][:300] if len(lines) == 1 else f"the check broke off ({child.returncode})"
    ok = verdict == "yes"
    return Check(name=name, ok=ok, detail=detail, hint="" if ok else hint)


async def _hub() -> Check:
    """Whether the Hub answers, whoever is signed in."""
    try:
        await in_thread(Hub(lambda: None).reach, 10.0)
    except StudioError as error:
        hint = "It is needed to search, download and publish; what is in the library works without it."
        return Check(name="hub", ok=False, detail=error.message.rstrip("."), hint=hint)
    return Check(name="hub", ok=True, detail=f"{constants.ENDPOINT} answers")


def _camera() -> Check:
    if sys.platform != "linux":
        return Check(name="camera", ok=False, detail="can only be looked for on Linux", hint=WITHOUT)
    cameras = sorted(str(path) for path in Path("/dev").glob("video*"))
    if not cameras:
        return Check(name="camera", ok=False, detail="no camera is connected", hint=WITHOUT)
    usable = [camera for camera in cameras if os.access(camera, os.R_OK | os.W_OK)]
    hint = "" if usable else f"To use it, join the group video and log in again. {WITHOUT}"
    return Check(name="camera", ok=bool(usable), detail=", ".join(usable or cameras), hint=hint)


def _speech(home: Home) -> Check:
    """Whether anything here can transcribe: the demo, or a model that a person has brought."""
    folder = STARTER / "speech" / "model"
    demo = [card_of(DEMO, folder)] if folder.is_dir() else []
    own = [card_of(path.name, path) for path in sorted(home.speech.glob("[!.]*/"))]
    able = [card.name for card in (*demo, *own) if card.modes and not card.problem]
    lacking = [f"the demo model cannot be used: {demo[0].problem}"] if demo and demo[0].problem else []
    lacking = lacking if demo else ["the demo model is not installed"]
    detail = ", ".join([*able, *lacking]).rstrip(".")
    hint = "" if able else "Fetch a Whisper: adapter-studio speech import openai/whisper-base.en"
    return Check(name="speech", ok=bool(able), detail=detail, hint=hint)


def _display() -> Check:
    if sys.platform in ("darwin", "win32"):
        return Check(name="display", ok=True, detail=sys.platform)
    found = [name for name in ("WAYLAND_DISPLAY", "DISPLAY") if os.environ.get(name)]
    detail = (
        ", ".join(f"{name}={os.environ[name]}" for name in found) or "there is no screen to open a window on"
    )
    hint = "" if found else "The commands work without a window."
    return Check(name="display", ok=bool(found), detail=detail, hint=hint)


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(home.root).free
    hint = "" if free >= GIGABYTE else "Free some space: checkpoints and downloads need it."
    return Check(name="disk", ok=free >= GIGABYTE, detail=f"{free / GIGABYTE:.1f} GB free", hint=hint)


def _database() -> Check:
    return Check(name="sqlite", ok=True, detail=f"{apsw.sqlite_lib_version()}, WAL, synchronous=FULL")


def _memory() -> Check:
    memory = psutil.virtual_memory()
    enough = memory.available >= GIGABYTE
    detail = f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB available"
    return Check(name="memory", ok=enough, detail=detail, hint="" if enough else "Close other programs.")
