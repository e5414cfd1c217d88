"""Other kinds of PEFT's that are a LoRA in other words: AdaLoRA, and LoHa and LoKr of small ranks.

    AdaLoRA   dW = s B diag(E) A                   s = alpha / (init_r + 1e-5)
    LoHa      dW = s (W1a W1b) o (W2a W2b)         = s (W1a . W2a) (W1b . W2b), all pairs of columns: rank r^2
    LoKr      dW = s W1 (x) W2                     = s (P1 (x) P2) (Q1 (x) Q2), where Wi = Pi Qi

(AdaLoRA arXiv 2303.10512, LoHa arXiv 2108.06098, LoKr arXiv 2309.14859.) No approximation: the products are
worked out in float64 and kept in float32. What would need a rank above 1024 is not converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from engine.formats.adapter_config import MAX_RANK, AdapterConfig, parse_config
from engine.formats.convert.plan import Made, Module, Plan, plan_modules
from engine.formats.convert.weights import Weights
from engine.formats.errors import AdapterError
from engine.formats.old_names import PREFIX, rename_modules, rename_tensors

__all__ = ["KINDS", "plan_kind"]

KINDS = {"ADALORA": "AdaLoRA", "LOHA": "LoHa", "LOKR": "LoKr"}
_PART = re.compile(r"(.+)\.(lora_[ABE]|ranknum|hada_\w+|lokr_\w+)")
_WITH_PEFT = "Convert it to a LoRA with PEFT first."
_Shapes = Mapping[str, tuple[int, ...]]


def plan_kind(weights: Weights, raw: Mapping[str, Any]) -> Plan:
    """How an AdaLoRA, LoHa or LoKr becomes a LoRA. AdapterError when it cannot be done exactly."""
    kind = KINDS[raw["peft_type"]]
    config = _as_lora(raw, kind)
    names = rename_tensors(weights.tensors)
    moved = rename_modules((name.removeprefix(PREFIX) for name in names.values()), config.hint)
    parts: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for old, name in names.items():
        path = name.removeprefix(PREFIX)
        path = moved.get(path, path)
        if part := _PART.fullmatch(path):
            parts.setdefault(part[1], {})[part[2]] = old
        else:
            others[PREFIX + path] = old
    ranks, alphas = config.ranks(list(parts)), config.alphas(list(parts))
    modules = {}
    for path, found in parts.items():
        shapes = {part: weights.tensors[old].shape for part, old in found.items() if part != "ranknum"}
        if any(len(shape) != 2 for shape in shapes.values()):
            raise AdapterError(f"{path} is adapted as a convolution, which is not played.", _WITH_PEFT)
        scale = alphas[path] / ((_first_rank(raw) + 1e-5) if kind == "AdaLoRA" else ranks[path])
        if module := _MAKERS[kind](path, found, shapes, scale):
            modules[path] = module
    return plan_modules(kind, weights, modules, raw, others)


def _first_rank(raw: Mapping[str, Any]) -> int:
    """The rank that an AdaLoRA began with: PEFT goes on dividing by it after columns were dropped."""
    rank = raw.get("init_r", 12)
    if type(rank) is not int or not 1 <= rank <= MAX_RANK:
        raise AdapterError("Its config has an impossible value for init_r.", "Export the adapter again.")
    return rank


def _as_lora(raw: Mapping[str, Any], kind: str) -> AdapterConfig:
    """The config read through the allow-list as if it were a LoRA's."""
    own = {
        "AdaLoRA": ("target_r", "init_r", "tinit", "tfinal", "deltaT", "beta1", "beta2", "orth_reg_weight",
                    "total_step", "rank_pattern"),
        "LoHa": ("alpha", "rank_dropout", "module_dropout", "use_effective_conv2d", "init_weights"),
        "LoKr": ("alpha", "rank_dropout", "module_dropout", "use_effective_conv2d", "init_weights",
                 "decompose_both", "decompose_factor", "rank_dropout_scale"),
    }[kind]  # fmt: skip
    plain = {key: value for key, value in raw.items() if key not in own}
    if kind != "AdaLoRA":
        plain["lora_alpha"] = raw.get("alpha", 8)
    config = parse_config(plain | {"peft_type": "LORA"})
    if config.alpha <= 0 or config.rslora or config.dora:
        raise AdapterError(f"It is a {kind} with a scale that is not known here.", _WITH_PEFT)
    return replace(config, rank_pattern=()) if kind == "AdaLoRA" else config


