"""Adapters of other formats, converted: PEFT's own logits before and after, or the reason why not."""

from __future__ import annotations

import json
import re

import pytest
import torch
from peft import (
    AdaLoraConfig,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    PeftModel,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Dinov2Config,
    Dinov2Model,
    LlamaConfig,
    LlamaForCausalLM,
    ViTConfig,
    ViTForImageClassification,
)

from engine.formats.adapter_file import inspect_folder, read_folder
from engine.formats.convert import convert, recognise
from engine.formats.errors import AdapterError, StudioError

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*embedding layers.*"),
    pytest.mark.filterwarnings("ignore:.*invalid shape.*"),  # AdaLoRA may leave a module no column
    pytest.mark.filterwarnings("ignore:.*`r` is not used in AdaLora.*"),
]
CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
TARGETS = ["q_proj", "v_proj", "down_proj"]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def llama():
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
    ).eval()  # fmt: skip


def vit(**more):
    torch.manual_seed(1)
    config = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                  image_size=8, patch_size=4)  # fmt: skip
    return ViTForImageClassification(ViTConfig(**config, num_labels=3, **more)).eval()


TOKENS = torch.arange(12)[None] * 5 % 61
PICTURE = torch.linspace(-1, 1, 3 * 8 * 8).reshape(1, 3, 8, 8)


def made(model, settings, folder):
    """An adapter with every factor drawn at random, saved by PEFT, and what the model then says."""
    peft = get_peft_model(model, settings)
    with torch.no_grad():
        for parameter in peft.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    peft.save_pretrained(folder)
    return peft.eval()


def answer(model):
    with torch.no_grad():
        sees = model.config.model_type in ("vit", "dinov2")
        out = model(pixel_values=PICTURE) if sees else model(input_ids=TOKENS)
        return out.logits if hasattr(out, "logits") else out.last_hidden_state


def same(model, folder, expected, *, exactly=True):
    """PEFT loads the converted folder without a missing key, and says the same."""
    adapter = read_folder(folder)
    peft = PeftModel.from_pretrained(model, folder).eval()
    found = set(load_file(folder / WEIGHTS))
    state = {re.sub(r"\.default(?=\.|$)", "", name) for name in peft.state_dict() if "lora_" in name}
    assert {name for name in found if "lora_" in name} == state or adapter.config.dora
    if exactly:
        assert torch.equal(answer(peft), expected)
    else:
        torch.testing.assert_close(answer(peft), expected, rtol=1e-5, atol=1e-6)


def rewrite(folder, rename, *, pickle=False, legacy=False):
    """The same weights under other names, or as torch saves them."""
    tensors = {rename(name): tensor for name, tensor in load_file(folder / WEIGHTS).items()}
    if pickle:
        (folder / WEIGHTS).unlink()
        torch.save(tensors, folder / PICKLE, _use_new_zipfile_serialization=not legacy)
    else:
        save_file(tensors, folder / WEIGHTS)


def with_adapter(name):
    return re.sub(r"\.(lora_(?:A|B|magnitude_vector|embedding_A|embedding_B))", r".\1.mine", name)


LAYOUTS = {
    "an older PEFT": {"rename": with_adapter},
    "without prefix": {"rename": lambda name: name.removeprefix("base_model.model.")},
    "wrapped": {"rename": lambda name: f"module._orig_mod.{with_adapter(name)}"},
    "a pickle": {"rename": lambda name: name, "pickle": True},
    "an old pickle": {"rename": lambda name: name, "pickle": True, "legacy": True},
    "a pickle of an older PEFT": {"rename": with_adapter, "pickle": True},
}


@pytest.mark.parametrize("case", LAYOUTS)
@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_older_layouts_of_peft(tmp_path, case, kind):
    settings = LoraConfig(r=4, lora_alpha=6, target_modules=TARGETS, use_dora=kind == "dora",
                          rank_pattern={"v_proj": 2}, init_lora_weights=False)  # fmt: skip
    expected = answer(made(llama(), settings, tmp_path / "old"))
    rewrite(tmp_path / "old", **LAYOUTS[case])
    card = inspect_folder(tmp_path / "old")
    assert card.verdict == "convert" and card.rank == 4 and card.targets == sorted(TARGETS), card.reason
    with pytest.raises(AdapterError):
        read_folder(tmp_path / "old")
    kind = convert(tmp_path / "old", tmp_path / "new")
    assert kind == {
        "without prefix": "an older PEFT",
        "wrapped": "an older PEFT",
        "an old pickle": "a pickle",
    }.get(case, case)
    same(llama(), tmp_path / "new", expected)
    assert inspect_folder(tmp_path / "new").verdict == "ok" and recognise(tmp_path / "new") is None


