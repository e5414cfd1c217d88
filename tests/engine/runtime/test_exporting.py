"""Exporting a mix: PEFT loads what is written and is as far from the mix as the card says."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard

from engine.formats.errors import StudioError
from engine.formats.files import sha256_file
from engine.lora import attach, new_adapter, read_adapter
from engine.lora.order import difference
from engine.messages import ExportMix
from engine.mixer import Router, load_mix, save_mix
from engine.runtime.base import load_base
from engine.runtime.exporting import export_mix
from engine.training import Mailbox
from engine.training.play import play
from engine.training.text import collate, encode

# PEFT asks transformers for a property under its old name.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
PACK = Path(__file__).parents[3] / "resources" / "starter"


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Two data sets, by the paths that a supervisor gives."""
    chance, folder, paths = random.Random(1), tmp_path_factory.mktemp("data"), {}
    for name in ("one", "two"):
        words = ["".join(chance.choices("abcdefgh", k=4)) for _ in range(30)]
        lines = [json.dumps({"prompt": f"{name[0]}{word}:", "completion": word[:2]}) for word in words]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
        paths[f"data:{name}"] = str(folder / f"{name}.jsonl")
    return paths


def spec(**options):
    return ExportMix(base="tiny", mix="both", folder="elsewhere", batch_size=8, **options)


BOTH = {"one": "one.jsonl", "two": "two.jsonl"}


def export(base, asked, paths, folder, mailbox=None, stop_at=None):
    """(outcome, result, what was said); ``stop_at`` posts a word when so much is done."""
    mailbox, said = mailbox or Mailbox(), []

    def say(done, total, message):
        said.append((done, total, message))
        if stop_at and message == stop_at[0] and stop_at[1] is not None:
            mailbox.post(stop_at[1])

    steps = export_mix(base, asked, paths, folder, mailbox, say)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return *end.value, said


@torch.no_grad()
def divergence(base, mix, lora, data):
    """Mean KL in nats per completion token, with the LoRA in PEFT's hands."""
    from peft import PeftModel

    from engine.formats.dataset import read_rows

    rows = read_rows(data)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).tolist()
    batch = collate(encode(base.tokenizer, [rows[number] for number in order][::5]))
    bank, router, card = load_mix(mix, base.model)
    with play(bank, bank.new_gates(dict.fromkeys(card.experts, 1.0), router=router)):
        p = base.model(input_ids=batch.ids).logits[batch.learned].log_softmax(-1)
    bank.detach()
    theirs = PeftModel.from_pretrained(copy.deepcopy(base.model), lora)
    q = theirs(input_ids=batch.ids).logits[batch.learned].log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def test_slid_experts_leave_at_their_rank(base, library, sets, tmp_path):
    bank, router, mix = load_mix(library["mix:both"], base.model)
    name, rank = mix.experts[0], bank.adapters[mix.experts[0]].rank
    bank.detach()
    bank, router, _ = load_mix(library["mix:both"], base.model, ranks={name: 1})
    (tmp_path / "cut").mkdir()
    save_mix(tmp_path / "cut", router, bank, name="both", base="tiny")
    bank.detach()
    asked = spec(data=BOTH, ranks={name: 1})
    _, result, _ = export(base, asked, library | sets, tmp_path / "slid")
    cut = library | sets | {"mix:both": str(tmp_path / "cut")}
    export(base, spec(data=BOTH), cut, tmp_path / "other")
    slid, other = (read_adapter(tmp_path / folder / "output") for folder in ("slid", "other"))
    assert result["rank"] == slid.rank == 8 - (rank - 1)
    assert difference(slid, other) < 1e-5
    assert f"{name} at rank 1" in (tmp_path / "slid" / "output" / "README.md").read_text()


