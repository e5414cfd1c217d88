"""What a look at a repository costs and finds, against a real server and its faults."""

import json
import time

import pytest

from engine.formats.base_shapes import base_shapes
from engine.formats.errors import StudioError
from engine.formats.studio_file import STUDIO
from engine.hub.peek import BUDGET, newest, peek_adapter, peek_base
from engine.hub.verdict import adapter_verdict, wished_base
from engine.supervisor.starter import STARTER
from tests.engine.hub.tables import CONFIG, PROJECTIONS, WEIGHTS, adapter, config, factors, packed

REPO = "ada/lora"
BASE = base_shapes(STARTER / "base", ["starter"])


@pytest.fixture(autouse=True)
def entered(hub, monkeypatch):
    hub.enter(monkeypatch)


def look(token=None, revision="main"):
    return peek_adapter(REPO, revision, token)


def judged(base=BASE):
    return adapter_verdict(look(), base)


def sent(hub):
    return sum(each["sent"] for each in hub.requests())


# --- what it costs ---


@pytest.mark.alone
def test_an_ordinary_adapter_takes_two_requests_and_no_time(hub):
    commit = hub.add(REPO, adapter(init_lora_weights=True))
    look()
    hub.forget()
    before = time.perf_counter()
    verdict = judged()
    assert time.perf_counter() - before < 1
    assert verdict.fit.verdict == "green", verdict.fit.reason
    assert (verdict.commit, verdict.kind, verdict.rank, verdict.alpha) == (commit, "lora", 4, 8.0)
    assert verdict.targets == ["q_proj", "v_proj"] and verdict.tensors == 8
    assert verdict.size == len(packed(factors()))
    asked = [each["path"] for each in hub.requests() if each["host"].startswith("127")]
    assert len(asked) == 2 and commit in asked[1]
    assert 0 < verdict.read < 30_000 and sent(hub) < 1 << 16


def test_a_table_longer_than_the_first_part_takes_one_more_request(hub):
    hub.add(REPO, adapter(factors(layers=32, width=64, names=PROJECTIONS)))
    hub.forget()
    verdict = adapter_verdict(look(), None)
    assert verdict.tensors == 448 and "names no base" in verdict.fit.reason
    assert 30_000 < verdict.read <= BUDGET and sent(hub) < 1 << 16
    ranges = [each["range"] for each in hub.requests() if each["status"] == 206]
    assert len(ranges) == 3 and ranges[2].startswith("bytes=20480-")


def test_a_table_beyond_the_budget_is_judged_by_its_beginning(hub):
    attention = ("q_proj", "k_proj", "v_proj", "o_proj")
    hub.add(REPO, adapter(factors(layers=200, names=attention)))
    hub.forget()
    verdict = judged()  # the base has four layers
    assert verdict.fit.verdict == "red" and "parts that were read have a place" in verdict.fit.reason
    assert verdict.read <= BUDGET and sent(hub) < 1 << 16
    hub.add(REPO, adapter(factors(layers=200, width=96, names=attention)))
    assert judged().fit.verdict == "red"
    longer = {f"base_model.model.{'x' * 300}.{n}.lora_A.weight": (4, 8) for n in range(200)}
    hub.add(REPO, adapter(factors(layers=4, names=attention) | longer))
    assert judged().fit.reason.startswith("Only 7") and "has its place in starter" in judged().fit.reason


def nested(**changes):
    return json.dumps({"kind": "dylora", "scaling": "alpha/rank", "ranks": [2, 3, 4]} | changes).encode()


def test_a_dylora_is_called_one(hub):
    hub.add(REPO, adapter() | {STUDIO: nested()})
    verdict = judged()
    assert (verdict.fit.verdict, verdict.kind, verdict.low, verdict.rank) == ("green", "dylora", 2, 4)
    assert verdict.fit.reason.endswith(" DyLoRA, every rank from 2 to 4.")
    hub.add(REPO, adapter() | {STUDIO: json.dumps({"kind": "svd", "scaling": "constant"}).encode()})
    verdict = judged()
    assert (verdict.fit.verdict, verdict.kind, "DyLoRA" in verdict.fit.reason) == ("green", "svd", False)


