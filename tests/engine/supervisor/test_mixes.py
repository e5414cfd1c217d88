"""What a mix brings to the queue and the library: scorings, exports, joint training, experts that leave."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
from safetensors.numpy import load_file, save_file

from engine import messages as m
from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.formats.mix_file import read_mix, read_mix_card
from engine.supervisor.store import Store
from tests.hub.rig import write_base


def scoring(rig, **fields):
    fields = {"base": "tiny", "mix": "both", "data": {"rows": str(rig.data)}} | fields
    return m.ScoreMix(**fields)


def export(rig, folder, **fields):
    return m.ExportMix(base="tiny", mix="both", folder=str(folder), data={"rows": str(rig.data)}, **fields)


def submit(rig, key, spec):
    return rig.ask(m.SubmitJob(id=key, spec=spec))


def test_a_scoring_is_a_job_whose_result_is_its_numbers(mixed):
    spec = scoring(mixed, data={"one": str(mixed.data), "two": "sort.heldout"}, train="mixed")
    job = submit(mixed, "scores", spec)
    assert (job.kind, job.name, job.steps) == ("scores", "scores of both", 0)
    done = mixed.wait_for("scores", "done")
    assert done.message == "Done." and (done.step, done.steps) == (10, 10)
    assert done.result["metric"] == "exact"
    (arm,) = [msgspec.convert(arm, m.ArmScore) for arm in done.result["arms"]]
    assert (arm.label, arm.value) == ("Base", 0.5)
    record = json.loads((mixed.home.jobs / "scores" / "job.json").read_text())
    assert sorted(record["paths"]) == ["data:one", "data:two", "mix:both", "train"]
    kept = Path(record["paths"].pop("mix:both"))
    assert kept.is_relative_to(mixed.home.jobs / "scores")
    until = time.monotonic() + 60
    # Both are cleared away once everyone has been told.
    while kept.exists() or (mixed.home.jobs / "scores" / "arms").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert all(Path(path).parent == mixed.home.data for path in record["paths"].values())
    assert {card.name for card in mixed.ask(m.ListMixes()).mixes} == {"both"}
    # The same again is another job, not a name that is taken.
    submit(mixed, "again", spec)
    mixed.wait_for("again", "done")


def test_a_scoring_that_cannot_work_is_refused(mixed):
    for fields, sentence in (
        ({"data": {}}, "nothing to score on"),
        ({"data": {"a/b": "sort.heldout"}}, "cannot name a data set"),
        ({"data": {"a": "sort.heldout", "A": "sort.heldout"}}, "named twice"),
        ({"arms": ()}, "nothing to score"),
        ({"arms": ("base", "base")}, "named twice"),
        ({"mix": "nobody"}, "no mix called nobody"),
        ({"base": "starter-llama"}, "made for tiny, not for starter-llama"),
        ({"data": {"a": "nowhere.jsonl"}}, "no data file"),
        ({"limit": 0}, "limit cannot be 0"),
        ({"top_k": 0}, "top k cannot be 0"),
    ):
        with pytest.raises(StudioError, match=sentence):
            submit(mixed, "x", scoring(mixed, **fields))
    assert mixed.ask(m.ListJobs()).jobs == []


def test_a_scoring_goes_on_after_the_death_of_its_runtime(mixed):
    submit(mixed, "fragile", scoring(mixed))
    done = mixed.wait_for("fragile", "done")
    assert done.attempt == 2
    assert any("Scoring “both” continues." in sentence for sentence in mixed.said())
    assert done.result["arms"][0]["parameters"] == 2  # its last part was made by the second start


def test_a_scoring_goes_on_after_the_death_of_the_engine(mixed):
    submit(mixed, "scores", scoring(mixed))
    mixed.wait_for_step("scores", 3)
    mixed.kill()
    mixed.start()
    assert any("Scoring “both” was interrupted; it goes on." in sentence for sentence in mixed.said())
    done = mixed.wait_for("scores", "done")
    assert done.result["n"] == 4 and done.attempt >= 2


def test_a_scoring_is_paused_resumed_and_cancelled(mixed):
    submit(mixed, "scores", scoring(mixed))
    mixed.wait_for_step("scores", 2)
    paused = mixed.ask(m.PauseJob(id="scores"))
    assert (paused.state, paused.message) == ("paused", "Paused.")
    parts = len(list((mixed.home.jobs / "scores" / "arms").iterdir()))
    mixed.ask(m.ResumeJob(id="scores"))
    mixed.wait_for_step("scores", parts + 1)
    assert mixed.ask(m.CancelJob(id="scores")).message == "Cancelled."
    mixed.wait_until(lambda: not (mixed.home.jobs / "scores" / "arms").exists())
    # What a paused one has found can be kept.
    submit(mixed, "kept", scoring(mixed))
    mixed.wait_for_step("kept", 2)
    mixed.ask(m.PauseJob(id="kept"))
    kept = mixed.ask(m.CancelJob(id="kept", keep=True))
    assert kept.state == "done" and kept.result["arms"]


# --- exports ---


def test_an_export_appears_whole_where_it_was_wanted(mixed, tmp_path):
    target = tmp_path / "out" / "plain"
    job = submit(mixed, "export", export(mixed, target))
    assert (job.kind, job.name) == ("export", "both as plain")
    done = mixed.wait_for("export", "done")
    assert done.result["path"] == str(target) and done.message == "Done."
    result = mixed.base / "result"
    assert sha256_file(target / "adapter_model.safetensors") == sha256_file(
        result / "adapter_model.safetensors"
    )
    assert [path.name for path in target.parent.iterdir()] == ["plain"]
    mixed.wait_until(lambda: not (mixed.home.jobs / "export" / "output").exists())


def test_where_an_export_may_go(mixed, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for folder, sentence in (
        (there, "already exists"),
        (mixed.home.root / "mixes" / "x", "studio's own folder"),
        (Path("somewhere"), "not named in full"),
        (tmp_path / "a" / ".." / "b", "not named in full"),
        (mixed.data / "x", "Nothing can be written"),
    ):
        with pytest.raises(StudioError, match=sentence):
            submit(mixed, "x", export(mixed, folder))
    submit(mixed, "first", export(mixed, tmp_path / "new"))
    with pytest.raises(StudioError, match="A job that makes both as new is already"):
        submit(mixed, "second", export(mixed, tmp_path / "new"))
    with pytest.raises(StudioError, match="of no use"):
        mixed.ask(m.CancelJob(id="first", keep=True))
    for fields, sentence in (
        ({"gates": "domain", "data": {}}, "data set for each"),
        ({"distill_steps": 5, "data": {}}, "needs data"),
    ):
        with pytest.raises(StudioError, match=sentence):
            submit(mixed, "x", msgspec.structs.replace(export(mixed, tmp_path / "y"), **fields))


def finished_export(rig, target):
    """As if the engine had died between the runtime's word and the way out."""
    submit(rig, "export", export(rig, target))
    rig.wait_for("export", "done")
    rig.kill()
    store = Store(rig.home.database)
    (record,) = store.jobs()
    output = rig.home.jobs / "export" / "output"
    shutil.copytree(target, output, dirs_exist_ok=True)
    record.output = str(output)
    record.job = msgspec.structs.replace(record.job, state="running", result={"kind": "lora"})
    store.save_job(record)
    store.close()


