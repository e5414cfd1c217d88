"""Searches against the Hub of the tests: what is found, in which order, page by page, and what is hidden."""

import json

import pytest

from engine.formats.errors import StudioError
from engine.hub import search
from engine.hub.client import Hub
from engine.messages import SearchHub
from tests.engine.hub.repos import adapter, adapter_config

CONFIG = json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"})
WEIGHTS = b"\x02\0\0\0\0\0\0\0{}"


@pytest.fixture
def shelf(site):
    """A few of everything that is found under "lora" or "peft"."""
    add = site.add
    add("ada/plain", adapter(), base="org/base", license="mit", task="text-generation", downloads=5, likes=9)
    add("ada/guarded", adapter("org/other"), base="org/other", gated=True, downloads=7, likes=1)
    add("bob/picture", {"pytorch_lora_weights.safetensors": b""}, tags=["diffusers", "lora"], downloads=90)
    add("bob/drawing", adapter(), tags=["lora"], task="text-to-image", downloads=80)
    add("bob/gguf", {"lora.gguf": b""}, tags=["lora"], downloads=70)
    add("bob/pickle", {"adapter_config.json": adapter_config(), "adapter_model.bin": b""}, downloads=60)
    add("bob/empty", {"adapter_config.json": adapter_config()}, downloads=50)
    add("bob/kohya", {"lora.safetensors": WEIGHTS}, tags=["lora"], downloads=40)
    add("bob/kohyas", {"a.safetensors": WEIGHTS, "b.safetensors": WEIGHTS}, tags=["lora"], downloads=30)
    add("bob/merged", {"config.json": CONFIG, "model.safetensors": WEIGHTS}, tags=["lora"], downloads=20)
    return site


def names(page):
    return [repo.repo for repo in page.repos]


def test_what_is_no_adapter_of_ours_is_counted_and_on_demand_shown_with_its_reason(client, shelf):
    page = client.search(SearchHub(sort="downloads"))
    assert names(page) == ["bob/pickle", "bob/kohya", "ada/guarded", "ada/plain"]
    assert page.hidden == 6 and page.next is None
    page = client.search(SearchHub(sort="downloads", everything=True))
    assert {repo.repo: repo.hidden for repo in page.repos} == {
        "bob/picture": "for a diffusion model",
        "bob/drawing": "for a diffusion model",
        "bob/gguf": "a GGUF file, for other programs",
        "bob/pickle": "",
        "bob/empty": "no weights",
        "bob/kohya": "",
        "bob/kohyas": "several files with weights, and none that is meant",
        "bob/merged": "a whole model, not an adapter",
        "ada/guarded": "",
        "ada/plain": "",
    }
    assert page.hidden == 0


def test_a_repository_is_described(client, shelf):
    (repo,) = client.search(SearchHub(text="plain")).repos
    assert (repo.base, repo.task, repo.license, repo.gated) == ("org/base", "text-generation", "mit", False)
    assert (repo.downloads, repo.likes, repo.private, repo.have) == (5, 9, False, "")
    assert len(repo.commit) == 40 and repo.modified > 1.7e9 and "peft" in repo.tags


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"base": "org/base"}, ["ada/plain"]),
        ({"license": "mit"}, ["ada/plain"]),
        ({"task": "text-generation"}, ["ada/plain"]),
        ({"gated": True}, ["ada/guarded"]),
        ({"gated": False, "text": "ada"}, ["ada/plain"]),
        ({"text": "GUARD"}, ["ada/guarded"]),
        ({"text": "nothing has this name"}, []),
        ({"sort": "likes", "text": "ada"}, ["ada/plain", "ada/guarded"]),
        ({"sort": "downloads", "text": "ada"}, ["ada/guarded", "ada/plain"]),
    ],
)
def test_filters_and_orders(client, shelf, query, found):
    assert names(client.search(SearchHub(**query))) == found


def test_orders_hold_across_the_two_listings_that_are_merged(client, site):
    for number in range(30):
        tags = ["lora"] if number % 3 else []
        base = None if number % 2 else "org/base"
        files = adapter() if number % 3 != 1 else {"lora.safetensors": WEIGHTS}
        site.add(
            f"ada/n{number:02d}",
            files,
            tags=tags,
            base=base,
            downloads=number * 37 % 31,
            modified=1e9 + number,
        )
    page = client.search(SearchHub(sort="downloads", everything=True))
    counts = [repo.downloads for repo in page.repos]
    assert len(counts) == 30 and counts == sorted(counts, reverse=True)
    page = client.search(SearchHub(sort="modified", everything=True))
    assert names(page) == sorted(names(page), reverse=True)


