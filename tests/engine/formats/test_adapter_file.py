"""A shelf of folders, good, hostile and broken: each taken or refused with its own sentence, none loaded by
half."""

from __future__ import annotations

import json
import random
import struct
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from engine.formats.adapter_file import fingerprint, inspect_folder, read_folder
from engine.formats.errors import AdapterError
from engine.formats.patterns import resolve
from engine.lora import read_adapter

Q = "base_model.model.model.layers.0.self_attn.q_proj"


def config(**changes):
    return {
        "peft_type": "LORA",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
        "bias": "none",
    } | changes


def pair(path=Q, r=4, d_in=6, d_out=5, dtype=torch.float32):
    return {f"{path}.lora_A.weight": torch.ones(r, d_in, dtype=dtype),
            f"{path}.lora_B.weight": torch.ones(d_out, r, dtype=dtype)}  # fmt: skip


def put(folder: Path, settings=None, weights=None, **more: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    if settings is not None:
        raw = settings if isinstance(settings, bytes) else json.dumps(settings).encode()
        (folder / "adapter_config.json").write_bytes(raw)
    if weights is not None:
        raw = weights if isinstance(weights, bytes) else save(weights)
        (folder / "adapter_model.safetensors").write_bytes(raw)
    for name, raw in more.items():
        (folder / name.replace("__", ".")).write_bytes(raw)
    return folder


def table(entries, body=b"", length=None) -> bytes:
    raw = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + body


def entry(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_an_ordinary_adapter(tmp_path):
    folder = put(tmp_path / "a", config(base_model_name_or_path="tiny"), pair())
    card = inspect_folder(folder)
    assert (card.verdict, card.kind, card.rank, card.alpha, card.targets) == (
        "ok",
        "lora",
        4,
        8.0,
        ["q_proj"],
    )
    assert (card.base, card.tensors, card.bytes) == (
        "tiny",
        2,
        (folder / "adapter_model.safetensors").stat().st_size,
    )
    assert card.reason == "A LoRA of rank 4 on 1 projections (q_proj)."
    assert len(fingerprint(folder)) == 64
    before = fingerprint(folder)
    put(folder, config(lora_alpha=9))
    again = fingerprint(folder)
    assert again != before
    (folder / "gate.safetensors").write_bytes(b"a gate of its own")
    assert fingerprint(folder) != again


@pytest.mark.parametrize(
    "harmless",
    [
        {
            "auto_mapping": {
                "base_model_class": "X",
                "parent_library": "transformers.models.llama.modeling_llama",
            }
        },
        {"megatron_core": "megatron.core", "loftq_config": {}, "qalora_group_size": 16, "revision": None},
        {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
        {"lora_dropout": 0.1, "peft_version": "0.99", "some_future_setting": None, "another": False},
        {"modules_to_save": [], "rank_pattern": None, "use_dora": False, "layers_to_transform": [0]},
    ],
)
def test_harmless_settings(tmp_path, harmless):
    assert inspect_folder(put(tmp_path / "a", config(**harmless), pair())).verdict == "ok"


SETTINGS = {
    "dora": ({"use_dora": True}, "has no magnitude, but its config says DoRA (use_dora)"),
    "dora text": ({"use_dora": "yes"}, "impossible value for use_dora"),
    "bias": ({"bias": "some"}, "impossible value for bias"),
    "lora_bias": ({"lora_bias": True}, "has no bias, but its config says lora_bias"),
    "modules_to_save": ({"modules_to_save": ["lm_head"]}, "replaces lm_head (modules_to_save), but"),
    "tokens": ({"trainable_token_indices": [5]}, "new or changed tokens"),
    "replication": ({"layer_replication": [[0, 2]]}, "repeats layers"),
    "parameters": ({"target_parameters": ["x"]}, "bare parameters"),
    "alora": ({"alora_invocation_tokens": [1]}, "aLoRA"),
    "arrow": ({"arrow_config": {"top_k": 2}}, "Arrow"),
    "qalora": ({"use_qalora": True}, "QALoRA"),
    "bdlora": ({"use_bdlora": {"nblocks": 2}}, "BD-LoRA"),
    "kasa": ({"kasa_config": {"beta": 1}}, "KaSA"),
    "monteclora": ({"monteclora_config": {"x": 1}}, "MonteCLoRA"),
    "pissa": ({"init_lora_weights": "pissa_niter_16"}, "changes the base's weights"),
    "olora": ({"init_lora_weights": "olora"}, "changes the base's weights"),
    "corda": ({"init_lora_weights": "corda"}, "changes the base's weights"),
    "loftq": ({"init_lora_weights": "loftq"}, "changes the base's weights"),
    "lora_ga": ({"init_lora_weights": "lora_ga"}, "changes the base's weights"),
    "odd init": ({"init_lora_weights": "magic"}, "unknown way"),
    "unknown": ({"some_future_setting": 3}, "some_future_setting"),
    "other kind": ({"peft_type": "PREFIX_TUNING"}, "PREFIX_TUNING"),
    "no kind": ({"peft_type": None}, "kind unknown"),
    "rank text": ({"r": "4"}, "impossible value for r"),
    "rank true": ({"r": True}, "impossible value for r"),
    "rank zero": ({"r": 0}, "impossible value for r"),
    "rank huge": ({"r": 10**9}, "at most 1024"),
    "alpha text": ({"lora_alpha": "8"}, "impossible value for lora_alpha"),
    "alpha huge": ({"lora_alpha": 1e300}, "impossible value for lora_alpha"),
    "pattern list": ({"rank_pattern": ["q"]}, "impossible value for rank_pattern"),
    "pattern rank": ({"rank_pattern": {"q_proj": -1}}, "impossible value for q_proj"),
    "broken regex": ({"rank_pattern": {"(": 4}}, "not a regular expression"),
    "other rank": ({"rank_pattern": {"q_proj": 2}}, "the config says 2"),
    "targets": ({"target_modules": {"a": 1}}, "impossible value for target_modules"),
    "task": ({"task_type": "x; rm"}, "impossible value for task_type"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_are_refused(tmp_path, case):
    changes, sentence = SETTINGS[case]
    folder = put(tmp_path / "a", config(**changes), pair())
    card = inspect_folder(folder)
    assert card.verdict == "refuse" and sentence in card.reason, card.reason
    with pytest.raises(AdapterError) as caught:
        read_adapter(folder)
    assert caught.value.hint and caught.value.code == "adapter"


REFUSED = {
    "auto_mapping": {"auto_mapping": {"base_model_class": "X", "parent_library": "os"}},
    "auto_mapping text": {"auto_mapping": "evil"},
    "lookalike": {"auto_mapping": {"base_model_class": "X", "parent_library": "transformers_evil.x"}},
    "megatron": {"megatron_config": {"a": 1}, "megatron_core": "evil"},
    "megatron core": {"megatron_core": "evil.core"},
    "long regex": {"target_modules": "(a|b)" * 400},
    "slow regex": {"rank_pattern": {r"(\w|\.|[a-z])+\d": 4}},
    "many slow": {"alpha_pattern": {rf"(\w|\.|[a-z])+{i}": 4 for i in range(200)}},
}


@pytest.mark.parametrize("case", REFUSED)
def test_settings_that_are_unsafe(tmp_path, case):
    folder = put(tmp_path / "a", config(**REFUSED[case]), pair())
    start = time.process_time()
    assert inspect_folder(folder).verdict == "refuse"
    with pytest.raises(AdapterError) as caught:
        read_folder(folder)
    assert caught.value.code == "refused"
    assert time.process_time() - start < 5


@pytest.mark.parametrize("kind", ["OFT", "BOFT", "VERA", "MISS"])
def test_kinds_that_peft_has_to_convert_first(tmp_path, kind):
    card = inspect_folder(put(tmp_path / "a", config(peft_type=kind), pair()))
    assert card.verdict == "refuse" and kind in card.reason and card.kind == kind.lower()
    assert "with PEFT first" in card.reason


def test_loha_tensors_under_a_lora_config(tmp_path):
    card = inspect_folder(put(tmp_path / "a", config(), {f"{Q}.hada_w1_a": torch.ones(2, 2)}))
    assert card.verdict == "refuse" and "belong to another method" in card.reason


EVIL = b"cos\nsystem\n(S'touch /tmp/owned'\ntR."
PICKLE = b"\x80\x02" + EVIL
GOOD = save(pair())
CONV = {f"{Q}.lora_A.weight": torch.ones(4, 6, 1, 1), f"{Q}.lora_B.weight": torch.ones(5, 4, 1, 1)}
TENSORS = {
    "magnitude": (pair() | {f"{Q}.lora_magnitude_vector": torch.ones(5)}, "does not say DoRA"),
    "embedding": (pair() | {"model.embed.lora_embedding_A": torch.ones(4, 9)}, "no lora_embedding_B"),
    "two ways": (
        pair() | {f"{Q}.lora_embedding_A": torch.ones(4, 9), f"{Q}.lora_embedding_B": torch.ones(3, 4)},
        "both as an embedding and as a projection",
    ),
    "bias": (pair() | {f"{Q}.lora_B.bias": torch.ones(5)}, "does not say lora_bias"),
    "base's bias": (pair() | {f"{Q}.base_layer.bias": torch.ones(5)}, "that no LoRA has"),
    "magnitude alone": ({f"{Q}.lora_magnitude_vector": torch.ones(5)}, "has neither factor"),
    "tokens": (
        pair() | {"model.embed_tokens.token_adapter.trainable_tokens_delta": torch.ones(2, 6)},
        "new or changed tokens",
    ),
    "head": (
        pair() | {"base_model.model.lm_head.modules_to_save.weight": torch.ones(5)},
        "that its config does not name",
    ),
    "stranger": (
        pair() | {"model.embed_tokens.weight": torch.ones(5)},
        "that no LoRA has: model.embed_tokens.weight",
    ),
    "only copies": (
        {"base_model.model.model.embed_tokens.weight": torch.ones(5, 4)},
        "holds no LoRA factors",
    ),
    "half": ({f"{Q}.lora_A.weight": torch.ones(4, 6)}, "has lora_A but no lora_B"),
    "other half": ({f"{Q}.lora_B.weight": torch.ones(5, 4)}, "has lora_B but no lora_A"),
    "conv": (CONV, "convolution"),
    "three dimensions": ({k: v[None] for k, v in pair().items()}, "stacked in three dimensions"),
    "vector": ({k: v[0] for k, v in pair().items()}, "needs two matrices"),
    "ranks differ": (pair() | {f"{Q}.lora_B.weight": torch.ones(5, 3)}, "lora_B has rank 3"),
    "rank": (pair(r=5), "the config says 4"),
    "rank above": (pair(r=1025), "at most 1024"),
    "integers": (pair(dtype=torch.int32), "needs floating point"),
    "empty": ({}, "no tensor at all"),
    "pickle": (PICKLE, "Python pickle"),
    "zip": (b"PK\x03\x04" + bytes(64), "archive is damaged"),
    "nothing": (b"", "cut off"),
    "short": (GOOD[:100], "cut off"),
    "one byte short": (GOOD[:-1], "cut off: 1 of 176"),
    "one byte more": (GOOD + b"x", "1 bytes too many"),
    "giant header": (table({}, length=1 << 62), "larger than 4 MB"),
    "not json": (table(b"{nonsense"), "table of contents is damaged"),
    "deep json": (table(b'{"a":' + b"[" * 100_000), "table of contents is damaged"),
    "list": (table(b"[]"), "table of contents is damaged"),
    "twice": (table(b'{"a":{},"a":{}}'), "table of contents is damaged"),
    "many": (table({f"t{i}": entry([0], 0, 0) for i in range(20_001)}), "20,001 tensors"),
    "dtype": (table({"a": entry([1], 0, 4, "F99")}, bytes(4)), "unknown number format"),
    "negative": (table({"a": entry([-1], 0, 4)}, bytes(4)), "impossible shape"),
    "float shape": (table({"a": entry([1.5], 0, 4)}, bytes(4)), "impossible shape"),
    "overflow": (table({"a": entry([1 << 61, 1 << 61], 0, 4)}, bytes(4)), "another size than its shape"),
    "overlap": (table({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, bytes(4)), "overlaps"),
    "hole": (table({"a": entry([1], 4, 8)}, bytes(8)), "leaves a hole"),
    "backwards": (table({"a": entry([1], 4, 0)}, bytes(8)), "another size"),
    "name": (table({"a\u202eb\n": entry([1], 0, 4)}, bytes(4)), "impossible name"),
    "extra key": (table({"a": entry([1], 0, 4) | {"x": 1}}, bytes(4)), "table of contents is damaged"),
}


E = "base_model.model.model.embed_tokens"
TAKEN = {
    "dora": (
        {"use_dora": True, "use_rslora": True},
        pair() | {f"{Q}.lora_magnitude_vector": torch.ones(5)},
        "A rank-stabilised DoRA of rank 4 on 1 projections (q_proj).",
    ),
    "lora_bias": (
        {"lora_bias": True},
        pair() | {f"{Q}.lora_B.bias": torch.ones(5)},
        "A LoRA of rank 4 on 1 projections (q_proj).",
    ),
    "embedding, with the base's own beside": (
        {},
        {
            f"{E}.lora_embedding_A": torch.ones(4, 9),
            f"{E}.lora_embedding_B": torch.ones(6, 4),
            f"{E}.base_layer.weight": torch.ones(9, 6),
        },
        "A LoRA of rank 4 on 1 projections (embed_tokens), and 1 tensor in place of the base's own.",
    ),
    "biases of the base": (
        {"bias": "all"},
        pair() | {f"{Q}.base_layer.bias": torch.ones(5), "base_model.model.model.norm.bias": torch.ones(6)},
        "A LoRA of rank 4 on 1 projections (q_proj), and 2 tensors in place of the base's own.",
    ),
    "modules to save": (
        {"modules_to_save": ["classifier", "score"]},
        pair() | {"base_model.model.score.weight": torch.ones(3, 6)},
        "A LoRA of rank 4 on 1 projections (q_proj), and 1 tensor in place of the base's own.",
    ),
}


@pytest.mark.parametrize("case", TAKEN)
def test_every_tensor_has_its_place(tmp_path, case):
    settings, weights, sentence = TAKEN[case]
    folder = put(tmp_path / "a", config(**settings), weights)
    card = inspect_folder(folder)
    assert (card.verdict, card.reason, card.tensors) == ("ok", sentence, len(weights))
    adapter = read_adapter(folder)
    (item,) = adapter.factors.values()
    assert len(adapter.replaced) == card.tensors - 2 - sum(v is not None for v in (item.bias, item.magnitude))
    assert item.embedding is case.startswith("embedding")
    assert all(path.startswith("model.") or path == "score.weight" for path in adapter.replaced)


def test_tied_embeddings_are_refused(tmp_path):
    settings, weights, _ = TAKEN["embedding, with the base's own beside"]
    card = inspect_folder(put(tmp_path / "a", config(ensure_weight_tying=True, **settings), weights))
    assert card.verdict == "refuse" and "ensure_weight_tying" in card.reason
    assert inspect_folder(put(tmp_path / "b", config(ensure_weight_tying=True), pair())).verdict == "ok"


@pytest.mark.parametrize("case", TENSORS)
def test_weights_that_are_refused(tmp_path, case):
    weights, sentence = TENSORS[case]
    folder = put(tmp_path / "a", config(), weights)
    start = time.process_time()
    card = inspect_folder(folder)
    assert card.verdict == "refuse" and sentence in card.reason, card.reason
    with pytest.raises(AdapterError):
        read_adapter(folder)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "is damaged"),
        (b"[]", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b'{"r": NaN}', "is damaged"),
        (b'{"a":' * 100_000, "is damaged"),
        (b" " * (1 << 20) + b"{}", "larger than 1 MB"),
    ],
)
def test_config_files_that_are_refused(tmp_path, raw, sentence):
    card = inspect_folder(put(tmp_path / "a", raw, pair()))
    assert card.verdict == "refuse" and sentence in card.reason


def test_folders_that_are_none(tmp_path):
    assert "no folder" in inspect_folder(tmp_path / "missing").reason
    assert "no adapter_config.json" in inspect_folder(put(tmp_path / "empty")).reason
    kohya = put(tmp_path / "kohya", lora__safetensors=GOOD)
    assert "its strength (alpha) cannot be known" in inspect_folder(kohya).reason
    assert "no adapter_model.safetensors" in inspect_folder(put(tmp_path / "config", config())).reason
    pickled = put(tmp_path / "pickled", config(), adapter_model__bin=PICKLE)
    assert "os.system" in inspect_folder(pickled).reason
    (tmp_path / "file").write_bytes(b"x")
    assert inspect_folder(tmp_path / "file").verdict == "refuse"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none(tmp_path, value):
    weights = pair()
    weights[f"{Q}.lora_B.weight"][2, 1] = value
    folder = put(tmp_path / "a", config(), weights)
    assert inspect_folder(folder).verdict == "ok"  # no number is read without torch
    with pytest.raises(AdapterError, match="infinite or not a number"):
        read_adapter(folder)


def test_studio_json(tmp_path):
    folder = put(tmp_path / "a", config(), pair(), studio__json=b'{"kind": "svd", "scaling": "constant"}')
    assert inspect_folder(folder).kind == "svd"
    put(folder, studio__json=b'{"kind": "elora"}')
    assert "kind 'elora'" in inspect_folder(folder).reason
    put(folder, studio__json=json.dumps(SVD | {"energy": "data"}).encode())
    assert inspect_folder(folder).reason.endswith("ordered by energy of what it says on data.")
    put(folder, studio__json=json.dumps(DYLORA | {"ranks": [2, 3, 4]}).encode())
    assert inspect_folder(folder).reason.endswith("trained at every rank from 2 on.")


SVD = {"kind": "svd", "scaling": "constant"}
DYLORA = {"kind": "dylora", "scaling": "alpha/rank"}


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (DYLORA | {"ranks": [1, 2, 3, 4, 5]}, "has ranks [1, 2, 3, 4, 5], but its factors have 1 to 4"),
        (DYLORA | {"ranks": [0, 1, 2, 3, 4]}, "has ranks [0, 1, 2, 3, 4], but"),
        (DYLORA | {"ranks": [1, 2, 3]}, "has ranks [1, 2, 3], but"),
        (DYLORA | {"ranks": [1, 4]}, "has ranks [1, 4], but"),
        (DYLORA | {"ranks": []}, "has ranks [], but"),
        (DYLORA | {"ranks": 4}, "has ranks 4, but"),
        (DYLORA | {"ranks": [True, 2, 3, 4]}, "has ranks [True, 2, 3, 4], but"),
        (DYLORA | {"ranks": ["all"]}, "has ranks ['all'], but"),
        (SVD | {"ranks": [3, 4]}, "begin at 3, but columns in order begin at 1"),
        (SVD | {"scaling": "alpha/rank"}, "says 'alpha/rank' of how its scale changes"),
        ({"kind": "dylora"}, "does not say how its scale changes"),
        (DYLORA | {"scaling": "constant"}, "says 'constant' of how its scale changes"),
        (DYLORA | {"scaling": ["alpha/rank"]}, "how its scale changes"),
    ],
)
def test_a_studio_json_that_contradicts_the_factors(tmp_path, card, words):
    folder = put(tmp_path / "a", config(), pair(), studio__json=json.dumps(card).encode())
    seen = inspect_folder(folder)
    assert seen.verdict == "refuse" and words in seen.reason
    with pytest.raises(AdapterError) as refused:
        read_adapter(folder)
    assert refused.value.hint


def test_patterns_resolve_as_in_peft():
    from peft.utils.other import get_pattern_key

    modules = [
        f"model.layers.{i}.{m}" for i in (0, 1, 11) for m in ("self_attn.q_proj", "mlp.up_proj", "q_proj")
    ]
    modules += ["q_proj", "xq_proj", "model.layersX1.q_proj"]
    keys = ["q_proj", "layers.1.self_attn.q_proj", "^model.layers.0.mlp.up_proj", r"layers\.(1|11)\..*", "up",
            "layers.1.q_proj", "self_attn.q_proj|mlp.up_proj", ".proj", "model.layers.0.q_proj"]  # fmt: skip
    for seed in range(50):
        chosen = random.Random(seed).sample(keys, 4)
        ours = resolve([(key, key) for key in chosen], modules, "default")
        for module in modules:
            theirs = get_pattern_key(chosen, module)
            assert ours[module] == (theirs if theirs in chosen else "default"), (chosen, module)


@pytest.mark.parametrize("part", ["config", "weights"])
def test_mutations_neither_crash_nor_hang(tmp_path, part):
    """Each mutant is read or refused; what is read has every tensor and only finite numbers."""
    settings = json.dumps(
        config(rank_pattern={"layers.0.*q_proj": 4}, base_model_name_or_path="tiny")
    ).encode()
    dice = random.Random(1)
    outcomes = {"ok": 0, "refuse": 0, "convert": 0}
    start = time.process_time()
    for _ in range(400):
        raw = bytearray(settings if part == "config" else GOOD)
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(raw) if part == "config" else 240)
            kind = dice.random()
            if kind < 0.5:
                raw[place] = dice.randrange(256)
            elif kind < 0.75:
                del raw[place : place + dice.randint(1, 9)]
            else:
                raw[place:place] = raw[: dice.randint(1, 9)]
        folder = put(
            tmp_path / "a",
            bytes(raw) if part == "config" else settings,
            bytes(raw) if part == "weights" else GOOD,
        )
        outcomes[inspect_folder(folder).verdict] += 1
        try:
            adapter = read_adapter(folder)
        except AdapterError as error:
            assert error.message
        else:
            assert all(f.A.isfinite().all() and f.A.shape == (4, 6) for f in adapter.factors.values())
    assert outcomes["refuse"] > 100
    assert time.process_time() - start < 60