@pytest.mark.parametrize("arrived", [True, False])
def test_an_export_that_was_on_its_way_arrives_after_a_kill(mixed, tmp_path, arrived):
    target = tmp_path / "plain"
    finished_export(mixed, target)
    if not arrived:
        shutil.rmtree(target)
    mixed.start()
    done = mixed.wait_for("export", "done")
    assert done.result == {"kind": "lora", "path": str(target)} and done.attempt == 1
    assert (target / "adapter_config.json").is_file()


def test_an_export_whose_place_is_taken_meanwhile_is_not_lost(mixed, tmp_path):
    target = tmp_path / "plain"
    finished_export(mixed, target)
    (target / "adapter_config.json").write_text("somebody else's")
    mixed.start()
    failed = mixed.wait_for("export", "failed")
    assert "something else" in failed.error.message and "resume" in failed.error.hint
    assert (target / "adapter_config.json").read_text() == "somebody else's"
    target.rename(tmp_path / "aside")
    mixed.ask(m.ResumeJob(id="export"))
    assert mixed.wait_for("export", "done").result["path"] == str(target)
    assert (target / "adapter_model.safetensors").is_file()


def test_an_export_to_a_full_disk_waits_for_room(mixed, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine does not allow mounting a small tmpfs")
    try:
        submit(mixed, "export", export(mixed, disk / "plain"))
        paused = mixed.wait_for("export", "paused")
        assert paused.error.code == "disk" and "disk is full" in paused.message
        assert list(disk.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        mixed.ask(m.ResumeJob(id="export"))
        mixed.wait_for("export", "done")
        assert (disk / "plain" / "adapter_config.json").is_file()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# --- training experts, routers and gates ---


def joint(rig, out="pair", **fields):
    domains = [
        m.Domain(expert="mine", data=str(rig.data)),
        m.Domain(expert="sort", data="sort.train", adapter="sort"),
    ]
    return m.TrainJoint(**({"base": "starter-llama", "domains": domains, "out": out, "steps": 12} | fields))


def test_joint_training_keeps_a_copy_of_every_data_set(mixed):
    job = submit(
        mixed,
        "pair",
        joint(
            mixed,
            base="tiny",
            domains=[
                m.Domain(expert="mine", data=str(mixed.data)),
                m.Domain(expert="other", data="sort.train"),
            ],
        ),
    )
    assert (job.kind, job.name, job.steps) == ("joint", "pair", 12)
    record = json.loads((mixed.home.jobs / "pair" / "job.json").read_text())
    assert sorted(record["paths"]) == ["data:mine", "data:other"]
    assert len(set(record["paths"].values())) == 2
    mixed.wait_for("pair", "done")
    (card,) = [card for card in mixed.ask(m.ListMixes()).mixes if card.name == "pair"]
    assert card.made == "trained" and card.null_expert and card.router_share == "projection"


@pytest.fixture
def narrow(mixed, tmp_path):
    """A base on which no adapter of the starter pack fits."""
    write_base(tmp_path / "narrow", 1)
    mixed.ask(m.AddBase(path=str(tmp_path / "narrow")))
    return "narrow"


def test_joint_training_that_cannot_work_is_refused(mixed, narrow):
    for change, sentence in (
        ({"domains": [m.Domain(expert="one", data="sort.train")]}, "at least two experts"),
        ({"domains": [m.Domain(expert="one", data="sort.train")] * 2}, "named twice"),
        ({"domains": [m.Domain(expert="a/b", data="x"), m.Domain(expert="c", data="x")]}, "cannot name"),
        (
            {"domains": [m.Domain(expert="ü", data="mixed"), m.Domain(expert="c", data="mixed")]},
            "cannot be a name",
        ),
        ({"hard_share": 1.0}, "hard share cannot be 1"),
        ({"router_learning_rate": 0.0}, "router learning rate cannot be 0"),
        ({"base": narrow}, "sort does not fit narrow"),
        ({"out": "both"}, "already is a mix called both"),
    ):
        with pytest.raises(StudioError, match=sentence):
            submit(mixed, "x", joint(mixed, **change))


def test_a_gate_is_trained_into_a_new_adapter(mixed, narrow):
    spec = m.TrainGate(base="starter-llama", adapter="sort", data="sort.train", out="sort-gated", steps=3)
    with pytest.raises(StudioError, match="sort does not fit narrow"):
        submit(mixed, "x", msgspec.structs.replace(spec, base=narrow))
    with pytest.raises(StudioError, match="already is an adapter called sort"):
        submit(mixed, "x", msgspec.structs.replace(spec, out="sort"))


def router(rig, **fields):
    fields = {"base": "tiny", "experts": ["reverse"], "data": str(rig.data), "out": "new"} | fields
    return m.TrainRouter(**fields)


def test_a_router_that_cannot_be_trained_is_refused(mixed):
    for fields, sentence in (
        ({"data": ""}, "Without data nothing can be trained"),
        ({"data": "", "start": "gates"}, "Without data nothing can be trained"),
        ({"steps": 0}, "steps cannot be 0"),
        ({"extend": "both", "start": "prototypes"}, "keeps its own start"),
        ({"extend": "both", "experts": ["sort"]}, "already has sort"),
        ({"extend": "both", "experts": ["sort", "nobody"]}, "no adapter called nobody"),
        ({"extend": "nothing"}, "no mix called nothing"),
    ):
        with pytest.raises(StudioError, match=sentence):
            submit(mixed, "x", router(mixed, **fields))


# --- mixes in the library ---


def test_an_expert_leaves_into_a_new_mix(mixed):
    card = mixed.ask(m.DropExpert(mix="both", expert="sort", out="less"))
    assert (card.name, card.experts, card.made) == ("less", ["reverse"], "dropped")
    assert Path(card.path) == mixed.home.mixes / "less"
    assert {card.name for card in mixed.ask(m.ListMixes()).mixes} == {"both", "less"}
    with pytest.raises(StudioError, match="already is a mix called less"):
        mixed.ask(m.DropExpert(mix="both", expert="sort", out="less"))
    assert list(mixed.home.tmp.iterdir()) == []


def test_a_mix_is_copied_with_its_card_and_its_newest_scores(mixed, tmp_path):
    done = mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "bare")))
    assert done.path == str(tmp_path / "bare") and read_mix(tmp_path / "bare").scores == {}
    assert (tmp_path / "bare" / "README.md").read_text().count("reverse")
    submit(mixed, "scores", scoring(mixed))
    mixed.wait_for("scores", "done")
    mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "scored")))
    copy = read_mix(tmp_path / "scored")
    assert copy.scores["arms"][0]["label"] == "Base"
    assert "Base" in (tmp_path / "scored" / "README.md").read_text()
    assert sha256_file(tmp_path / "scored" / "router.safetensors") == copy.sha256["router.safetensors"]
    with pytest.raises(StudioError, match="already exists"):
        mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "scored")))
    # Scores of a mix that was another one under the same name are not its own.
    shutil.rmtree(mixed.home.mixes / "both" / "experts" / "sort")
    with pytest.raises(StudioError):
        mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "broken")))
    assert not (tmp_path / "broken").exists()