def _adalora(path: str, names: Mapping[str, str], shapes: _Shapes, scale: float) -> Module | None:
    _expect(path, shapes, {"lora_A", "lora_B", "lora_E"})
    rank, d_in = shapes["lora_A"]
    if shapes["lora_E"] != (rank, 1) or shapes["lora_B"][1] != rank:
        raise _odd(path)
    if rank == 0:  # all its columns were given to other modules
        return None
    a = Made((rank, d_in), (names["lora_A"], names["lora_E"]), lambda a, e: a * e * scale)
    return Module(rank, float(rank), {"lora_A.weight": a, "lora_B.weight": names["lora_B"]})


def _loha(path: str, names: Mapping[str, str], shapes: _Shapes, scale: float) -> Module:
    _expect(path, shapes, {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})
    (d_out, r1), (r2, d_in) = shapes["hada_w1_a"], shapes["hada_w2_b"]
    rank = r1 * r2
    if shapes["hada_w1_b"] != (r1, d_in) or shapes["hada_w2_a"] != (d_out, r2):
        raise _odd(path)
    _bound(path, rank)

    def columns(first: Any, second: Any) -> Any:
        return (first[:, :, None] * second[:, None, :]).reshape(d_out, rank)

    def rows(first: Any, second: Any) -> Any:
        return (first[:, None, :] * second[None, :, :]).reshape(rank, d_in) * scale

    b = Made((d_out, rank), (names["hada_w1_a"], names["hada_w2_a"]), columns)
    a = Made((rank, d_in), (names["hada_w1_b"], names["hada_w2_b"]), rows)
    return Module(rank, float(rank), {"lora_A.weight": a, "lora_B.weight": b})


def _lokr(path: str, names: Mapping[str, str], shapes: _Shapes, scale: float) -> Module:
    sides = [_split(path, f"lokr_w{i}", names, shapes) for i in (1, 2)]
    if len(shapes) != sum(len(side[0]) for side in sides):
        raise _odd(path)
    (left1, p1, q1), (left2, p2, q2) = ((side[0], side[1], side[2]) for side in sides)
    rank = p1[1] * p2[1]
    _bound(path, rank)

    def kronecker(first: Any, second: Any) -> Any:
        rows, columns = first.shape[0] * second.shape[0], first.shape[1] * second.shape[1]
        return (first[:, None, :, None] * second[None, :, None, :]).reshape(rows, columns)

    def b(*found: Any) -> Any:
        return kronecker(_half(found[: len(left1)], 0), _half(found[len(left1) :], 0))

    def a(*found: Any) -> Any:
        return kronecker(_half(found[: len(left1)], 1), _half(found[len(left1) :], 1)) * scale

    sources = tuple(names[part] for part in (*left1, *left2))
    return Module(
        rank,
        float(rank),
        {
            "lora_A.weight": Made((rank, q1[1] * q2[1]), sources, a),
            "lora_B.weight": Made((p1[0] * p2[0], rank), sources, b),
        },
    )


def _split(
    path: str, part: str, names: Mapping[str, str], shapes: _Shapes
) -> tuple[tuple[str, ...], tuple[int, int], tuple[int, int]]:
    """The tensors of W1 or W2, and the shapes of P and Q with W = P Q: its own factors, or the smaller
    identity and itself."""
    if part in shapes:
        rows, columns = shapes[part]
        inner = min(rows, columns)
        return (part,), (rows, inner), (inner, columns)
    pair = (f"{part}_a", f"{part}_b")
    if not set(pair) <= shapes.keys() or shapes[pair[0]][1] != shapes[pair[1]][0]:
        raise _odd(path)
    (rows, inner), (_, columns) = shapes[pair[0]], shapes[pair[1]]
    return pair, (rows, inner), (inner, columns)


def _half(found: tuple[Any, ...], side: int) -> Any:
    """P (side 0) or Q (side 1) of one of the two matrices."""
    if len(found) == 2:
        return found[side]
    import numpy  # only where numbers are worked out

    whole = found[0]
    rows, columns = whole.shape
    is_identity = side == (0 if rows <= columns else 1)
    return numpy.eye(min(rows, columns)) if is_identity else whole


def _expect(path: str, shapes: _Shapes, parts: set[str]) -> None:
    if shapes.keys() != parts:
        raise _odd(path)


def _bound(path: str, rank: int) -> None:
    if not 1 <= rank <= MAX_RANK:
        raise AdapterError(
            f"{path[:160]} would be a LoRA of rank {rank:,}; at most {MAX_RANK} is read.",
            "Convert it to a LoRA of a smaller rank with PEFT first.",
        )


def _odd(path: str) -> AdapterError:
    return AdapterError(f"{path[:160]} has factors that do not belong together.", "Export it again.")


_MAKERS: dict[str, Callable[[str, Mapping[str, str], _Shapes, float], Module | None]] = {
    "AdaLoRA": _adalora,
    "LoHa": _loha,
    "LoKr": _lokr,
}