def test_embeddings_and_saved_modules_in_an_older_layout(tmp_path):
    settings = LoraConfig(r=4, target_modules=["q_proj", "embed_tokens"], modules_to_save=["lm_head"],
                          init_lora_weights=False)  # fmt: skip
    expected = answer(made(llama(), settings, tmp_path / "old"))
    rewrite(
        tmp_path / "old",
        lambda name: with_adapter(name).replace("lm_head.weight", "lm_head.modules_to_save.mine.weight"),
    )
    convert(tmp_path / "old", tmp_path / "new")
    same(llama(), tmp_path / "new", expected)


V5 = [("layers.", "encoder.layer."), (".mlp.fc1", ".intermediate.dense"), (".mlp.fc2", ".output.dense"),
      (".o_proj", ".output.dense"), (".q_proj", ".attention.query"), (".k_proj", ".attention.key"),
      (".v_proj", ".attention.value")]  # fmt: skip


def before_transformers_5(name):
    for new, old in V5:
        name = name.replace(new, old, 1)
    return name


def test_a_vit_from_before_transformers_5(tmp_path):
    targets = ["q_proj", "v_proj", "o_proj", "fc1", "fc2"]
    settings = LoraConfig(r=2, target_modules=targets, rank_pattern={"fc1": 3}, init_lora_weights=False,
                          modules_to_save=["classifier"])  # fmt: skip
    expected = answer(made(vit(), settings, tmp_path / "old"))
    rewrite(tmp_path / "old", before_transformers_5)
    raw = json.loads((tmp_path / "old" / CONFIG).read_text())
    raw |= {"target_modules": ["query", "value", "dense"], "rank_pattern": {"intermediate.dense": 3}}
    (tmp_path / "old" / CONFIG).write_text(json.dumps(raw))
    assert any("attention.attention.query" in name for name in load_file(tmp_path / "old" / WEIGHTS))
    assert inspect_folder(tmp_path / "old").verdict == "convert"
    assert convert(tmp_path / "old", tmp_path / "new") == "an older transformers"
    same(vit(), tmp_path / "new", expected)


def test_a_dinov2_keeps_its_layers_and_an_unknown_one_is_left_alone(tmp_path):
    def dinov2():
        torch.manual_seed(1)
        return Dinov2Model(
            Dinov2Config(
                hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4
            )
        ).eval()

    settings = LoraConfig(r=2, target_modules=["q_proj", "o_proj"], init_lora_weights=False)
    expected = answer(made(dinov2(), settings, tmp_path / "old"))
    rewrite(
        tmp_path / "old",
        lambda name: name.replace(".q_proj", ".attention.query").replace(".o_proj", ".output.dense"),
    )
    convert(tmp_path / "old", tmp_path / "new")
    same(dinov2(), tmp_path / "new", expected)
    raw = json.loads((tmp_path / "old" / CONFIG).read_text())
    raw["auto_mapping"] = None
    (tmp_path / "old" / CONFIG).write_text(json.dumps(raw))
    assert recognise(tmp_path / "old") is None  # bare paths, and nothing says of which model


