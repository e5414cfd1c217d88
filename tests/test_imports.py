"""The arrows between rooms, as `pyproject.toml` draws them under [tool.importlinter], hold."""

import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

ROOT = Path(__file__).resolve().parent.parent
LIGHT = [
    "app.main",
    "engine.supervisor.server",
    "engine.commands",
    "engine.client",
    "app.capture.service",
    "app.capture.record",
]


def loaded(module: str, names: tuple[str, ...]) -> str:
    """Which of ``names`` a fresh process has loaded after importing ``module``."""
    code = f"import sys, {module}; print([m for m in {names} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_arrows_point_down_only(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_processes_never_load_torch(module: str) -> None:
    """The import graph cannot see an import inside a function that runs at load time: ask a real process."""
    assert loaded(module, ("torch", "transformers", "peft")) == "[]"


@pytest.mark.parametrize("module", LIGHT[1:])
def test_engine_and_capture_never_load_qt(module: str) -> None:
    assert loaded(module, ("PySide6", "pyqtgraph")) == "[]"