def test_slid_experts_leave_cut_and_the_others_as_they_are(mixed, tmp_path):
    submit(mixed, "whole", scoring(mixed))
    mixed.wait_for("whole", "done")
    mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "cut"), ranks={"sort": 3}))
    copy, card = read_mix(tmp_path / "cut"), read_mix_card(tmp_path / "cut")
    assert (card.ranks, card.kinds["sort"]) == ({"reverse": (1, 8), "sort": (1, 3)}, "svd")
    assert copy.sha256 == {name: sha256_file(tmp_path / "cut" / name) for name in copy.sha256}
    before = read_mix(mixed.home.mixes / "both").sha256
    same = {name for name, digest in copy.sha256.items() if before.get(name) == digest}
    assert "router.safetensors" in same and "experts/reverse/adapter_model.safetensors" in same
    assert copy.trained["cut to rank"] == {"sort": 3}
    assert copy.scores == {}, "the scoring was of all of sort"
    mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "whole"), ranks={"reverse": 8}))
    assert read_mix(tmp_path / "whole").scores, "8 is all of reverse"
    mixed.ask(m.ImportMix(path=str(tmp_path / "cut"), name="arrived"))
    assert list(mixed.home.tmp.iterdir()) == []


def test_a_rank_that_no_expert_has_is_refused_before_anything_begins(mixed, tmp_path):
    fresh = [m.Domain(expert="a", data="mixed", rank=2), m.Domain(expert="b", data="mixed")]
    for body, sentence in (
        (scoring(mixed, ranks={"sort": 9}), "sort has ranks 1 to 8, not 9"),
        (scoring(mixed, ranks={"upper": 2}), "upper takes no part"),
        (export(mixed, tmp_path / "out", ranks={"sort": 0}), "not 0"),
        (router(mixed, ranks={"reverse": 9}), "reverse has ranks 1 to 8, not 9"),
        (router(mixed, ranks={"sort": 2}), "sort takes no part"),
        (router(mixed, experts=["upper"], extend="both", ranks={"sort": 9}), "not 9"),
        (m.TrainJoint(base="tiny", domains=fresh, out="new"), "a begins fresh"),
    ):
        with pytest.raises(StudioError, match=sentence):
            submit(mixed, "x", body)
    with pytest.raises(StudioError, match="not 9"):
        mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "copy"), ranks={"sort": 9}))
    assert not (tmp_path / "copy").exists()