def test_a_dylora_is_told_by_the_beginning_of_a_long_table(hub):
    hub.add(REPO, adapter(factors(layers=80, width=64, names=PROJECTIONS)) | {STUDIO: nested()})
    verdict = judged(None)
    assert verdict.kind == "dylora" and "DyLoRA, every rank from 2 to 4." in verdict.fit.reason
    assert verdict.read <= BUDGET


@pytest.mark.parametrize(
    ("file", "word"),
    [
        (b"{", "damaged"),
        (nested(ranks=[2, 3]), "but its factors have 1 to 4"),
        (nested(scaling="constant"), "its strength cannot be known"),
        (nested(kind="prism"), "'prism'"),
    ],
)
def test_what_contradicts_itself_of_ranks_is_red_as_it_is_once_it_is_here(hub, file, word):
    hub.add(REPO, adapter() | {STUDIO: file})
    fit = judged().fit
    assert fit.verdict == "red" and word in fit.reason


def test_the_starter_packs_adapters_fit_their_base(hub):
    for folder in (STARTER / "adapters").iterdir():
        hub.add(f"ada/{folder.name}", {file.name: file for file in folder.iterdir()})
        verdict = adapter_verdict(peek_adapter(f"ada/{folder.name}", "main", None), BASE)
        assert verdict.fit.verdict == "green" or "made for" in verdict.fit.reason, verdict.fit.reason


def test_a_commit_and_a_branch_are_looked_at_as_they_are(hub):
    first = hub.add(REPO, adapter())
    hub.add(REPO, adapter(factors(width=64)))
    hub.branch(REPO, "old", first)
    assert look().commit != first == look(revision="old").commit == look(revision=first).commit
    assert judged().fit.verdict == "red"
    assert newest(REPO, "old", None, "adapters") == first


def test_the_newest_commit_costs_no_byte(hub):
    commit = hub.add(REPO, adapter())
    hub.forget()
    assert newest(REPO, "main", None, "adapters") == commit
    assert [each["method"] for each in hub.requests()] == ["HEAD"] and sent(hub) == 0


# --- whom the token is shown to ---


def test_the_token_goes_to_the_hub_alone(hub):
    hub.add(REPO, adapter(), private=True)
    hub.forget()
    assert look(token=hub.token).size
    shown = {each["host"].partition(":")[0]: each["authorization"] for each in hub.requests()}
    assert shown == {"127.0.0.1": True, "localhost": False}


@pytest.mark.parametrize(("kind", "code"), [("private", "missing"), ("gated", "gated")])
def test_what_may_not_be_read_says_so(hub, kind, code):
    hub.add(REPO, adapter(), **{kind: True})
    with pytest.raises(StudioError) as caught:
        look()
    assert caught.value.code == code and caught.value.hint


def test_there_is_no_such_repository():
    with pytest.raises(StudioError) as caught:
        look()
    assert caught.value.code == "missing"


# --- a server that does not do as it is asked ---


def test_a_server_without_ranges_is_read_to_the_budget_only(hub):
    big = factors(layers=4, width=2048, rank=64)
    hub.add(REPO, adapter(big, r=64))
    hub.fault("*", times=-1, no_range=True)
    verdict = adapter_verdict(look(), None)
    assert verdict.tensors == 16 and verdict.size == len(packed(big))
    assert verdict.read <= BUDGET


@pytest.mark.parametrize(
    "fault",
    [
        {"gzip": True},
        {"length": 12},
        {"redirect": "ftp://example.org/x"},
        {"redirect": "/ada/lora/resolve/main/adapter_config.json"},
        {"status": 403},
        {"status": 418},
        {"status": 200, "code": "odd"},
    ],
)
def test_faults_of_the_server_are_sentences_or_do_no_harm(hub, fault):
    hub.add(REPO, adapter())
    hub.fault(f"*/{WEIGHTS}", times=-1, **fault)
    hub.forget()
    try:
        verdict = judged()
        assert verdict.read <= BUDGET
    except StudioError as error:
        assert error.message.endswith(".") and error.code in (
            "failed",
            "sign-in",
            "refused",
            "offline",
            "changed",
        )
    assert sent(hub) < 1 << 20 and len(hub.requests()) < 20


