"""A runtime loads what lies on the disk, and asks nobody for anything."""

import os
import sys

import pytest

from engine.runtime import __main__ as program


def test_a_runtime_is_offline_before_anything_is_imported_that_could_ask(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ) | {"HF_HUB_OFFLINE": "0"})
    monkeypatch.setattr(program, "die_with_parent", lambda parent: None)
    monkeypatch.setitem(sys.modules, "torch", None)  # the first of these imports ends it
    monkeypatch.setattr(
        sys, "argv", ["engine.runtime", "--socket", "ipc:///x", "--token", "t", "--base", "b", "--name", "n"]
    )
    with pytest.raises(ImportError):
        program.main()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