def test_the_mean_over_data_is_as_far_from_the_mix_as_it_says(base, library, sets, tmp_path):
    outcome, result, said = export(base, spec(data=BOTH), library | sets, tmp_path / "job")
    assert outcome == "done" and (result["kind"], result["gates"], result["rank"]) == ("lora", "mean", 8)
    error = result["error"]
    assert set(error["sets"]) == {"one", "two"} and error["rows"] == 12
    for name in BOTH:
        expected = divergence(base, library["mix:both"], tmp_path / "job" / "output", sets[f"data:{name}"])
        assert expected > 0.01
        assert error["sets"][name]["kl"] == pytest.approx(expected, rel=1e-4)
        assert error["sets"][name]["sha256"] == sha256_file(Path(sets[f"data:{name}"]))
    assert [done for done, _, _ in said] == list(range(1, len(said) + 1))
    assert {total for _, total, _ in said} == {len(said)}
    assert json.dumps(result)
    card = ModelCard.load(tmp_path / "job" / "output" / "README.md")
    assert card.data.base_model == "tiny" and card.data.library_name == "peft"
    assert "It is an approximation" in card.text
    assert f"{error['sets']['one']['kl']:.3g}" in card.text
    assert not base.model._forward_hooks


def test_one_lora_for_each_data_set(base, library, sets, tmp_path):
    _, mean, _ = export(base, spec(data=BOTH), library | sets, tmp_path / "mean")
    _, result, _ = export(base, spec(data=BOTH, gates="domain"), library | sets, tmp_path / "job")
    assert result["gates"] == "domain"
    for name in BOTH:
        folder = tmp_path / "job" / "output" / name
        expected = divergence(base, library["mix:both"], folder, sets[f"data:{name}"])
        assert result["error"]["sets"][name]["kl"] == pytest.approx(expected, rel=1e-4)
        assert "this one data set" in (folder / "README.md").read_text()
    assert result["error"]["kl"] < mean["error"]["kl"]
    with pytest.raises(StudioError, match="name of a folder"):
        paths = library | {"data:../up": sets["data:one"]}
        export(base, spec(data={"../up": "x"}, gates="domain"), paths, tmp_path / "bad")
    assert not (tmp_path / "bad" / "output").exists()


def test_a_mix_that_does_not_read_the_text_is_exact(base, adapters, library, tmp_path):
    with pytest.raises(StudioError, match="token by token"):
        export(base, spec(), library, tmp_path / "job")
    bank = attach(base.model, adapters)
    (tmp_path / "even").mkdir()
    save_mix(tmp_path / "even", Router(bank.layout(), bank.experts), bank, name="even", base="tiny")
    bank.detach()
    outcome, result, _ = export(base, spec(), {"mix:both": str(tmp_path / "even")}, tmp_path / "job")
    assert outcome == "done" and result["gates"] == "static"
    assert result["error"]["logits"] < 1e-6 and result["error"]["kl"] < 1e-6
    assert "exact up to rounding" in (tmp_path / "job" / "output" / "README.md").read_text()
    _, small, _ = export(base, spec(rank=2), {"mix:both": str(tmp_path / "even")}, tmp_path / "cut")
    assert small["rank"] == 2 == read_adapter(tmp_path / "cut" / "output").rank
    assert small["error"]["logits"] > 1e-3
    assert "from rank 8 by SVD" in (tmp_path / "cut" / "output" / "README.md").read_text()


def test_distilling_helps_and_goes_on_after_a_pause(base, library, sets, tmp_path):
    asked = spec(data=BOTH, distill_steps=40)
    _, plain, _ = export(base, spec(data=BOTH), library | sets, tmp_path / "plain")
    _, whole, _ = export(base, asked, library | sets, tmp_path / "whole")
    assert whole["error"]["kl"] < 0.85 * plain["error"]["kl"]
    paths = library | sets
    outcome, result, _ = export(base, asked, paths, tmp_path / "job", stop_at=("Distilling.", "pause"))
    assert (outcome, result) == ("paused", {})
    assert not (tmp_path / "job" / "output").exists()
    outcome, result, said = export(base, asked, paths, tmp_path / "job")
    assert outcome == "done" and result == whole
    assert sum(message == "Distilling." for _, _, message in said) == 39
    assert said[-1][0] == said[-1][1]
    outputs = [
        folder / "output" / "adapter_model.safetensors" for folder in (tmp_path / "whole", tmp_path / "job")
    ]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


