"""A virtual screen for the session, and a window on a fresh home for each journey."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Iterator
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
def window(display: str, tmp_path: Path) -> Iterator[object]:
    """The real window with its real engine on an empty home, in the corner of the screen."""
    window = driver.Window(tmp_path / "home", display)
    try:
        window.settle()
        yield window
    finally:
        window.close()