@pytest.fixture
def other(mixed, tmp_path):
    """A second studio, which has the starter pack alone."""
    (tmp_path / "elsewhere").mkdir()
    rig = type(mixed)(tmp_path / "elsewhere", tmp_path / "elsewhere" / "home").start()
    yield rig
    rig.stop()


def test_a_copied_mix_comes_into_another_library(mixed, other, tmp_path):
    mixed.ask(m.CopyMix(name="both", folder=str(tmp_path / "copy")))
    with pytest.raises(StudioError, match="no base called tiny here") as refused:
        other.ask(m.ImportMix(path=str(tmp_path / "copy")))
    assert "bases add FOLDER --name tiny" in refused.value.hint
    card = other.ask(m.ImportMix(path=str(tmp_path / "copy"), name="theirs", base="starter-llama"))
    assert (card.name, card.base, card.experts) == ("theirs", "starter-llama", ["reverse", "sort"])
    arrived, left = other.home.mixes / "theirs", mixed.home.mixes / "both"
    mix = read_mix(arrived)
    assert mix.name == "theirs" and mix.sha256 == read_mix(left).sha256
    for name, digest in mix.sha256.items():
        assert sha256_file(arrived / name) == digest
    assert other.ask(m.ListMixes()).mixes == [card]
    with pytest.raises(StudioError, match="already is a mix called theirs"):
        other.ask(m.ImportMix(path=str(tmp_path / "copy"), name="Theirs", base="starter-llama"))
    other.kill()
    other.start()
    assert other.ask(m.ListMixes()).mixes == [card]


