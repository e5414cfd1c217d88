"""Names from earlier versions of PEFT and transformers, and what they are today."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.formats.errors import AdapterError

__all__ = ["PREFIX", "rename_modules", "rename_tensors"]

PREFIX = "base_model.model."

# A factor of PEFT's, with the adapter's name in it as a model's own state dict has it.
_FACTOR = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_(?:A|B|E|embedding_A|embedding_B|magnitude_vector)|ranknum)"
    r"(?:\.(?!weight$|bias$)(?P<adapter>[^.]+))?(?:\.(?P<kind>weight|bias))?"
)
# What DistributedDataParallel, torch.compile and FSDP put into names.
_WRAPPERS = re.compile(r"^module\.|\b(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")


def rename_tensors(names: Iterable[str]) -> dict[str, str]:
    """{name: what PEFT calls it today}, of an adapter's tensors; of those that stay as they are, the same.

    Of the names with an adapter's own name in them ("lora_A.default.weight") it is taken out, and what wraps
    a model in training; where none has "base_model.model." they get it. AdapterError when a file holds
    several adapters, or when two names would become one.
    """
    bare = {name: _WRAPPERS.sub("", name) for name in names}
    adapters = {found["adapter"] for name in bare.values() if (found := _FACTOR.fullmatch(name))}
    adapters.discard(None)
    if len(adapters) > 1:
        raise AdapterError(
            f"The file holds {len(adapters)} adapters at once: {', '.join(sorted(adapters))[:160]}.",
            "Save each of them in a folder of its own.",
        )
    renamed = {name: _today(now, next(iter(adapters), "")) for name, now in bare.items()}
    if not any(now.startswith(PREFIX) for now in renamed.values()):
        renamed = {name: PREFIX + now for name, now in renamed.items()}
    if len(set(renamed.values())) != len(renamed):
        raise AdapterError(
            "Two of its tensors would have one name in today's PEFT.", "Export the adapter again."
        )
    return renamed


def _today(name: str, adapter: str) -> str:
    if found := _FACTOR.fullmatch(name):
        kind = "" if found["part"] == "lora_magnitude_vector" or not found["kind"] else f".{found['kind']}"
        return f"{found['module']}.{found['part']}{kind}"
    return name.replace(f".modules_to_save.{adapter}.", ".") if adapter else name


# transformers 5 gave the vision transformers the names of the language models.
_ATTENTION = [
    (re.compile(rf"\.attention\.attention\.{old}(?=\.|$)"), f".attention.{new}")
    for old, new in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"))
] + [(re.compile(r"\.attention\.output\.dense(?=\.|$)"), ".attention.o_proj")]
_VIT = [
    (re.compile(r"(^|\.)encoder\.layer\.(?=\d)"), r"\1layers."),
    *_ATTENTION,
    (re.compile(r"\.intermediate\.dense(?=\.|$)"), ".mlp.fc1"),
    (re.compile(r"(\d)\.output\.dense(?=\.|$)"), r"\1.mlp.fc2"),
]
_DINOV2 = [*_ATTENTION, (re.compile(r"\.mlp\.weights_out(?=\.|$)"), ".mlp.down_proj")]
_SPLIT = re.compile(r"\.mlp\.weights_in(?=\.|$)")
_DINOV3 = [(re.compile(r"^layer\.(?=\d)"), "model.layer.")]
_TOWER = [(re.compile(r"^(?:text_model|vision_model)\.(?=encoder\.layers\.\d)"), "")]
_STARTS = {
    "vit": _VIT, "deit": _VIT, "beit": _VIT, "ijepa": _VIT, "vivit": _VIT,
    "audio_spectrogram_transformer": _VIT, "dinov2": _DINOV2, "dinov2_with_registers": _DINOV2,
}  # fmt: skip
# For models without a head, whose paths begin in the middle: what the name of class or base says.
_KINDS = [
    (re.compile(r"yolos|videomae|data2vec|dpt|swin"), []),  # these kept their names
    (re.compile(r"(?:clip|siglip2?)(?:vision|text)model\b"), _TOWER),
    (re.compile(r"dinov3"), _DINOV3),
    (re.compile(r"dinov2"), _DINOV2),
    (re.compile(r"(?<![a-z])(?:vit|deit|beit|ijepa|vivit|ast)(?:model|mae|msn|for\w+)?(?![a-z])"), _VIT),
]


def rename_modules(modules: Iterable[str], hint: str) -> dict[str, str]:
    """{module path: what transformers 5 calls it}, for those of a vision model made before; {} for others.

    ``hint`` is the class of the base and its name, as the adapter's config has them: of paths that begin
    with "encoder.layer.0" alone nobody can tell which model they are of. AdapterError for a projection that
    was split in two.
    """
    renamed = {}
    for module in modules:
        rules = _rules(module, hint.lower())
        now = module
        for old, new in rules:
            now = old.sub(new, now)
        if now != module:
            renamed[module] = now
        if rules is _DINOV2 and _SPLIT.search(module):
            raise AdapterError(
                f"It adapts {module[:99]}, which transformers 5 has split in two.",
                "Train it again on today's transformers.",
            )
    return renamed


def _rules(module: str, hint: str) -> list[tuple[re.Pattern[str], str]]:
    named = next((rules for kind, rules in _KINDS if kind.search(hint)), None)
    start = module.partition(".")[0]
    if start in _STARTS and named != []:  # YOLOS calls its own "vit" too
        return _STARTS[start]
    return named or []
