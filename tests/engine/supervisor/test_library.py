"""What comes into the library, what is refused, and how things leave and return."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from engine import messages as m
from engine.client import Client
from engine.formats.errors import StudioError
from engine.supervisor.folders import hashes
from engine.supervisor.home import Home
from engine.supervisor.library import Library
from engine.supervisor.starter import STARTER, Starter
from engine.supervisor.store import Store

WEIGHTS = "adapter_model.safetensors"


def names(rig):
    return {card.name for card in rig.ask(m.ListAdapters()).adapters}


def test_import_copies_and_remembers(rig, adapter):
    card = rig.ask(m.ImportAdapter(path=str(adapter)))
    assert (card.name, card.source, card.alpha, card.base) == ("mine", "import", 5.0, "starter-llama")
    assert card.license and card.description
    shutil.rmtree(adapter)
    assert Path(card.path, WEIGHTS).is_file()
    (verified,) = rig.ask(m.VerifyAdapters(name="mine")).adapters
    assert verified.ok
    rig.stop()
    rig.start()
    assert "mine" in names(rig)


def test_only_an_adapters_own_files_are_taken(rig, adapter):
    (adapter / "training_args.bin").write_bytes(b"\x80\x04evil")
    (adapter / "secret.txt").write_text("x")
    card = rig.ask(m.ImportAdapter(path=str(adapter / WEIGHTS), name="named"))
    taken = {path.name for path in Path(card.path).iterdir()}
    assert taken == {"adapter_config.json", WEIGHTS, "README.md", "entry.json"}


def test_a_changed_file_is_found_and_a_missing_one_flagged(rig, adapter):
    card = rig.ask(m.ImportAdapter(path=str(adapter)))
    weights = Path(card.path, WEIGHTS)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    verdicts = {one.name: one for one in rig.ask(m.VerifyAdapters()).adapters}
    assert not verdicts["mine"].ok and WEIGHTS in verdicts["mine"].detail and verdicts["reverse"].ok
    weights.unlink()
    assert [card.name for card in rig.ask(m.ListAdapters()).adapters if card.missing] == ["mine"]
    with pytest.raises(StudioError, match="not where they were"):
        rig.ask(m.Generate(base="tiny", prompt="x", parts=[m.Part(name="mine")]))


def test_twins_and_taken_names_are_refused(rig, adapter):
    rig.ask(m.ImportAdapter(path=str(adapter)))
    with pytest.raises(StudioError, match="already is an adapter called mine"):
        rig.ask(m.ImportAdapter(path=str(adapter)))
    with pytest.raises(StudioError, match="already in the library as mine"):
        rig.ask(m.ImportAdapter(path=str(adapter), name="other"))
    with pytest.raises(StudioError, match="already is an adapter called mine"):
        rig.ask(m.ImportAdapter(path=str(STARTER / "adapters" / "sort"), name="MINE"))


@pytest.mark.parametrize("keep", [0, 7, 400, -1])
def test_a_cut_off_file_is_refused_and_leaves_nothing(rig, adapter, keep):
    weights = adapter / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(StudioError, match="cut off"):
        rig.ask(m.ImportAdapter(path=str(adapter)))
    assert "mine" not in names(rig)
    assert list(rig.home.adapters.iterdir()) == [] and list(rig.home.tmp.iterdir()) == []
    assert rig.ask(m.InspectAdapter(path=str(adapter))).verdict == "refuse"


def test_a_pickle_is_refused_for_safety(rig, adapter):
    (adapter / WEIGHTS).unlink()
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x02cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(StudioError) as caught:
        rig.ask(m.ImportAdapter(path=str(adapter)))
    assert caught.value.code == "refused"


def test_remove_and_restore(rig, adapter):
    card = rig.ask(m.ImportAdapter(path=str(adapter)))
    done = rig.ask(m.RemoveAdapter(name="mine"))
    assert Path(done.path).is_relative_to(rig.home.trash) and not Path(card.path).exists()
    assert "mine" not in names(rig)
    assert rig.ask(m.RestoreAdapter(name="mine")) == card
    rig.ask(m.RemoveAdapter(name="upper"))
    assert (STARTER / "adapters" / "upper" / WEIGHTS).is_file() and "upper" not in names(rig)
    rig.stop()
    rig.start()
    assert "upper" not in names(rig)
    with pytest.raises(StudioError, match="`adapters restore upper` brings it back"):
        rig.ask(m.ImportAdapter(path=str(adapter), name="upper"))
    rig.ask(m.RestoreAdapter(name="upper"))
    assert "upper" in names(rig)
    with pytest.raises(StudioError, match="no removed adapter"):
        rig.ask(m.RestoreAdapter(name="upper"))


def test_export_is_what_came_in(rig, adapter, tmp_path):
    rig.ask(m.ImportAdapter(path=str(adapter)))
    target = tmp_path / "out" / "copy"
    assert rig.ask(m.ExportAdapter(name="mine", folder=str(target))).path == str(target)
    assert (target / WEIGHTS).read_bytes() == (adapter / WEIGHTS).read_bytes()
    with pytest.raises(StudioError, match="already exists"):
        rig.ask(m.ExportAdapter(name="mine", folder=str(target)))
    with pytest.raises(StudioError, match="ranks 1 to 8, not 9"):
        rig.ask(m.ExportAdapter(name="mine", folder=str(tmp_path / "high"), rank=9))


def test_export_at_a_lower_rank(rig, tmp_path):
    rig.ask(m.ExportAdapter(name="reverse", folder=str(tmp_path / "low"), rank=3))
    assert rig.ask(m.InspectAdapter(path=str(tmp_path / "low"))).rank == 3


def test_export_at_a_rank_that_is_shared_out(rig, tmp_path):
    low = tmp_path / "low"
    rig.ask(m.ExportAdapter(name="reverse", folder=str(low), rank=3, order="spread"))
    pattern = json.loads((low / "adapter_config.json").read_text())["rank_pattern"]
    assert len(set(pattern.values())) > 1


def test_bases(rig, tmp_path):
    (card,) = [base for base in rig.ask(m.ListBases()).bases if base.name == "tiny"]
    assert card.architecture == "LlamaForCausalLM" and card.parameters > 100_000
    for path, sentence in [
        ("someone/a-model", "bases add someone/a-model"),
        (str(tmp_path / "none"), "no folder"),
        (str(rig.home.root), "no config.json"),
    ]:
        with pytest.raises(StudioError, match=sentence):
            rig.ask(m.AddBase(path=path))


@pytest.mark.parametrize(
    ("change", "sentence", "code"),
    [
        ({"auto_map": {"AutoModel": "x.Y"}}, "brings its own code", "refused"),
        ({"model_type": None}, "which model_type", "base"),
    ],
)
def test_bases_that_are_refused(rig, tmp_path, change, sentence, code):
    folder = tmp_path / "other"
    shutil.copytree(STARTER / "base", folder)
    config = json.loads((folder / "config.json").read_text()) | change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(StudioError, match=sentence) as caught:
        rig.ask(m.AddBase(path=str(folder)))
    assert caught.value.code == code


def test_a_base_without_safetensors_is_refused(rig, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(STARTER / "base", folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(StudioError, match=r"no \.safetensors weights"):
        rig.ask(m.AddBase(path=str(folder)))


def test_data_sets_and_checks(rig):
    sets = {data.name: data for data in rig.ask(m.ListData()).sets}
    assert sets["mixed"].rows >= 1000 and sets["mixed"].sample
    assert rig.ask(m.CheckData(path=str(rig.data))).rows == 4
    assert rig.ask(m.CheckData(path="mixed")).rows == sets["mixed"].rows
    rig.data.write_text('{"prompt": "a", "completion": "b"}\nnot json\n')
    with pytest.raises(StudioError, match="line 2"):
        rig.ask(m.CheckData(path=str(rig.data)))


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 8 MB, which only an administrator can make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounting a small tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(small_disk, adapter, rig_on):
    rig = rig_on(small_disk)
    rig.ask(m.ImportAdapter(path=str(adapter), name="before"))
    rig.submit("running", steps=4000)
    rig.wait_for_step("running", 5)
    rig.submit("acknowledged", steps=5)
    filler = small_disk / "filler"
    with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(65536))
            file.flush()
    with pytest.raises(StudioError) as caught:
        rig.submit("refused", steps=5)
    assert caught.value.code == "disk" and "full" in caught.value.message
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 5', '"lora_alpha": 6'))
    with pytest.raises(StudioError) as caught:
        rig.ask(m.ImportAdapter(path=str(adapter), name="after"))
    assert caught.value.code == "disk" and "full" in caught.value.message
    assert rig.ask(m.Status()).running
    filler.unlink()
    rig.client.listen(0.5)
    rig.submit("later", steps=5)
    rig.ask(m.CancelJob(id="running"))
    assert rig.wait_for("acknowledged", "done").step == 5
    assert rig.wait_for("later", "done").step == 5
    rig.kill()
    rig.start()
    assert {job.id for job in rig.ask(m.ListJobs()).jobs} == {"running", "acknowledged", "later"}
    assert {"before", "acknowledged", "later"} <= names(rig) and "after" not in names(rig)


def test_two_imports_at_once_are_one(rig, adapter):
    outcomes = []

    def bring(name):
        with Client(rig.home.read_announcement()) as client:
            try:
                outcomes.append(client.call(m.ImportAdapter(path=str(adapter), name=name)).name)
            except StudioError as error:
                outcomes.append(error.code)

    threads = [threading.Thread(target=bring, args=("same",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["same", "usage", "usage", "usage"]


def test_a_newer_starter_pack_replaces_the_old_one_and_damage_is_still_found(tmp_path):
    pack, home = tmp_path / "pack", Home(tmp_path / "home")
    shutil.copytree(STARTER, pack)
    home.prepare()
    store = Store(tmp_path / "studio.db")

    def verdicts():
        library = Library(home, store, Starter(pack), lambda kind: None)
        assert asyncio.run(library.take_stock()) == []
        return {one.name: one.ok for one in asyncio.run(library.verify(None))}

    assert all(verdicts().values())
    with (pack / "adapters/upper/README.md").open("a") as card:
        card.write("One more sentence.\n")
    assert not verdicts()["upper"]
    manifest = json.loads((pack / "starter.json").read_text())
    manifest["experts"]["upper"] = hashes(pack / "adapters/upper")
    (pack / "starter.json").write_text(json.dumps(manifest))
    assert all(verdicts().values())
    store.close()
