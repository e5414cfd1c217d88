"""A stranger's adapter_config.json, rebuilt field by field through an allow-list."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.formats.errors import AdapterError
from engine.formats.patterns import resolve

__all__ = ["AdapterConfig", "NeedsConversionError", "parse_config", "say_base"]

MAX_RANK = 1024
MAX_ALPHA = 1e6
MAX_PATTERN = 1000
MAX_LIST = 20_000


class NeedsConversionError(AdapterError):
    """Not a LoRA of today's PEFT, but something that engine.formats.convert makes into one."""


@dataclass(frozen=True)
class AdapterConfig:
    """The part of a LoRA's config that has a meaning here, every value checked.

    ``targets``, ``exclude``, ``layers`` and ``layers_pattern`` are kept as PEFT wrote them, to be written
    back: which modules an adapter changes is read from its tensors. ``bias`` (none, all, lora_only) and
    ``saved`` (modules_to_save) say which tensors of the base it may replace; ``tied`` that PEFT tied what
    it did to the embeddings to the output head too. ``model_class`` is the base's as PEFT noted it.
    """

    rank: int
    alpha: float
    rslora: bool = False
    rank_pattern: tuple[tuple[str, int], ...] = ()
    alpha_pattern: tuple[tuple[str, float], ...] = ()
    base: str = ""
    task: str | None = None
    fan_in_fan_out: bool = False
    targets: str | tuple[str, ...] = ()
    exclude: str | tuple[str, ...] | None = None
    layers: int | tuple[int, ...] | None = None
    layers_pattern: str | tuple[str, ...] | None = None
    dora: bool = False
    lora_bias: bool = False
    bias: str = "none"
    saved: tuple[str, ...] = ()
    tied: bool = False
    model_class: str = ""

    @property
    def hint(self) -> str:
        """What it says of the base's architecture: its class and its name."""
        return f"{self.model_class} {self.base}"

    def ranks(self, modules: Sequence[str]) -> dict[str, int]:
        """The rank of each module: the first matching pattern, else ``rank``."""
        return resolve(self.rank_pattern, modules, self.rank)

    def alphas(self, modules: Sequence[str]) -> dict[str, float]:
        """Alpha of each module: the first matching pattern, else ``alpha``."""
        return resolve(self.alpha_pattern, modules, self.alpha)


# Keys that change nothing at inference, whatever they say; none of their values is kept.
_DROPPED = {
    "peft_version", "inference_mode", "revision", "lora_dropout", "loftq_config", "eva_config",
    "corda_config", "lora_ga_config", "runtime_config", "qalora_group_size", "velora_config", "merge_weights",
}  # fmt: skip
_PLAIN = "Train or export it as a plain LoRA."
# What this version does not play: key -> sentence. Any value but none, false, empty or "none" is a refusal.
_UNPLAYED = {
    "trainable_token_indices": "It brings new or changed tokens (trainable_token_indices).",
    "layer_replication": "It repeats layers of the base (layer_replication).",
    "target_parameters": "It adapts bare parameters (target_parameters), as in mixture-of-experts blocks.",
    "alora_invocation_tokens": "It is an activated LoRA (aLoRA) that wakes up at certain tokens.",
    "arrow_config": "It carries an Arrow router of its own.",
    "use_qalora": "It is a QALoRA adapter, which pools its input.",
    "use_bdlora": "It is a block-diagonal LoRA (BD-LoRA).",
    "kasa_config": "It is a KaSA adapter, which rewrites the base's weights.",
    "monteclora_config": "It is a MonteCLoRA adapter, which draws its weights at random.",
    "use_mora": "It is a MoRA adapter.",
    "target_modules_to_tie": "It ties its factors to the embeddings.",
    "enable_lora": "It adapts parts of merged projections (enable_lora), as PEFT once could.",
}
_REWRITING = ("pissa", "olora", "corda", "loftq", "lora_ga")  # initialisations that subtract from the base
_HARMLESS = (True, False, None, "gaussian", "eva", "orthogonal", "mica")
_CONVERTIBLE = {"ADALORA", "LOHA", "LOKR"}  # exactly, where the rank stays small
_WITH_PEFT = {
    "OFT", "BOFT", "HRA", "VERA", "RANDLORA", "FOURIERFT", "VBLORA", "BONE", "MISS", "SHIRA", "C3A",
    "DELORA", "ROAD", "GRALORA", "LILY", "PSOFT",
}  # fmt: skip
_KNOWN = {
    "peft_type", "task_type", "base_model_name_or_path", "r", "lora_alpha", "use_rslora", "rank_pattern",
    "alpha_pattern", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
    "fan_in_fan_out", "init_lora_weights", "auto_mapping", "megatron_config", "megatron_core",
    "use_dora", "lora_bias", "bias", "modules_to_save", "ensure_weight_tying",
}  # fmt: skip


