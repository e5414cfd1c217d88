"""A library in this very process, on a home of its own, with adapters made from the starter pack's."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from engine.messages import Download
from engine.supervisor.folders import hashes
from engine.supervisor.home import Home
from engine.supervisor.library import Library
from engine.supervisor.rescue import open_store
from engine.supervisor.starter import STARTER, Starter

WEIGHTS = "adapter_model.safetensors"
COMMIT = "a" * 40


class Room:
    """A library that can be closed and opened again, as an engine does."""

    def __init__(self, folder):
        self.home = Home(folder / "home")
        self.folder = folder
        self.home.prepare()
        self.changes, self.store = [], None
        self.open()

    def open(self):
        if self.store is not None:
            self.store.close()
        self.store, self.damage = open_store(self.home.database, self.home.backup)
        self.library = Library(self.home, self.store, Starter(STARTER), self.changes.append)
        self.complaints = asyncio.run(self.library.take_stock())
        return self.library

    def close(self):
        self.store.close()
        self.store = None

    def do(self, method, *arguments):
        return asyncio.run(getattr(self.library, method)(*arguments))

    def bring(self, path, name=None):
        return self.do("import_adapter", str(path), name)

    def names(self):
        return {card.name for card in self.library.adapters() if not card.missing}

    def make(self, name, factor=1.0, expert="reverse", alpha=None, weights=None):
        """A PEFT folder outside of the home: a starter expert with other numbers, or another alpha."""
        folder = self.folder / "made" / name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(STARTER / "adapters" / expert, folder)
        tensors = {key: value * factor for key, value in load_file(folder / WEIGHTS).items()}
        save_file(weights(tensors) if weights else tensors, folder / WEIGHTS)
        if alpha is not None:
            config = json.loads((folder / "adapter_config.json").read_text())
            (folder / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": alpha}))
        return folder

    def fetched(self, name, repo="ada/tune", commit=COMMIT, folder=None, factor=1.5, room="adapters"):
        """Take in what a download would have brought."""
        folder = folder or self.make(f"{name}-{commit[:4]}-{factor}", factor)
        spec = Download(repo=repo, out=name, room=room, replace=True)
        return self.do("adopt_download", Path(folder), spec, commit, hashes(Path(folder)))


@pytest.fixture
def room(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    room = Room(tmp_path)
    yield room
    if room.store is not None:
        room.close()