def test_a_connection_that_drops_in_the_table(hub):
    hub.add(REPO, adapter())
    hub.fault(f"*/{WEIGHTS}", times=-1, drop_at=300)
    with pytest.raises(StudioError) as caught:
        judged()
    assert caught.value.code == "offline"


def test_a_busy_server_is_asked_again_as_it_says(hub):
    hub.add(REPO, adapter())
    hub.fault(f"*/{CONFIG}", status=429, retry_after=0)
    assert judged().fit.verdict == "green"


def test_the_hub_and_the_storage_must_agree_on_the_size(hub):
    hub.add(REPO, adapter())
    hub.lie(REPO, WEIGHTS, size=len(packed(factors())) + 1)
    with pytest.raises(StudioError) as caught:
        look()
    assert caught.value.code in ("failed", "changed")


def test_another_commit_half_way_is_noticed(hub):
    hub.add(REPO, adapter())
    hub.lie(REPO, WEIGHTS, commit="f" * 40)
    with pytest.raises(StudioError) as caught:
        look()
    assert caught.value.code == "changed"


def test_a_session_that_another_thread_closes_is_opened_again(hub, monkeypatch):
    import huggingface_hub as hf

    hub.add(REPO, adapter())
    look()
    stale = hf.get_session()
    stale.close()
    sessions = [stale, stale]  # the second one is used
    real = hf.get_session
    monkeypatch.setattr(hf, "get_session", lambda: sessions.pop() if sessions else real())
    hf.close_session()
    assert judged().fit.verdict == "green" and not sessions


# --- files that lie ---

Q = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize(
    ("weights", "word"),
    [
        (packed(factors(), length=1 << 60), "larger than 4 MB"),
        (packed(factors(), length=(4 << 20) - 9), "cut off"),
        (packed(factors(), length=3), "damaged"),
        (packed(factors())[:-8], "cut off"),
        (packed(factors()) + b"more", "too many"),
        (b"\x80\x04cos\nsystem\n." + bytes(200), "pickle"),
        (b"PK\x03\x04" + bytes(200), "pickle"),
        (b"<html>" + b" " * 100, "larger than 4 MB"),
        (b"", "cut off"),
        (b"short", "cut off"),
        (packed({}), "no tensor"),
        (packed({Q: (4, 128)}), "no lora_B"),
        (packed(factors() | {"evil.weight": (2, 2)}), "no LoRA has"),
        (packed(factors(rank=5)), "rank 5"),
    ],
)
def test_lying_weights_are_red(hub, weights, word):
    hub.add(REPO, {CONFIG: config(), WEIGHTS: weights})
    verdict = judged()
    assert verdict.fit.verdict == "red" and word in verdict.fit.reason, verdict.fit.reason
    assert verdict.read <= BUDGET and verdict.fit.reason.endswith(".")


@pytest.mark.parametrize(
    ("raw", "colour", "word"),
    [
        (config(auto_mapping={"parent_library": "os"}), "red", "Python module"),
        (config(init_lora_weights="pissa"), "red", "pissa"),
        (config(peft_type="IA3"), "red", "IA3"),
        (config(r=10**9), "red", "rank"),
        (config(strange="value"), "red", "strange"),
        (b"{", "red", "damaged"),
        (b"[]", "red", "damaged"),
        (b"", "red", "damaged"),
        (b"[" * 900, "red", "damaged"),
        (b'{"r": 4, "r": 5}', "red", "damaged"),
        (config(target_modules=["x" * 60] * 500), "amber", "too long"),
    ],
)
def test_configs_that_are_not_taken(hub, raw, colour, word):
    hub.add(REPO, {CONFIG: raw, WEIGHTS: packed(factors())})
    verdict = judged()
    assert verdict.fit.verdict == colour and word in verdict.fit.reason, verdict.fit.reason


def test_a_refused_config_still_shows_what_it_claims(hub):
    wish = "someone/Base"
    hub.add(REPO, adapter(peft_type="IA3", base_model_name_or_path=wish, r=7))
    verdict = judged()
    assert (verdict.kind, verdict.rank, verdict.base) == ("ia3", 7, wish) and wished_base(look()) == wish


# --- repositories that hold something else ---


