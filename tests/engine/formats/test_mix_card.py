"""Model cards: the Hub can read them, tables hold what is known, strangers' names mean nothing in them."""

from __future__ import annotations

import json

import pytest
from huggingface_hub import ModelCard

from engine.formats.mix_card import lora_readme, mix_readme
from engine.formats.mix_file import MIXER, read_mix
from engine.messages import ExportMix

torch = pytest.importorskip("torch")

NASTY = "a|b <img src=x> `c` *d* [e](http://f) #g"
ERRORS = {
    "one": {"kl": 0.0123, "logits": 0.2, "rows": 9, "tokens": 40, "sha256": "ab" * 32,
            "exact_mix": (1.0, 0.7, 1.0), "exact_lora": (0.5, 0.2, 0.8)},
    "two": {"kl": 0.5, "logits": 0.9, "rows": 9, "tokens": 41, "sha256": ""},
}  # fmt: skip


@pytest.fixture
def folder(tiny_base_folder, tmp_path):
    """A mix of two experts of ranks 2 and 3."""
    from transformers import LlamaForCausalLM

    from engine.lora import attach, new_adapter
    from engine.mixer import Router, save_mix

    model = LlamaForCausalLM.from_pretrained(tiny_base_folder)
    experts = {
        "left": new_adapter(model, 2, name="left"),
        "right": new_adapter(model, 3, targets=["q_proj"], name="right"),
    }
    for adapter in experts.values():
        for item in adapter.factors.values():
            item.B.normal_()
    bank = attach(model, experts)
    usage = {"left": 0.5, "right": 0.3, "null": 0.2}
    (tmp_path / "mix").mkdir()
    save_mix(
        tmp_path / "mix",
        Router(bank.layout(), bank.experts),
        bank,
        name="both",
        base="tiny",
        usage=usage,
        made="joint",
        trained={"seed": 3, "data": {"left": "cd" * 32}},
    )
    bank.detach()
    return tmp_path / "mix"


def edit(folder, **changes):
    card = json.loads((folder / MIXER).read_text())
    (folder / MIXER).write_text(json.dumps(card | changes))


def table(text, title):
    """The rows below a heading, as lists of cells."""
    section = text.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_card_of_a_mix(folder):
    edit(folder, licenses={"left": "apache-2.0", "right": "apache-2.0"})
    card = ModelCard(mix_readme(folder))
    assert card.data.base_model == "tiny"
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "peft"
    assert "lora" in card.data.tags
    rows = {row[0]: row[1:] for row in table(card.text, "Experts")[2:]}
    assert rows["left"][0] == "2" and rows["left"][3] == "50.0%"
    assert rows["right"][:3] == ["3", "lora", "q\\_proj"]
    assert rows["null"][3] == "20.0%"
    facts = dict(table(card.text, "Router")[2:])
    assert facts["a gate for each"] == "projection" and facts["null expert"] == "yes"
    story = dict(table(card.text, "Provenance")[2:])
    assert story["seed"] == "3" and story["data: left"] == "cd" * 32
    assert len(story["SHA-256 of router.safetensors"]) == 64
    assert "## Scores" not in card.text
    assert "experts/left" in card.text


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [({}, None), ({"left": "mit"}, None), ({"left": "mit", "right": "apache-2.0"}, "other")],
)
def test_a_licence_is_said_only_when_all_are_known(folder, licenses, expected):
    edit(folder, licenses=licenses)
    assert ModelCard(mix_readme(folder)).data.license == expected


def test_scores_stand_on_the_card(folder):
    arms = [
        {
            "name": "base",
            "label": "the base",
            "value": 0.1,
            "interval": [0.0, 0.2],
            "sets": {"s": [0.1, 0.0, 0.2]},
        },
        {"name": "xlora", "label": "X-LoRA", "missing": "There is no data to train it on."},
    ]
    edit(folder, scores={"metric": "exact", "n": 50, "arms": arms}, warning="left has collapsed.")
    text = mix_readme(folder)
    rows = table(text, "Scores")
    assert rows[0] == ["", "mean", "s"]
    assert rows[2] == ["the base", "0.100 (0.000 to 0.200)", "0.100 (0.000 to 0.200)"]
    assert rows[3][1] == "There is no data to train it on."
    assert "**left has collapsed.**" in text


def test_strangers_text_means_nothing(folder):
    edit(folder, name=NASTY, base=f'x"\n---\nlicense: mit\n{NASTY}')
    text = mix_readme(folder)
    card = ModelCard(text)
    assert card.data.license is None and card.data.base_model.startswith('x"\n---')
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert "<img" not in text.split("---\n", 2)[2]
    edit(folder, trained={"note": "x" * 900})
    assert "x" * 500 + " ..." in mix_readme(folder)
    assert r"\[e\]" in title and r"\`c\`" in title and r"\|" in title


def test_the_card_of_a_lora_says_what_it_is_not(folder):
    mix = read_mix(folder)
    spec = ExportMix(base="tiny", mix="both", folder="x", rank=3, distill_steps=20, seed=7)
    text = lora_readme(mix, spec, "mean", "both", 3, 5, ERRORS)
    assert "It is an approximation" in text
    rows = table(text, "Error")
    assert rows[2] == ["one", "9", "40", "0.0123", "0.2", "1.000 (0.700 to 1.000)", "0.500 (0.200 to 0.800)"]
    assert rows[3] == ["two", "9", "41", "0.5", "0.9", "", ""]
    made = dict(table(text, "How it was made")[2:])
    assert made["cut"].startswith("from rank 5") and made["distilled"].startswith("20 steps")
    assert made["seed"] == "7" and made["SHA-256 of one"] == "ab" * 32
    whole = ExportMix(base="tiny", mix="both", folder="x")
    assert "exact up to rounding" in lora_readme(mix, whole, "static", "both", 5, 5, ERRORS)
    assert "It was cut or distilled" not in lora_readme(mix, whole, "static", "both", 5, 5, ERRORS)
    assert "it was cut or distilled" in lora_readme(mix, whole, "static", "both", 3, 5, ERRORS)
