"""The model card that an adapter is published with: its README, made of what is known about it."""

from __future__ import annotations

import re

import huggingface_hub as hf

from engine.formats.adapter_file import GATE, WEIGHTS
from engine.formats.markdown import one_line, section, table
from engine.hub.address import is_repo
from engine.messages import AdapterCard, BaseCard, Provenance

__all__ = ["base_name", "model_card"]

_LOAD = """\
```python
from peft import PeftModel
from transformers import {auto}

base = {auto}.from_pretrained("{base}")
model = PeftModel.from_pretrained(base, "{repo}")
```

In Adapter Studio: `adapter-studio hub download {repo}`."""

_RANKS = """\
{meaning}

PEFT plays the whole of it. At a lower rank Adapter Studio plays it, or writes it for PEFT:

```sh
adapter-studio generate --base BASE --adapter {name}@{some} --prompt "..."
adapter-studio adapters export {name} FOLDER --rank {some}
```"""

_MEANING = {
    "dylora": "It was trained at every rank from {low} to {high} (DyLoRA, arXiv 2210.07558). Rank b is the "
    "first b columns of every projection at the scale alpha / b: a file that is cut to b keeps its alpha.",
    "svd": "Its columns are in order of energy, so that every rank from {low} to {high} is the best of that "
    "rank. Rank b is the first b columns of every projection at the same scale.",
}
"""By kind of adapter what its lower ranks are."""

_AS_IS = (WEIGHTS, GATE)
"""Files that are published byte for byte as they are."""

_HERE_ONLY = ("From", "Job", "Called before", "Newer revision")
"""Facts that mean something in this library alone."""

_PATH = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\,;|]+[/\\])+([^\s/\\,;|]+)")


def model_card(
    card: AdapterCard,
    provenance: Provenance | None = None,
    base: BaseCard | None = None,
    repo: str = "USER/NAME",
) -> str:
    """The card of an adapter: front matter as the Hub reads it, what it is, how PEFT loads it, where it comes
    from. ``base`` is the base of the library that it is for, where there is one. Folders of this machine are
    left out of it."""
    named = base_name(card, base)
    auto = _auto_class(base)
    loaded = named if is_repo(named) else "BASE"  # people copy these lines, and strangers name bases
    told = provenance.facts if provenance else []
    facts = [(what, _without_folders(value)) for what, value in told if what not in _HERE_ONLY]
    spec = provenance.spec if provenance else {}
    numbers = [
        (what.replace("_", " "), value) for what, value in spec.items() if isinstance(value, int | float)
    ]
    files = provenance.files if provenance else {}
    hashes = [(name, files[name]) for name in _AS_IS if name in files]
    return "\n".join(
        [
            _front_matter(card, base),
            f"# {one_line(card.name)}",
            "",
            *([one_line(_without_folders(card.description)), ""] if card.description else []),
            _what(card, named),
            *section("Use", [_LOAD.format(auto=auto, base=loaded, repo=repo), *_homeless(named)]),
            *section("Ranks", _ranks(card)),
            *section("Where it comes from", table(("", ""), facts)),
            *section("How it was trained", table(("", ""), numbers)),
            *section("Files", table(("file", "SHA-256"), hashes)),
            *section("Licence", [one_line(card.license)] if card.license else []),
            "",
        ]
    )


def base_name(card: AdapterCard, base: BaseCard | None) -> str:
    """What others know the adapter's base as: its repository, else its name, never a folder."""
    return (base.repo or base.name) if base else _without_folders(card.base)


def _front_matter(card: AdapterCard, base: BaseCard | None) -> str:
    named = base_name(card, base)
    # A bare name may be that of somebody else's model.
    data = hf.ModelCardData(
        base_model=named if "/" in named and is_repo(named) else None,
        library_name="peft",
        license="other" if ", " in card.license else card.license.lower() or None,
        tags=["lora", *(["dylora"] if card.kind == "dylora" else []), "adapter-studio", *card.tags],
        pipeline_tag="image-classification" if _is_vision(base) else "text-generation",
    )
    return f"---\n{data.to_yaml()}\n---"


def _what(card: AdapterCard, base: str) -> str:
    kind = {
        "lora": "A LoRA",
        "rslora": "A rank-stabilised LoRA",
        "dora": "A DoRA",
        "svd": "A LoRA in order of energy",
        "dylora": "A DyLoRA",
    }
    targets = ", ".join(f"`{name.replace('`', '')}`" for name in card.targets[:20])
    more = f" and {len(card.targets) - 20} more" if len(card.targets) > 20 else ""
    on = f" on {targets}{more}" if targets else ""
    return (
        f"{kind.get(card.kind, 'An adapter')} of rank {card.rank} (alpha {card.alpha:g}) for "
        f"{one_line(base or 'a base that it does not name')}{on}: {card.tensors} tensors, {card.bytes:,} "
        "bytes. Published with Adapter Studio."
    )


def _ranks(card: AdapterCard) -> list[str]:
    """How a lower rank of it is had, where it has any."""
    if card.kind not in _MEANING or card.low == card.rank:
        return []
    meaning = _MEANING[card.kind].format(low=card.low, high=card.rank)
    return [_RANKS.format(meaning=meaning, name=card.name, some=max(card.low, card.rank // 2))]


def _homeless(base: str) -> list[str]:
    return [] if "/" in base else ["", "Its base is not on the Hub: load it from where you have it."]


def _auto_class(base: BaseCard | None) -> str:
    return "AutoModelForImageClassification" if _is_vision(base) else "AutoModelForCausalLM"


def _is_vision(base: BaseCard | None) -> bool:
    return base is not None and "ImageClassification" in base.architecture


def _without_folders(text: str) -> str:
    """``text`` with each path reduced to the name at its end: where things lie is nobody else's business."""
    return _PATH.sub(r"\1", text)
