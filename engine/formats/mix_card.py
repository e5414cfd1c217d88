"""Model cards: the README.md of a mix, and of a plain LoRA exported from one, ready to be published.

Front matter as the Hub reads it; below it tables. Whatever strangers wrote is escaped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.formats.adapter_file import inspect_folder
from engine.formats.markdown import one_line, section, table
from engine.formats.mix_file import Mix, expert_folders, read_mix, read_mix_card
from engine.messages import ExportMix

__all__ = ["lora_readme", "mix_readme"]

NULL = "null"
TENSORS = ".safetensors"
PAPER = "[LoRA-Mixer](https://arxiv.org/abs/2507.00029)"
_MADE = {
    "joint": "experts and router were trained together, hard by domain first, then soft",
    "trained": "the router was trained, the experts were not touched",
    "extended": "experts joined a trained router, of which only the new columns were trained",
    "dropped": "an expert was taken out of a trained mix",
    "prototypes": "nothing was trained: the router's directions come from the experts' factors",
    "gates": "nothing was trained together: each expert brought the gate that it was trained with",
}


def mix_readme(folder: Path) -> str:
    """The card of the mix in ``folder``, from what lies there. StudioError as ``read_mix``."""
    mix, card = read_mix(folder), read_mix_card(folder)
    router = {
        "reads": "each token and the mean of the text so far"
        if mix.router_input == "context"
        else "each token alone",
        "a gate for each": mix.router_share,
        "activation": mix.activation + (" of absolute values" if mix.absolute else ""),
        "null expert": "yes" if mix.null_expert else "no",
        "temperature": f"{mix.temperature:g}",
        "numbers": f"{card.router_parameters:,}",
    }
    return "\n".join(
        [
            *_front(["mixture-of-experts"], mix),
            f"# {one_line(mix.name)}",
            "",
            f"{len(mix.experts)} LoRA experts for {_base(mix)} and a router that decides, for every "
            f"token and projection, how loudly each of them speaks ({PAPER}). Made with Adapter Studio.",
            *([f"\n**{one_line(mix.warning)}**"] if mix.warning else []),
            *section("Experts", _experts(folder, mix)),
            *section("Router", table(("", ""), router.items())),
            *section("Scores", _scores(mix.scores)),
            *section("Use", [_USE_MIX.format(expert=mix.experts[0])]),
            *section("Provenance", _provenance(mix)),
        ]
    )


def lora_readme(
    mix: Mix,
    spec: ExportMix,
    gates: str,
    name: str,
    rank: int,
    full: int,
    errors: Mapping[str, Mapping[str, Any]],
) -> str:
    """The card of a LoRA exported from ``mix``: how it was made, and how far it is from the mix.

    ``gates`` is static, mean or domain; ``full`` is the rank before it was cut; ``errors`` has what was
    measured on each set: ``kl``, ``logits``, ``rows``, ``tokens``, the file's ``sha256`` and, where both
    answered, ``exact_mix`` and ``exact_lora``.
    """
    how: dict[str, object] = {
        "rank": rank,
        "gates": _GATES[gates],
        "experts": ", ".join(
            f"{name} at rank {spec.ranks[name]}" if name in spec.ranks else name for name in mix.experts
        ),
        "seed": spec.seed,
    }
    if rank < full:
        how["cut"] = f"from rank {full} by SVD, projection by projection"
    if spec.distill_steps:
        how["distilled"] = f"{spec.distill_steps} steps towards the mix's own answers"
    claim = _claim(gates, rank == full and not spec.distill_steps)
    how |= {f"SHA-256 of {each}": error["sha256"] for each, error in errors.items() if error.get("sha256")}
    return "\n".join(
        [
            *_front(["merge"], mix),
            f"# {one_line(name)}",
            "",
            f"One plain LoRA that stands for the mix {one_line(mix.name)} of {len(mix.experts)} experts on "
            f"{_base(mix)}. {claim} Made with Adapter Studio.",
            *section("Error", _errors(errors)),
            *section("How it was made", table(("", ""), how.items())),
            *section("Use", [_USE_LORA]),
            *section("Provenance of the mix", _provenance(mix)),
        ]
    )


_GATES = {
    "static": "the experts' weights in this mix do not depend on the text",
    "mean": "each expert speaks at its mean weight over the data, projection by projection",
    "domain": "each expert speaks at its mean weight over this one data set, projection by projection",
}
_MEASURED = """\
KL(mix, LoRA) and the relative error of the logits are over the completions' tokens of rows that neither the
weights nor a training have seen; an answer is right when it equals the completion, with 95 % intervals."""
_USE_MIX = """\
In Adapter Studio, or in Python with its engine:

