"""The starter tokenizer: whatever is typed can be read, and the same question is always the same tokens."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from engine.starter.tokenizer import ANSWER, CHARACTERS, COMMANDS, UNKNOWN, build_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return build_tokenizer()


def test_every_character_comes_back(tokenizer: Tokenizer) -> None:
    for character in CHARACTERS.strip():
        assert tokenizer.decode(tokenizer.encode(character, add_special_tokens=False).ids) == character
    text = "x" + CHARACTERS + "x"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids) == text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_one_token_however_it_is_typed(tokenizer: Tokenizer, command: str) -> None:
    wanted = [f"{command}: ", "c", "a", "t", ANSWER]
    typed = ("{}: cat", "{}:cat", "{} cat", " {}  :  cat \n", "{}:\tcat")
    for text in [form.format(name) for form in typed for name in (command, command.upper(), command.title())]:
        assert tokenizer.encode(text).tokens == wanted


def test_a_command_inside_a_text_is_only_letters(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("sort: sort: x").tokens == ["sort: ", *"sort: x", ANSWER]
    assert tokenizer.encode("reverse", add_special_tokens=False).tokens == list("reverse")


def test_the_unknown_is_said_to_be_unknown(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("é日\N{GRINNING FACE}").tokens == [UNKNOWN] * 3 + [ANSWER]
    assert tokenizer.encode("").tokens == [ANSWER]