@pytest.mark.parametrize(
    ("message", "word", "outcome"),
    [
        ("Averaging the weights.", "pause", "paused"),
        ("Measuring the error.", "cancel", "cancelled"),
        ("Comparing answers.", "cancel", "cancelled"),
        ("Distilling.", "cancel", "cancelled"),
    ],
)
def test_it_stops_when_told(base, library, sets, tmp_path, message, word, outcome):
    asked = spec(data=BOTH, distill_steps=5)
    ended, result, said = export(base, asked, library | sets, tmp_path / "job", stop_at=(message, word))
    assert (ended, result) == (outcome, {})
    assert said[-1][2] == message
    assert list((tmp_path / "job").glob("output")) == []
    assert not base.model._forward_hooks


def test_on_the_starter_base(tmp_path):
    """Two of the pack's experts under a router with opinions; what PEFT plays has the error that is said."""
    base = load_base(PACK / "base", "starter-llama", "cpu")
    bank = attach(base.model, {name: read_adapter(PACK / "adapters" / name) for name in ("upper", "sort")})
    router = Router(bank.layout(), bank.experts, seed=1)
    for V in router.V:
        V.data *= 20
    (tmp_path / "mix").mkdir()
    save_mix(tmp_path / "mix", router, bank, name="both", base="starter-llama")
    bank.detach()
    data = PACK / "data" / "upper.heldout.jsonl"
    asked = ExportMix(base="starter-llama", mix="both", folder="x", data={"upper": "u"}, batch_size=64)
    paths = {"mix:both": str(tmp_path / "mix"), "data:upper": str(data)}
    _, result, _ = export(base, asked, paths, tmp_path / "job")
    expected = divergence(base, tmp_path / "mix", tmp_path / "job" / "output", data)
    assert expected > 1e-3
    assert result["error"]["kl"] == pytest.approx(expected, rel=1e-4)


def test_one_row_is_not_enough_to_measure_on(base, library, tmp_path):
    (tmp_path / "one.jsonl").write_text('{"prompt": "a:", "completion": "b"}\n')
    paths = library | {"data:one": str(tmp_path / "one.jsonl")}
    with pytest.raises(StudioError, match="a single row"):
        export(base, spec(data={"one": "one"}), paths, tmp_path / "job")


def test_a_mamba_is_exported_too(tiny_tokenizer, sets, tmp_path):
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(0)
    config = MambaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        state_size=4,
        num_hidden_layers=2,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    MambaForCausalLM(config).save_pretrained(tmp_path / "mamba")
    tiny_tokenizer.save_pretrained(tmp_path / "mamba")
    base = load_base(tmp_path / "mamba", "tiny", "cpu")
    experts = {}
    for name, target in (("left", "in_proj"), ("right", "x_proj")):
        adapter = new_adapter(base.model, 3, targets=[target], name=name)
        for item in adapter.factors.values():
            item.B.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(len(name)))
        experts[name] = adapter
    bank = attach(base.model, experts)
    router = Router(bank.layout(), bank.experts, seed=1)
    for V in router.V:
        V.data *= 50
    (tmp_path / "mix").mkdir()
    save_mix(tmp_path / "mix", router, bank, name="both", base="tiny")
    bank.detach()
    paths = sets | {"mix:both": str(tmp_path / "mix")}
    _, result, _ = export(base, spec(data=BOTH), paths, tmp_path / "job")
    expected = divergence(base, tmp_path / "mix", tmp_path / "job" / "output", sets["data:one"])
    assert expected > 1e-4
    assert result["error"]["sets"]["one"]["kl"] == pytest.approx(expected, rel=1e-4)