def parse_config(raw: Mapping[str, Any]) -> AdapterConfig:
    """The allow-listed config of a LoRA or DoRA, or AdapterError with the reason it is neither."""
    _refuse_code(raw)
    _check_kind(raw.get("peft_type"))
    for key, reason in _UNPLAYED.items():
        if raw.get(key) not in (None, False, "none") and raw.get(key) != [] and raw.get(key) != {}:
            raise AdapterError(reason, _PLAIN, f"{key} = {str(raw[key])[:200]}")
    _check_init(raw.get("init_lora_weights", True))
    for key in raw.keys() - _KNOWN - _DROPPED - _UNPLAYED.keys():
        if raw[key] not in (None, False, "") and raw[key] != [] and raw[key] != {}:
            raise AdapterError(
                f"Its config has a setting that is not known here: {key[:80]}.",
                "A newer PEFT may have written it; export it as a plain LoRA.",
                str(raw[key])[:200],
            )
    return AdapterConfig(
        rank=_rank(raw.get("r", 8), "r"),
        alpha=_alpha(raw.get("lora_alpha", 8), "lora_alpha"),
        rslora=_flag(raw, "use_rslora"),
        rank_pattern=tuple((key, _rank(value, key)) for key, value in _pattern(raw, "rank_pattern")),
        alpha_pattern=tuple((key, _alpha(value, key)) for key, value in _pattern(raw, "alpha_pattern")),
        base=say_base(raw.get("base_model_name_or_path")),
        task=_word(raw.get("task_type")),
        fan_in_fan_out=_flag(raw, "fan_in_fan_out"),
        targets=_names(raw, "target_modules") or (),
        exclude=_names(raw, "exclude_modules"),
        layers=_layers(raw.get("layers_to_transform")),
        layers_pattern=_names(raw, "layers_pattern"),
        dora=_flag(raw, "use_dora"),
        lora_bias=_flag(raw, "lora_bias"),
        bias=_bias(raw.get("bias", "none")),
        saved=_saved(_names(raw, "modules_to_save")),
        tied=_flag(raw, "ensure_weight_tying"),
        model_class=_class(raw.get("auto_mapping")),
    )


def say_base(value: Any) -> str:
    """The name of the base that an adapter wishes for: shown and compared, never opened."""
    return value if isinstance(value, str) and len(value) <= 500 and value.isprintable() else ""


def _class(mapping: Any) -> str:
    name = mapping.get("base_model_class") if isinstance(mapping, dict) else None
    return name if isinstance(name, str) and re.fullmatch(r"\w{1,80}", name, re.ASCII) else ""