def test_pages_go_on_where_they_ended_without_asking_again(client, site):
    site.add_many(250)
    site.page(40)
    seen, skip = [], 0
    site.forget()
    while skip is not None:
        page = client.search(SearchHub(sort="downloads", skip=skip, limit=30))
        seen += names(page)
        skip = page.next
    assert len(seen) == len(set(seen)) == 250
    # One listing of "lora", which is empty, and 7 pages of 40 of "peft".
    assert len(site.requests("/api/models")) == 8


def test_a_page_that_nobody_remembers_is_found_again(client, site, monkeypatch):
    site.add_many(120)
    first = client.search(SearchHub(sort="likes", limit=60))
    second = client.search(SearchHub(sort="likes", skip=first.next, limit=60))
    monkeypatch.setattr(search, "SECONDS", -1.0)
    again = client.search(SearchHub(sort="likes", skip=first.next, limit=60))
    assert names(again) == names(second)
    assert names(client.search(SearchHub(sort="likes", limit=60))) == names(first)


def test_only_a_few_searches_are_remembered(client, site):
    site.add_many(3)
    for number in range(search.KEPT + 5):
        client.search(
            SearchHub(text=f"adapter-0000{number % 3}", license="" if number < 9 else "mit", limit=1)
        )
        client.search(SearchHub(text="adapter", limit=1 + number))
    assert len(client._searches._live) <= search.KEPT


def test_a_link_that_leads_elsewhere_is_followed_here(site, monkeypatch):
    # A mirror passes on the links of the Hub behind it; a token that is for the mirror has no business there.
    site.add_many(90)
    site.page(40)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", site.large_host)
    page = Hub(lambda: site.token).search(SearchHub(sort="likes", limit=90))
    assert len(page.repos) == 90
    asked = site.requests("/api/models")
    assert {request["host"] for request in asked} == {site.large_host.removeprefix("http://")}
    assert all(request["authorization"] for request in asked) and len(asked) == 4


def test_an_address_finds_its_repository_whatever_is_filtered(client, shelf):
    for text in ("bob/gguf", f"{shelf.endpoint}/bob/gguf", "hf://bob/gguf"):
        page = client.search(SearchHub(text=text, license="mit"))
        assert [(repo.repo, repo.hidden) for repo in page.repos] == [
            ("bob/gguf", "a GGUF file, for other programs")
        ]


def test_an_address_of_nothing_is_said_but_words_with_a_stroke_are_searched(client, shelf):
    with pytest.raises(StudioError) as caught:
        client.search(SearchHub(text="https://huggingface.co/ada/gone"))
    assert caught.value.code == "missing" and "ada/gone" in caught.value.message
    assert names(client.search(SearchHub(text="da/plai"))) == ["ada/plain"]


def test_bases_are_models_of_transformers_with_safetensors(client, site):
    site.add(
        "org/llm", {"config.json": CONFIG, "model.safetensors": WEIGHTS}, task="text-generation", likes=9
    )
    site.add("org/vit", {"config.json": CONFIG, "model.safetensors": WEIGHTS}, task="image-classification")
    site.add("org/gguf", {"m.gguf": b""}, task="text-generation")
    site.add("org/old", {"config.json": CONFIG, "pytorch_model.bin": b""}, task="text-generation")
    site.add("org/lora", adapter(), task="text-generation")
    page = client.search(SearchHub(room="bases", sort="likes"))
    assert names(page) == ["org/llm", "org/vit"] and page.hidden == 3
    page = client.search(SearchHub(room="bases", everything=True))
    assert {repo.repo: repo.hidden for repo in page.repos if repo.hidden} == {
        "org/gguf": "a GGUF file, for other programs",
        "org/old": "its weights are a pickle",
        "org/lora": "an adapter",
    }
    assert names(client.search(SearchHub(room="bases", task="image-classification"))) == ["org/vit"]


def test_a_stranger_s_words_are_bounded_and_plain(client, site):
    site.add("ada/rude", adapter(), tags=["lora", "\x1b[2Jwipe", "x" * 500, *(f"t{n}" for n in range(300))])
    (repo,) = client.search(SearchHub(text="rude")).repos
    assert len(repo.tags) <= 40 and max(map(len, repo.tags)) <= 81
    assert not any("\x1b" in tag for tag in repo.tags)


def test_a_part_without_a_size_is_refused(client):
    for limit in (0, 5000):
        with pytest.raises(StudioError, match="1 to 1000"):
            client.search(SearchHub(limit=limit))