def test_a_folder_that_is_no_whole_mix_does_not_come_in(mixed, tmp_path):
    def bring(folder):
        return mixed.ask(m.ImportMix(path=str(folder), name="new"))

    with pytest.raises(StudioError, match="no folder"):
        bring(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudioError, match="is no mix"):
        bring(tmp_path / "empty")
    foreign = tmp_path / "foreign"
    mixed.ask(m.CopyMix(name="both", folder=str(foreign)))
    card = (foreign / "mixer.json").read_text().replace("layers.0.self_attn.q_proj", "layers.9.mixer.in_proj")
    (foreign / "mixer.json").write_text(card)
    with pytest.raises(StudioError, match="incomplete"):
        bring(foreign)
    router = load_file(foreign / "router.safetensors")
    save_file({"model.layers.9.mixer.in_proj": next(iter(router.values()))}, foreign / "router.safetensors")
    with pytest.raises(StudioError, match="whose projections tiny does not have"):
        bring(foreign)
    for damage in ("router.safetensors", "experts/sort/adapter_model.safetensors"):
        copy = tmp_path / damage.split("/")[0]
        mixed.ask(m.CopyMix(name="both", folder=str(copy)))
        (copy / damage).write_bytes((copy / damage).read_bytes()[:-4] + b"0000")
        with pytest.raises(StudioError, match="has changed since it was saved"):
            bring(copy)
    # A card that forgets a file, and one that names a file elsewhere.
    for change in ({"experts/sort/adapter_config.json": None}, {"../secret": "00"}):
        copy = tmp_path / str(len(list(tmp_path.iterdir())))
        mixed.ask(m.CopyMix(name="both", folder=str(copy)))
        card = json.loads((copy / "mixer.json").read_text())
        card["sha256"] = {k: v for k, v in (card["sha256"] | change).items() if v}
        (copy / "mixer.json").write_text(json.dumps(card))
        with pytest.raises(StudioError):
            bring(copy)
    assert [card.name for card in mixed.ask(m.ListMixes()).mixes] == ["both"]
    assert sorted(path.name for path in mixed.home.mixes.iterdir()) == ["both"]
    assert list(mixed.home.tmp.iterdir()) == []