def _refuse_code(raw: Mapping[str, Any]) -> None:
    """Settings by which a config once made PEFT import a module of its own choice."""
    reason = "Its config names a Python module to be imported, as adapters that run code do."
    mapping = raw.get("auto_mapping")
    if mapping is not None:
        library = mapping.get("parent_library") if isinstance(mapping, dict) else mapping
        benign = isinstance(library, str) and re.fullmatch(r"(transformers|peft|__main__)(\.\w+)*", library)
        if not (benign or library is None):
            raise AdapterError(reason, "Do not use it.", str(mapping)[:200], code="refused")
    if raw.get("megatron_config") or raw.get("megatron_core") not in (None, "", "megatron.core"):
        raise AdapterError(reason, "Do not use it.", str(raw.get("megatron_core"))[:200], code="refused")


def _check_kind(kind: Any) -> None:
    if kind == "LORA":
        return
    name = kind if isinstance(kind, str) and re.fullmatch(r"\w{1,40}", kind) else "unknown"
    if name in _CONVERTIBLE:
        raise NeedsConversionError(
            f"It is of the kind {name}, not a LoRA.", "It is converted when it is imported."
        )
    if name in _WITH_PEFT:
        raise AdapterError(f"It is of the kind {name}, not a LoRA.", "Convert it to a LoRA with PEFT first.")
    raise AdapterError(f"It is of the kind {name}, not a LoRA.", "Only LoRA adapters can be mixed.")


def _check_init(init: Any) -> None:
    if isinstance(init, str) and init.lower().startswith(_REWRITING):
        loftq = init.lower().startswith("loftq")
        raise AdapterError(
            f"It was started by {init[:40]}, which changes the base's weights, so it fits no untouched base.",
            "PEFT cannot convert it; train it again from a plain start."
            if loftq
            else "Convert it with PEFT (save_pretrained with path_initial_model_for_weight_conversion).",
        )
    if not any(init is known or (isinstance(init, str) and init == known) for known in _HARMLESS):
        raise AdapterError(f"It was started in an unknown way: {str(init)[:40]!r}.", _PLAIN)


def _bad(key: str, value: Any) -> AdapterError:
    return AdapterError(
        f"Its config has an impossible value for {key[:80]}.", "Export the adapter again.", str(value)[:200]
    )


def _rank(value: Any, key: str) -> int:
    if type(value) is not int or value < 1:
        raise _bad(key, value)
    if value > MAX_RANK:
        raise AdapterError(f"Its rank is {value:,}; at most {MAX_RANK} is read.", "Check what it is.")
    return value


def _alpha(value: Any, key: str) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > MAX_ALPHA:
        raise _bad(key, value)
    return float(value)


def _flag(raw: Mapping[str, Any], key: str) -> bool:
    value = raw.get(key, False)
    if value is None:
        return False
    if type(value) is not bool:
        raise _bad(key, value)
    return value


def _bias(value: Any) -> str:
    if value in (None, False):
        return "none"
    if value not in ("none", "all", "lora_only"):
        raise _bad("bias", value)
    return str(value)


def _saved(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names or ()


def _word(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z_]{1,40}", value):
        raise _bad("task_type", value)
    return value


def _pattern(raw: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    value = raw.get(key) or {}
    if not isinstance(value, dict) or len(value) > MAX_LIST:
        raise _bad(key, value)
    for name in value:
        _short(name, key)
    return list(value.items())


def _short(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(key, value)
    if len(value) > MAX_PATTERN:
        raise AdapterError(
            f"Its {key} has an expression of {len(value):,} characters; at most {MAX_PATTERN} are read.",
            "Check where it comes from.",
            code="refused",
        )
    return value


def _names(raw: Mapping[str, Any], key: str) -> str | tuple[str, ...] | None:
    value = raw.get(key)
    if value is None or value == []:
        return None
    if isinstance(value, str):
        return _short(value, key)
    if not isinstance(value, list) or len(value) > MAX_LIST:
        raise _bad(key, value)
    return tuple(_short(name, key) for name in value)


def _layers(value: Any) -> int | tuple[int, ...] | None:
    if value is None or type(value) is int:
        return value
    if not isinstance(value, list) or len(value) > MAX_LIST or not all(type(layer) is int for layer in value):
        raise _bad("layers_to_transform", value)
    return tuple(value)
