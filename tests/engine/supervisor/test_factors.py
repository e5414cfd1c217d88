"""The child that works on factors: it refuses in sentences, and ends with whoever waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file, save_file

from engine.formats.adapter_file import WEIGHTS
from engine.formats.errors import StudioError
from engine.supervisor.factors import read_spectrum, write_cut
from engine.supervisor.starter import STARTER


def children() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # another test's, which ends or has ended
            if "engine.lora.child" in " ".join(one.cmdline()):
                found.append(one)
    return found


def test_a_child_that_nobody_waits_for_ends():
    async def leave() -> None:
        asked = asyncio.create_task(read_spectrum(STARTER / "adapters" / "reverse"))
        while not children():
            await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert not children()

    asyncio.run(asyncio.wait_for(leave(), 60))


def test_what_was_never_trained_has_nothing_to_cut(tmp_path: Path):
    weights = shutil.copytree(STARTER / "adapters" / "reverse", tmp_path / "new") / WEIGHTS
    save_file({name: tensor * ("lora_A" in name) for name, tensor in load_file(weights).items()}, weights)
    with pytest.raises(StudioError, match="updates of new are zero") as refused:
        asyncio.run(write_cut(tmp_path / "new", tmp_path / "cut", 2, "energy"))
    assert refused.value.hint == "Train it first." and not (tmp_path / "cut").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it works on, into a folder that nobody reads")
def test_a_child_whose_engine_has_died_writes_nothing(tmp_path: Path):
    words = ("-m", "engine.lora.child", "1", "order", STARTER / "adapters" / "reverse", tmp_path / "new")
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode and "has gone" in done.stderr and not (tmp_path / "new").exists()
