"""Speech models with random weights, made once, and a shelf in a home of its own."""

import shutil
from types import SimpleNamespace

import pytest

from engine.supervisor.home import Home
from engine.supervisor.speech_shelf import SpeechShelf
from tests.engine.speech import tiny
from tests.engine.speech.conftest import make_encoder


@pytest.fixture(scope="session")
def made(tmp_path_factory, tiny_base_folder):
    """Folders: a whole "reader", a "whisper", and an AV-HuBERT alone, the "encoder"."""
    room = tmp_path_factory.mktemp("speech")
    reader = tiny.write_reader(room / "reader", make_encoder(), tiny_base_folder)
    return SimpleNamespace(
        reader=reader,
        whisper=tiny.write_whisper(room / "whisper"),
        encoder=shutil.copytree(reader / "encoder", room / "encoder"),
        base=tiny_base_folder,
    )


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def shelf(home, tmp_path):
    """A shelf without a demo; ``shelf.told`` counts its changes."""
    told = []
    shelf = SpeechShelf(home, tmp_path / "starter", lambda: told.append(1))
    shelf.told = told
    return shelf