```python
from engine.mixer import load_mix

bank, router, mix = load_mix("FOLDER", model)
bank.gates = bank.new_gates({{name: 1.0 for name in mix.experts}}, router=router)
```

PEFT has no such router, but reads each expert by itself:
`PeftModel.from_pretrained(model, "FOLDER/experts/{expert}")`."""
_USE_LORA = """\
With PEFT: `PeftModel.from_pretrained(model, "FOLDER")`. In Adapter Studio:
`adapter-studio adapters import FOLDER`."""


def _claim(gates: str, whole: bool) -> str:
    if gates != "static":
        return (
            "**It is an approximation**: the mix weighs its experts anew at every token, which no LoRA can."
        )
    return "It is exact up to rounding." if whole else "**It is an approximation**: it was cut or distilled."


def _front(tags: Sequence[str], mix: Mix) -> list[str]:
    base = [f"base_model: {json.dumps(mix.base)}"] if mix.base else []
    lines = ["---", *base, "library_name: peft", "tags:"]
    lines += [f"- {tag}" for tag in ("lora", *tags, "adapter-studio")]
    licenses = [mix.licenses.get(name, "") for name in mix.experts]
    if all(licenses):
        lines.append(f"license: {json.dumps(licenses[0]) if len(set(licenses)) == 1 else 'other'}")
    return [*lines, "---"]


def _base(mix: Mix) -> str:
    return one_line(mix.base or "its base")


def _experts(folder: Path, mix: Mix) -> list[str]:
    rows: list[tuple[object, ...]] = []
    for name, path in expert_folders(folder, mix).items():
        found = inspect_folder(path)
        share = f"{mix.usage[name]:.1%}" if name in mix.usage else ""
        rows.append(
            (name, found.rank, found.kind, ", ".join(found.targets), share, mix.licenses.get(name, "unknown"))
        )
    if NULL in mix.usage:
        rows.append((NULL, "", "says nothing", "", f"{mix.usage[NULL]:.1%}", ""))
    head = ("expert", "rank", "kind", "projections", "share of the weights", "licence")
    return table(head, rows)


def _scores(scores: Mapping[str, Any]) -> list[str]:
    arms = scores.get("arms", [])
    if not arms:
        return []
    sets = sorted({name for arm in arms for name in arm.get("sets", {})})
    rows = [
        (
            arm["label"],
            *([arm["missing"]] if arm.get("missing") else [_interval((arm["value"], *arm["interval"]))]),
            *(_interval(arm["sets"][name]) if name in arm.get("sets", {}) else "" for name in sets),
        )
        for arm in arms
    ]
    what = (
        f"{one_line(scores.get('metric', ''))} on {one_line(scores.get('n', ''))} rows, with 95 % intervals."
    )
    if any(arm.get("arm") == "oracle" for arm in arms):
        what += " The oracle is picked on these very rows."
    return [what, "", *table(("", "mean", *map(one_line, sets)), rows)]


def _errors(errors: Mapping[str, Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            name,
            each["rows"],
            each["tokens"],
            f"{each['kl']:.3g}",
            f"{each['logits']:.2g}",
            _interval(each["exact_mix"]) if "exact_mix" in each else "",
            _interval(each["exact_lora"]) if "exact_lora" in each else "",
        )
        for name, each in errors.items()
    ]
    head = (
        "measured on",
        "rows",
        "tokens",
        "KL, nats a token",
        "logits, relative",
        "mix right",
        "LoRA right",
    )
    return [*table(head, rows), "", _MEASURED]


def _provenance(mix: Mix) -> list[str]:
    made = [("made", _MADE[mix.made])] if mix.made in _MADE else []
    story: list[tuple[str, object]] = []
    for key, value in mix.trained.items():
        parts = value.items() if isinstance(value, dict) else ()
        story += [(f"{key}: {part}", each) for part, each in parts] if parts else [(key, value)]
    known = [(key, value) for key, value in story if value not in ("", {}, None)]
    files = [(f"SHA-256 of {name}", each) for name, each in mix.sha256.items() if name.endswith(TENSORS)]
    return table(("", ""), [*made, *known, *files])


def _interval(value: Sequence[float]) -> str:
    return f"{value[0]:.3f} ({value[1]:.3f} to {value[2]:.3f})"