def test_a_mix_knows_under_which_licences_its_experts_came(mixed, tmp_path):
    spec = router(mixed, base="starter-llama", experts=["reverse", "sort"], out="known", steps=5)
    submit(mixed, "known", spec)
    mixed.wait_for("known", "done")
    assert read_mix(mixed.home.mixes / "known").licenses == dict.fromkeys(["reverse", "sort"], "apache-2.0")
    mixed.ask(m.DropExpert(mix="known", expert="sort", out="less"))
    assert read_mix(mixed.home.mixes / "less").licenses == {"reverse": "apache-2.0"}
    mixed.ask(m.CopyMix(name="known", folder=str(tmp_path / "copy")))
    assert 'license: "apache-2.0"' in (tmp_path / "copy" / "README.md").read_text()


def test_voices_of_a_comparison_are_resolved_and_checked(mixed):
    voices = [
        m.Ask(),
        m.Ask(parts=[m.Part(name="reverse")]),
        m.Ask(mixing=m.Mixing(name="both"), parts=[m.Part(name="sort", weight=0.5)]),
    ]
    compared = mixed.ask(m.Compare(base="tiny", prompt="x", voices=voices))
    assert len(compared.answers) == 3
    assert compared.answers[0].text == "x|adapter:reverse=reverse,mix:both=both"
    for voices, sentence in (
        ([], "0 voices"),
        ([m.Ask()] * 65, "65 voices"),
        ([m.Ask(parts=[m.Part(name="nobody")])], "no adapter called nobody"),
        ([m.Ask(mixing=m.Mixing(name="both"), parts=[m.Part(name="upper")])], "upper is no expert of both"),
        ([m.Ask(mixing=m.Mixing(job="x"))], "still trains"),
    ):
        with pytest.raises(StudioError, match=sentence):
            mixed.ask(m.Compare(base="tiny", prompt="x", voices=voices))
    with pytest.raises(StudioError, match="trained on tiny, not on starter-llama"):
        mixed.ask(m.Compare(base="starter-llama", prompt="x", voices=[m.Ask(mixing=m.Mixing(name="both"))]))


def test_many_kinds_take_turns_and_survive_kills(mixed, tmp_path):
    """Whatever was acknowledged ends well, however often engine and runtime are killed in between."""
    specs = {
        "scores": scoring(mixed),
        "pair": joint(mixed, base="tiny", domains=[m.Domain(expert=name, data="mixed") for name in "ab"]),
        "export": export(mixed, tmp_path / "plain"),
        "fragile": scoring(mixed),
    }
    for key, spec in specs.items():
        submit(mixed, key, spec)
    for pause in (0.2, 0.35, 0.5):
        time.sleep(pause)
        mixed.kill()
        mixed.start()
    for key in specs:
        assert mixed.wait_for(key, "done", seconds=60).state == "done"
    assert (tmp_path / "plain" / "adapter_config.json").is_file()
    assert {card.name for card in mixed.ask(m.ListMixes()).mixes} == {"both", "pair"}
