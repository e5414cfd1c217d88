"""What names a repository, and what only looks like it."""

import pytest

from engine.hub.address import Address, is_repo, parse_address


@pytest.mark.parametrize(
    ("text", "repo", "revision"),
    [
        ("ada/sort", "ada/sort", "main"),
        ("  ada/sort@v1.2  ", "ada/sort", "v1.2"),
        ("https://huggingface.co/ada/sort", "ada/sort", "main"),
        ("https://hf.co/ada/sort/", "ada/sort", "main"),
        ("hf.co/ada/sort", "ada/sort", "main"),
        ("http://huggingface.co/ada/sort?library=peft#use", "ada/sort", "main"),
        ("https://huggingface.co/ada/sort/tree/refs%2Fpr%2F1", "ada/sort", "refs/pr/1"),
        ("https://huggingface.co/ada/sort/blob/v2/adapter_config.json", "ada/sort", "v2"),
        ("https://huggingface.co/ada/sort/discussions/3", "ada/sort", "main"),
        ("hf://ada/sort", "ada/sort", "main"),
        ("hf://models/ada/sort@v1/adapter_config.json", "ada/sort", "v1"),
        ("hf://ada/sort@refs%2Fpr%2F1", "ada/sort", "refs/pr/1"),
    ],
)
def test_a_repository_is_found_in_all_its_spellings(text, repo, revision):
    assert parse_address(text) == Address(repo, revision)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sort",
        "sort words",
        "ada/sort/more",
        "../sort",
        "ada/..",
        "ada/so--rt",
        "/ada/sort",
        "ada/sort@",
        "ada/sort@../../x",
        "ada/" + "x" * 120,
        "https://example.org/ada/sort",
        "https://huggingface.co.example.org/ada/sort",
        "https://huggingface.co/datasets/ada/words",
        "https://huggingface.co/ada",
        "https://[broken/ada/sort",
        "file:///ada/sort",
        "ada/sort\x00",
        "аda/sort",  # its first letter is Cyrillic
    ],
)
def test_anything_else_is_no_address(text):
    assert parse_address(text) is None


def test_a_mirror_is_a_hub_too(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://mirror.example/hub")
    assert parse_address("https://mirror.example/hub/ada/sort/tree/v1") == Address("ada/sort", "v1")
    assert parse_address("https://huggingface.co/ada/sort") == Address("ada/sort")


def test_an_old_name_has_no_user():
    assert is_repo("gpt2") and parse_address("gpt2") is None
    assert not is_repo("a b") and not is_repo("a/b/c") and not is_repo("")
