"""A virtual screen for the session, and a window on a fresh home for each journey."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).resolve().parent


def _driver() -> ModuleType:
    spec = importlib.util.spec_from_file_location("driver", HERE / "driver.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["driver"] = module
    spec.loader.exec_module(module)
    return module


driver = _driver()


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    missing = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]
    if missing:
        pytest.fail(f"{' and '.join(missing)} not found; `make test` installs them", pytrace=False)
    with driver.screen() as name:
        yield name


@pytest.fixture
def open_window(display: str, tmp_path: Path) -> Iterator[Callable[..., object]]:
    """Open the real window on this test's home, in the corner of the screen, its engine ready; with an
    environment of its own if one is given. A journey fails when a slot of the window failed unseen."""
    opened = []

    def open_one(environment: Mapping[str, str] | None = None) -> object:
        opened.append(driver.Window(tmp_path / "home", display, environment=environment))
        opened[-1].settle()
        return opened[-1]

    yield open_one
    for window in opened:
        window.close()
    for log in {window.log for window in opened}:
        assert "Traceback" not in log, log[log.index("Traceback") :]


@pytest.fixture
def window(open_window: Callable[..., object]) -> object:
    """The real window with its real engine on an empty home."""
    return open_window()
