"""What a download fetches: what is chosen, what is refused before the first byte, and the space it needs."""

import pytest

from engine.formats.errors import StudioError
from engine.hub import plan as room
from engine.hub.plan import check_space, make_plan, selection

ADAPTER = {"adapter_config.json": b"{}", "adapter_model.safetensors": b"x" * 2000, "README.md": b"# Hello"}
BASE = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": b"x" * 3000}


def wanted(kind, *names):
    return {name for name, note in selection(kind, names).items() if not note}


@pytest.fixture
def site(hub, monkeypatch):
    hub.enter(monkeypatch)
    return hub


def test_of_an_adapter_its_own_files_are_fetched_and_nothing_else():
    names = (
        *ADAPTER,
        "studio.json",
        "gate.safetensors",
        "optimizer.pt",
        "run.py",
        "checkpoint-1/config.json",
    )
    assert wanted("adapters", *names) == {*ADAPTER, "studio.json", "gate.safetensors"}
    notes = selection("adapters", names)
    assert "pickle" in notes["optimizer.pt"] and "program" in notes["run.py"]
    assert notes["checkpoint-1/config.json"] == "not needed"


def test_one_file_that_may_be_converted_is_fetched_where_there_is_no_better():
    assert wanted("adapters", "style.safetensors", "README.md") == {"style.safetensors", "README.md"}
    assert wanted("adapters", "adapter_config.json", "adapter_model.bin") == {
        "adapter_config.json",
        "adapter_model.bin",
    }
    assert wanted("adapters", "adapter_model.bin", "adapter_model.safetensors") == {
        "adapter_model.safetensors"
    }
    assert wanted("adapters", "one.safetensors", "two.safetensors") == set()


def test_of_a_base_never_pickles_programs_or_the_same_weights_twice():
    shards = {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
    extra = ("pytorch_model.bin", "modeling_own.py", "consolidated.safetensors", "model.fp16.safetensors")
    index = "model.safetensors.index.json"
    assert wanted("bases", *BASE, *extra, "original/model.safetensors") == set(BASE)
    assert wanted("bases", "config.json", index, *shards, *extra) == {"config.json", index, *shards}
    assert wanted("bases", *BASE, index, *shards) == set(BASE)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "../up.safetensors",
            "/etc/x.safetensors",
            "a\0b.safetensors",
            "c:x.safetensors",
            "nul.safetensors",
        ),
        *(
            "con .safetensors",
            ".hidden.safetensors",
            "a..safetensors",
            "a\\b.safetensors",
            "адаптер.safetensors",
        ),
        *("x" * 200 + ".safetensors", "line\nbreak.safetensors", "tail.safetensors "),
    ],
)
def test_names_that_would_not_be_the_same_file_everywhere_are_refused(name):
    assert selection("adapters", [name, "adapter_config.json"])[name]


def test_names_that_differ_in_capitals_only_are_refused():
    notes = selection("adapters", ["adapter_model.safetensors", "Adapter_Model.safetensors"])
    assert "capitals" in notes["adapter_model.safetensors"]


def test_a_plan_is_pinned_and_has_sizes_and_tags(site):
    first = site.add("ada/one", ADAPTER)
    plan = make_plan("ada/one", "main", "adapters", "")
    site.add("ada/one", ADAPTER | {"README.md": b"# Changed"})
    assert (plan.commit, plan.size) == (first, 2009)
    assert [file.name for file in plan.files] == [
        "adapter_config.json",
        "README.md",
        "adapter_model.safetensors",
    ]
    assert plan.address(plan.files[0]) == f"{site.endpoint}/ada/one/resolve/{first}/adapter_config.json"
    assert make_plan("ada/one", first, "adapters", "") == plan


@pytest.mark.parametrize(
    ("kind", "files", "code", "said"),
    [
        ("adapters", {"README.md": b"hello"}, "missing", "no LoRA adapter"),
        ("bases", ADAPTER, "missing", "no config.json"),
        ("bases", {"config.json": b"{}", "tokenizer.json": b"{}"}, "missing", "no weights"),
        (
            "bases",
            {"config.json": b"{}", "tokenizer.json": b"{}", "pytorch_model.bin": b"x"},
            "refused",
            "only as pickles",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_fetched(site, kind, files, code, said):
    site.add("ada/odd", files)
    with pytest.raises(StudioError, match=said) as refusal:
        make_plan("ada/odd", "main", kind, "")
    assert refusal.value.code == code and refusal.value.hint


@pytest.mark.parametrize(
    ("name", "about", "code"),
    [
        ("adapter_config.json", {"size": 65 << 20}, "refused"),
        ("adapter_model.safetensors", {"size": 51 * 10**9}, "refused"),
        ("adapter_model.safetensors", {"size": -1}, "failed"),
        ("adapter_model.safetensors", {"sha256": "../../../etc"}, "failed"),
    ],
)
def test_a_list_that_cannot_be_true_is_refused(site, name, about, code):
    site.add("ada/liar", ADAPTER)
    site.lie("ada/liar", name, **about)
    with pytest.raises(StudioError) as refusal:
        make_plan("ada/liar", "main", "adapters", "")
    assert refusal.value.code == code


def test_space_is_counted_with_a_reserve(tmp_path, monkeypatch):
    usage = room.shutil.disk_usage("/")
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage._replace(free=room.RESERVE + 1000))
    check_space(tmp_path / "not" / "yet", 1000)
    with pytest.raises(StudioError, match=r"^1 bytes of disk space are missing") as refusal:
        check_space(tmp_path / "not" / "yet", 1001)
    assert refusal.value.code == "disk"