def test_a_pickle_only_is_converted_when_it_comes_in(hub):
    hub.add(REPO, {CONFIG: config(base_model_name_or_path="x/y"), "adapter_model.bin": b"PK" + bytes(5000)})
    verdict = judged()
    assert verdict.fit.verdict == "amber" and "pickle" in verdict.fit.reason
    assert verdict.base == "x/y" and verdict.read < 2000 and verdict.size == 5002


def test_older_names_are_judged_as_what_they_become(hub):
    older = {name.replace(".weight", ".default.weight"): shape for name, shape in factors().items()}
    hub.add(REPO, adapter(older))
    verdict = judged()
    assert verdict.fit.verdict == "amber" and "older PEFT" in verdict.fit.reason
    assert "right shape" in verdict.fit.reason and verdict.rank == 4
    narrow = {name.replace(".weight", ".default.weight"): s for name, s in factors(width=64).items()}
    hub.add(REPO, adapter(narrow))
    assert judged().fit.verdict == "red"


def kohya(width):
    name = "lora_te_model_layers_0_self_attn_q_proj"
    shapes = {
        f"{name}.lora_down.weight": (4, width),
        f"{name}.lora_up.weight": (width, 4),
        f"{name}.alpha": (),
    }
    return {"some.safetensors": packed(shapes)}


def test_kohyas_files_are_judged_as_what_they_become(hub):
    hub.add(REPO, kohya(128))
    verdict = judged()
    assert verdict.fit.verdict == "amber" and "kohya" in verdict.fit.reason
    assert "kohya" in verdict.converted
    assert "right shape" in verdict.fit.reason and verdict.targets == ["q_proj"]
    hub.add(REPO, kohya(64))
    assert judged().fit.verdict == "red"


def test_a_diffusion_models_lora_is_red(hub):
    hub.add(REPO, {"x.safetensors": packed({"lora_unet_mid_block_attn.lora_down.weight": (4, 8)})})
    assert judged().fit.verdict == "red" and "diffusion" in judged().fit.reason


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"README.md": b"hello"}, "no adapter_config.json"),
        ({CONFIG: config(), "README.md": b"hello"}, "no weights"),
        ({CONFIG: config(), "gate.safetensors": packed({"rows": (2, 2)})}, "no"),
        ({CONFIG: config(), "a.safetensors": packed({}), "b.safetensors": packed({})}, "no weights"),
        ({"model.safetensors": packed({"wte.weight": (2, 2)})}, "adapter_config.json"),
    ],
)
def test_what_is_no_adapter_is_red(hub, files, word):
    hub.add(REPO, files)
    verdict = judged()
    assert verdict.fit.verdict == "red" and word in verdict.fit.reason, verdict.fit.reason


def test_a_very_long_list_of_files_is_not_read(hub):
    hub.add(REPO, {CONFIG: config()} | {f"checkpoint-{n:05}-{'x' * 80}.txt": b"" for n in range(900)})
    hub.forget()
    with pytest.raises(StudioError) as caught:
        look()
    assert caught.value.code == "failed" and sum(e["sent"] for e in hub.requests("*adapter*")) < 1 << 16


# --- bases ---


def base_files(**changes):
    import json

    files = {file.name: file.read_bytes() for file in (STARTER / "base").iterdir()}
    files["config.json"] = json.dumps(json.loads(files["config.json"]) | changes).encode()
    return files


def test_a_base_in_a_few_hundred_bytes(hub):
    commit = hub.add(REPO, base_files())
    peek = peek_base(REPO, "main", None)
    assert (peek.commit, peek.parameters, peek.fit) == (commit, 868_864, None)
    assert peek.size == pytest.approx(len(base_files()["model.safetensors"]), rel=0.01)
    assert peek.read < 2000 and newest(REPO, "main", None, "bases") == commit


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"config.json": None}, "no config.json"),
        ({"tokenizer.json": None}, "no tokenizer.json"),
        ({"model.safetensors": None}, "no weights in the safetensors"),
        ({"model.safetensors": None, "pytorch_model.bin": b"PK"}, "pickles"),
    ],
)
def test_what_is_no_base_is_red(hub, change, word):
    files = base_files() | change
    hub.add(REPO, {name: data for name, data in files.items() if data is not None})
    fit = peek_base(REPO, "main", None).fit
    assert fit.verdict == "red" and word in fit.reason
