"""The mutations guided by coverage: ``python -m tests.engine.formats.fuzz FOLDER [libFuzzer's options]``."""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine.formats"]):
    from engine.formats import adapter_file, convert  # noqa: F401  what is to be covered

from tests.engine.formats.mutations import Dice, mutate
from tests.engine.formats.test_mutations import look

FOLDER = Path(sys.argv.pop(1)) / "a"


def once(raw: bytes) -> None:
    look(mutate(FOLDER, Dice(raw)))


if __name__ == "__main__":
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()
