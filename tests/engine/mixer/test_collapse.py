"""Collapse is said when it has happened, with what to do, and never otherwise."""

from __future__ import annotations

import pytest
import torch

from engine.lora import attach
from engine.mixer import NULL, Router, RoutingWatch, collapse, routing

EVEN = {"sort": 0.3, "upper": 0.3, NULL: 0.4}


@pytest.mark.parametrize(
    ("load", "share", "spread", "words"),
    [
        ({"sort": 0.95, "upper": 0.04, NULL: 0.01}, EVEN, 0.3, "sort has 96 % of the experts' weight"),
        (
            {"sort": 0.8, "upper": 0.14, NULL: 0.06},
            {"sort": 0.97, "upper": 0.01, NULL: 0.02},
            0.06,
            "leads 99 % of their tokens",
        ),
        ({"sort": 0.02, "upper": 0.03, NULL: 0.95}, EVEN, 0.3, "null expert has 95 %"),
        (EVEN, EVEN, 0.0, "same for every token"),
        (
            {"sort": 0.3, "upper": 0.001, "plural": 0.3, NULL: 0.399},
            {"sort": 0.5, "upper": 0.0, "plural": 0.5, NULL: 0.0},
            0.3,
            "upper is never",
        ),
        (
            {"a": 0.7, "b": 0.001, "c": 0.001, "d": 0.298},
            {"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.5},
            0.3,
            "b and c are never used",
        ),
    ],
)
def test_what_is_said(load, share, spread, words):
    said = collapse(load, share, spread)
    assert words in said and said.endswith(".") and ("rain" in said or "rows" in said)


@pytest.mark.parametrize(
    ("load", "share", "spread"),
    [
        (EVEN, EVEN, 0.3),
        (EVEN, EVEN, None),
        ({"sort": 0.85, "upper": 0.1, NULL: 0.05}, EVEN, 0.3),
        ({"sort": 0.34, "upper": 0.33, "plural": 0.33}, {"sort": 1.0, "upper": 0.0, "plural": 0.0}, 0.1),
        ({"sort": 0.04, "upper": 0.06, NULL: 0.9}, EVEN, 0.1),
        ({"sort": 1.0, NULL: 0.0}, {"sort": 1.0, NULL: 0.0}, 0.0),  # one expert alone
        (dict.fromkeys("abcdefgh", 0.125), dict.fromkeys("abcdefgh", 0.125), 0.05),
    ],
)
def test_what_is_let_be(load, share, spread):
    assert collapse(load, share, spread) == ""


def told(router, logits, steps=30):
    watch = RoutingWatch(router)
    p = logits.masked_fill(router.absent, float("-inf")).softmax(-1)
    for _ in range(steps):
        watch.note(routing(p))
    return watch


def test_a_training_is_watched(llama, experts):
    bank = attach(llama, experts)
    router = Router(bank.layout(), bank.experts)
    sharp = 6.0 * torch.randn(2, 50, 14, 4, generator=torch.Generator().manual_seed(0))
    assert (
        told(router, sharp).warning(final=True) == ""
    )  # e1 and e2 adapt few projections, and are used there
    flat = torch.zeros(2, 50, 14, 4)
    assert told(router, flat).warning() == "" != told(router, flat).warning(final=True)
    flat[..., 0] = 9.0
    assert "e0 has 100 %" in told(router, flat).warning()
    assert told(router, flat, steps=5).warning() == "" != told(router, flat, steps=5).warning(final=True)
    assert RoutingWatch(router).warning(final=True) == ""
