"""Each folder of the zoo alone: the bank answers as PEFT does."""

from __future__ import annotations

import pytest

from engine.lora import attach, read_adapter, write_adapter
from tests.engine.lora.zoo.bases import answer, apart, build
from tests.engine.lora.zoo.dense import dense
from tests.engine.lora.zoo.recipes import RECIPES
from tests.engine.lora.zoo.writing import load, play

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")
EXACT = 1e-5


@pytest.mark.parametrize("name", RECIPES)
def test_both_yardsticks_agree(name, zoo, peft_alone, book):
    """The dense reference is right wherever PEFT is, and every folder has something to say."""
    base, theirs = RECIPES[name].base, peft_alone(name)
    merged = dense(base, {name: zoo(name)}, {name: 1.0})
    assert book.compare("yardsticks", name, answer(merged, base), theirs) < EXACT
    assert apart(answer(build(base), base), theirs) > 1e-2


@pytest.mark.parametrize("name", RECIPES)
def test_a_folder_alone_answers_as_under_peft(name, zoo, peft_alone, book):
    base = RECIPES[name].base
    model = build(base)
    bank = attach(model, {"a": read_adapter(zoo(name))})
    bank.activate({"a": 1.0})
    assert book.compare("alone", name, answer(model, base), peft_alone(name)) < EXACT


@pytest.mark.parametrize("name", RECIPES)
def test_a_folder_written_back_is_the_same_to_peft(name, zoo, peft_alone, book, tmp_path):
    base = RECIPES[name].base
    write_adapter(read_adapter(zoo(name)), tmp_path / "a")
    again = answer(play(load(build(base), {"a": tmp_path / "a"}), {"a": 1.0}), base)
    assert book.compare("written back", name, again, peft_alone(name)) < EXACT
