"""Why this expert: winners by layer, and sentences that say what the numbers say."""

from __future__ import annotations

import msgspec

from app.presenters.why import Why, places, read_by
from engine.messages import Routing
from tests.app.scripted_client import mix

MODULES = [f"model.layers.{layer}.self_attn.{name}_proj" for layer in range(4) for name in "qkvo"]
EXPERTS = ["reverse", "sort", "null"]
R, S, N = [0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.1, 0.1, 0.8]


def routing(*gates):
    return Routing(tokens=list("abc")[: len(gates)], modules=MODULES, experts=EXPERTS, gates=list(gates))


def test_places_are_layer_and_projection():
    assert places(["model.layers.3.mlp.up_proj", "lm_head"]) == [(3, "up_proj"), (0, "lm_head")]


def test_the_leader_where_it_leads_and_where_it_is_quiet():
    why = Why.of(routing([N] * 4 + [R, R, S, S] + [R] * 8), 0)
    assert why.leaders == ["null"] * 4 + ["reverse"] * 2 + ["sort"] * 2 + ["reverse"] * 8
    assert why.layers[1] == {"reverse": 2, "sort": 2}
    assert why.sentences == [
        "reverse leads in 10 of 16 projections, most in layers 2 and 3; "
        "it leads nothing in layer 0, where null leads most.",
        "Mean gates: reverse 0.54, null 0.26, sort 0.21.",
        "The null expert holds 0.26: so much is left to the base.",
    ]


def test_one_that_leads_everywhere_and_one_that_hardly_does():
    everywhere = Why.of(routing([R] * 16), 0).sentences
    assert everywhere[0] == "reverse leads in 16 of 16 projections: in every layer."
    unsure = Why.of(routing([[0.36, 0.34, 0.3]] * 16), 0).sentences
    assert unsure[-1] == "In 16 of 16 the first two are less than 0.1 apart."


def test_without_a_null_expert_nothing_is_said_of_it():
    two = Routing(tokens=["a"], modules=MODULES[:4], experts=["reverse", "sort"], gates=[[[0.9, 0.1]] * 4])
    assert Why.of(two, 0).sentences == [
        "reverse leads in 4 of 4 projections.",
        "Mean gates: reverse 0.90, sort 0.10.",
    ]


def test_a_token_that_is_not_there_has_no_reasons():
    assert Why.of(routing([R] * 16), 1) is None
    assert Why.of(msgspec.structs.replace(routing(), gates=[]), 0) is None


def test_what_a_gate_reads_depends_on_the_router():
    card = mix("mix-1", EXPERTS)
    assert read_by(card) == (
        "Each projection's gate reads this token's vector there and the mean of the text up to it."
    )
    shared = msgspec.structs.replace(card, router_share="layer", router_input="local")
    assert read_by(shared).startswith("One gate serves a whole layer")
    assert read_by(shared).endswith("nothing of the text before it.")
    assert read_by(None) == ""
