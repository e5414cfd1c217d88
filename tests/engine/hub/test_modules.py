"""The modules of a base that is not here: read by Range off the tables of its weights, within a budget."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from engine.formats.base_shapes import base_shapes
from engine.formats.errors import StudioError
from engine.hub.modules import BUDGET, INDEX, peek_modules, read_modules
from engine.supervisor.starter import STARTER

REPO = "org/base"


@pytest.fixture(autouse=True)
def _client(hub, monkeypatch):
    hub.enter(monkeypatch)


def files(folder):
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture
def sharded(tmp_path):
    """The starter base as transformers saves large ones."""
    folder = shutil.copytree(STARTER / "base", tmp_path / "base")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {f"model-{n + 1:05}-of-00003.safetensors": names[n::3] for n in range(3)}
    for name, kept in parts.items():
        save_file({one: tensors[one] for one in kept}, folder / name)
    places = {one: name for name, kept in parts.items() for one in kept}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return folder


def look():
    return peek_modules(REPO, "main", None)


@pytest.mark.parametrize("many", [False, True])
def test_they_are_those_of_the_files(hub, sharded, many):
    folder = sharded if many else STARTER / "base"
    hub.add(REPO, files(folder))
    hub.forget()
    peek = look()
    assert read_modules(peek) == base_shapes(folder, (REPO,))
    assert peek.read < 64_000 and sum(each["sent"] for each in hub.requests()) < 80_000


def test_what_a_few_bytes_do_not_tell_is_said(hub, sharded):
    tables = files(sharded)
    for gone in ("config.json", "model-00002-of-00003.safetensors"):
        hub.add(REPO, {name: path for name, path in tables.items() if name != gone})
        with pytest.raises(StudioError, match="cannot be told by a few bytes") as caught:
            look()
        assert caught.value.hint == "Fetch that base first."
    hub.add(REPO, tables | {INDEX: json.dumps({"weight_map": {"a": "other.safetensors"}})})
    with pytest.raises(StudioError, match="cannot be told"):
        look()
    with pytest.raises(StudioError) as caught:
        peek_modules("org/none", "main", None)
    assert caught.value.code == "missing" and "org/none" in caught.value.message


def test_an_index_that_promises_many_files_ends_with_the_budget(hub, sharded):
    first = (sharded / "model-00001-of-00003.safetensors").read_bytes()
    many = {f"model-{n:05}-of-90000.safetensors": first for n in range(1, 60)}
    index = json.dumps({"weight_map": {"a": "model-00001-of-90000.safetensors"}})
    hub.add(REPO, files(sharded) | many | {INDEX: index})
    hub.forget()
    with pytest.raises(StudioError, match="cannot be told"):
        look()
    assert sum(each["sent"] for each in hub.requests()) < BUDGET + 200_000


def test_what_is_no_table_or_no_base_of_ours_is_refused(hub):
    good = files(STARTER / "base")
    hub.add(REPO, good | {"model.safetensors": b"\x80\x04pickle" * 100})
    with pytest.raises(StudioError):
        read_modules(look())
    hub.add(REPO, good | {"config.json": json.dumps({"auto_map": {"AutoModel": "evil.Model"}})})
    with pytest.raises(StudioError) as caught:
        read_modules(look())
    assert caught.value.code == "refused"