KINDS = {
    "AdaLoRA": AdaLoraConfig(init_r=6, target_r=3, total_step=10, lora_alpha=5, target_modules=TARGETS),
    "LoHa": LoHaConfig(r=3, alpha=5, target_modules=TARGETS, rank_pattern={"v_proj": 2}, init_weights=False),
    "LoKr": LoKrConfig(r=2, alpha=5, target_modules=TARGETS, decompose_factor=4, init_weights=False),
    "LoKr of whole factors": LoKrConfig(r=64, alpha=5, target_modules=TARGETS, init_weights=False),
    "LoKr of two pairs": LoKrConfig(r=1, alpha=3, target_modules=TARGETS, decompose_both=True,
                                    decompose_factor=8, init_weights=False),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_other_kinds_become_the_same_lora(tmp_path, kind):
    peft = made(llama(), KINDS[kind], tmp_path / "old")
    if kind == "AdaLoRA":  # as after training: some columns went, from one module all of them
        pattern = {}
        for name, module in peft.named_modules():
            if hasattr(module, "lora_E"):
                gone = [4, 0, 6][len(pattern) % 3]
                pattern[name.removeprefix("base_model.model.") + ".lora_E"] = [True] * (6 - gone) + [
                    False
                ] * gone
        peft.peft_config["default"].rank_pattern = pattern
        peft.base_model.resize_modules_by_rank_pattern(pattern, "default")
        peft.save_pretrained(tmp_path / "old")
    expected = answer(peft)
    card = inspect_folder(tmp_path / "old")
    assert card.verdict == "convert" and kind.split()[0] in card.reason, card.reason
    assert convert(tmp_path / "old", tmp_path / "new") == kind.split()[0]
    same(llama(), tmp_path / "new", expected, exactly=False)


def test_a_loha_of_a_large_rank_is_refused(tmp_path):
    made(llama(), LoHaConfig(r=33, target_modules=["q_proj"], init_weights=False), tmp_path / "old")
    card = inspect_folder(tmp_path / "old")
    assert card.verdict == "refuse" and "rank 1,089" in card.reason and "with PEFT first" in card.reason


def kohya(folder, start):
    """PEFT's tensors as kohya's trainers call them, with an alpha beside each pair."""
    tensors = {}
    for name, tensor in load_file(folder / WEIGHTS).items():
        path = name.removeprefix("base_model.model.").rpartition(".lora_")[0]
        key = start + path.replace(".", "_")
        tensors[f"{key}.{'lora_down' if 'lora_A' in name else 'lora_up'}.weight"] = tensor
        tensors[f"{key}.alpha"] = torch.tensor(6.0 if "v_proj" in name else 3.0)
    return tensors


def test_kohya_for_a_language_model(tmp_path):
    settings = LoraConfig(r=4, lora_alpha=3, target_modules=TARGETS, alpha_pattern={"v_proj": 6},
                          rank_pattern={"down_proj": 2}, init_lora_weights=False)  # fmt: skip
    expected = answer(made(llama(), settings, tmp_path / "peft"))
    file = tmp_path / "mine.safetensors"
    save_file(kohya(tmp_path / "peft", "lora_te_"), file, {"ss_network_module": "networks.lora"})
    card = inspect_folder(file)
    assert (card.verdict, card.rank, card.targets) == ("convert", 4, sorted(TARGETS)), card.reason
    assert convert(file, tmp_path / "new") == "kohya"
    same(llama(), tmp_path / "new", expected)


def test_kohya_for_the_text_encoder_of_an_image_model(tmp_path):
    def clip():
        torch.manual_seed(1)
        return CLIPTextModel(
            CLIPTextConfig(vocab_size=61, hidden_size=16, intermediate_size=24, num_hidden_layers=2,
                           num_attention_heads=2, max_position_embeddings=16)
        ).eval()  # fmt: skip

    settings = LoraConfig(
        r=4, lora_alpha=3, target_modules=["q_proj", "out_proj", "fc1"], init_lora_weights=False
    )
    expected = answer(made(clip(), settings, tmp_path / "peft"))
    tensors = kohya(tmp_path / "peft", "lora_te_text_model_")
    save_file(tensors, tmp_path / "te.safetensors")
    convert(tmp_path / "te.safetensors", tmp_path / "new")
    same(clip(), tmp_path / "new", expected)


PAIR = {"lora_down.weight": torch.ones(2, 6), "lora_up.weight": torch.ones(5, 2)}
FC1 = "text_model_encoder_layers_0_mlp_fc1"
REFUSED = {
    "a diffusion model": ["lora_unet_down_blocks_0_attentions_0_proj_in"],
    "a LoRA for a diffusion model": ["unet.mid_block.attentions.0.to_q"],
    "diffusion model": [f"lora_te_{FC1}", "lora_unet_mid_block_attentions_0_proj_in"],
    "several text encoders": [f"lora_te1_{FC1}", f"lora_te2_{FC1}"],
    "which module": ["lora_te_secret_sauce_0_mlp_fc1"],
    "which module lora_te_": ["lora_te_mlp_fc1x"],
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_kohya_that_cannot_be_placed(tmp_path, reason):
    save_file({f"{key}.{part}": value.clone() for key in REFUSED[reason] for part, value in PAIR.items()},
              tmp_path / "k.safetensors")  # fmt: skip
    card = inspect_folder(tmp_path / "k.safetensors")
    assert card.verdict == "refuse" and reason in card.reason, card.reason
    with pytest.raises(AdapterError, match=reason):
        convert(tmp_path / "k.safetensors", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_half_precision_strides_and_shared_storages(tmp_path):
    settings = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    made(llama(), settings, tmp_path / "old")
    tensors = load_file(tmp_path / "old" / WEIGHTS)
    odd = {}
    for name, tensor in tensors.items():
        whole = torch.zeros(2, *tensor.T.shape, dtype=torch.bfloat16)
        whole[1] = tensor.T
        odd[name] = torch.nn.Parameter(whole[1].T)
    (tmp_path / "old" / WEIGHTS).unlink()
    torch.save(odd, tmp_path / "old" / PICKLE)
    convert(tmp_path / "old", tmp_path / "new")
    back = load_file(tmp_path / "new" / WEIGHTS)
    assert all(torch.equal(back[name], tensor.bfloat16()) for name, tensor in tensors.items())


def test_a_file_in_its_folder_and_a_misnamed_one(tmp_path):
    settings = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    expected = answer(made(llama(), settings, tmp_path / "old"))
    assert inspect_folder(tmp_path / "old" / WEIGHTS).verdict == "ok"
    rewrite(tmp_path / "old", lambda name: name, pickle=True)
    assert inspect_folder(tmp_path / "old" / PICKLE).verdict == "convert"
    (tmp_path / "old" / PICKLE).rename(tmp_path / "old" / "ADAPTER_MODEL.SafeTensors")
    convert(tmp_path / "old", tmp_path / "new")
    same(llama(), tmp_path / "new", expected)


def test_a_projection_that_transformers_5_has_split(tmp_path):
    settings = LoraConfig(r=4, lora_alpha=3, target_modules=["q_proj"], init_lora_weights=False)
    made(llama(), settings, tmp_path / "old")
    split = "dinov2.encoder.layer.0.mlp.weights_in"
    rewrite(tmp_path / "old", lambda name: name.replace("model.layers.0.self_attn.q_proj", split))
    assert "has split in two" in inspect_folder(tmp_path / "old").reason


def test_a_snapshot_of_the_hugging_face_cache(tmp_path):
    settings = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    expected = answer(made(llama(), settings, tmp_path / "old"))
    rewrite(tmp_path / "old", lambda name: name, pickle=True)
    repo = tmp_path / "models--someone--old"
    (repo / "blobs").mkdir(parents=True)
    snapshot = repo / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    for number, name in enumerate((CONFIG, PICKLE)):
        (tmp_path / "old" / name).rename(repo / "blobs" / str(number))
        (snapshot / name).symlink_to(f"../../blobs/{number}")
    assert convert(snapshot, tmp_path / "new") == "a pickle"
    same(llama(), tmp_path / "new", expected)
    assert convert(snapshot / PICKLE, tmp_path / "again") == "a pickle"


def test_two_adapters_in_one_file_and_a_whole_training_state(tmp_path):
    settings = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    made(llama(), settings, tmp_path / "old")
    tensors = load_file(tmp_path / "old" / WEIGHTS)
    both = {with_adapter(name): tensor for name, tensor in tensors.items()}
    both |= {name.replace(".mine", ".yours"): tensor.clone() for name, tensor in both.items()}
    save_file(both, tmp_path / "old" / WEIGHTS)
    assert "2 adapters at once: mine, yours" in inspect_folder(tmp_path / "old").reason
    (tmp_path / "old" / WEIGHTS).unlink()
    torch.save({"state_dict": tensors, "epoch": 3}, tmp_path / "old" / PICKLE)
    assert "more than a table of tensors" in inspect_folder(tmp_path / "old").reason


def test_nothing_appears_where_something_is_or_nothing_is_to_be_done(tmp_path):
    settings = LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False)
    made(llama(), settings, tmp_path / "old")
    with pytest.raises(AdapterError, match="nothing to convert"):
        convert(tmp_path / "old", tmp_path / "new")
    rewrite(tmp_path / "old", lambda name: name, pickle=True)
    (tmp_path / "new").mkdir()
    with pytest.raises(StudioError, match="already there"):
        convert(tmp_path / "old", tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []
