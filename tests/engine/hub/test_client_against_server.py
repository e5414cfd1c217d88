"""From a search to an adapter in the library and back to the Hub: a real engine, the real client."""

import threading
from pathlib import Path

import pytest

from engine import messages as m
from engine.formats.errors import StudioError
from engine.supervisor.starter import STARTER
from tests.hub.handle import HubServer
from tests.hub.rig import WEIGHTS, Rig, digest, stopped

SORT = STARTER / "adapters" / "sort"
FILES = {name: SORT / name for name in (WEIGHTS, "adapter_config.json")}
BASE = "studio/starter-llama"


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage")
    with pytest.MonkeyPatch.context() as patch, HubServer.start(folder / "hub") as hub:
        hub.enter(patch)
        hub.device(interval=1)
        hub.add_many(120, base="other/base")
        hub.add(
            "bob/sort", FILES, base=BASE, license="mit", likes=3, card="# Sorts\n", task="text-generation"
        )
        hub.add("bob/gated-sort", FILES, base=BASE, gated=True)
        hub.add("bob/packed-sort", {"model.gguf": b"GGUF"}, base=BASE)
        with Rig(hub, folder / "home") as rig:
            yield rig


@pytest.fixture
def rig(stage):
    yield stage
    stage.hub.clear()
    stage.clear()
    stage.hub.forget()


def names(page):
    return [repo.repo for repo in page.repos]


def test_a_search_goes_on_where_it_was(rig):
    first = rig.ask(m.SearchHub(base="other/base", sort="downloads", limit=50))
    second = rig.ask(m.SearchHub(base="other/base", sort="downloads", limit=50, skip=first.next))
    third = rig.ask(m.SearchHub(base="other/base", sort="downloads", limit=50, skip=second.next))
    pages = [first, second, third]
    assert [len(page.repos) for page in pages] == [50, 50, 20] and third.next is None
    assert len({name for page in pages for name in names(page)}) == 120
    figures = [repo.downloads for page in pages for repo in page.repos]
    assert figures == sorted(figures, reverse=True)


def test_a_search_filters_and_says_what_it_hides(rig):
    shown = rig.ask(m.SearchHub(text="sort", base=BASE))
    assert set(names(shown)) == {"bob/sort", "bob/gated-sort"} and shown.hidden == 1
    everything = rig.ask(m.SearchHub(text="sort", base=BASE, everything=True))
    (packed,) = [repo for repo in everything.repos if repo.hidden]
    assert packed.repo == "bob/packed-sort"
    assert names(rig.ask(m.SearchHub(text="sort", license="mit"))) == ["bob/sort"]
    assert names(rig.ask(m.SearchHub(text="sort", gated=True))) == ["bob/gated-sort"]


def test_a_verdict_comes_before_any_download(rig):
    found = rig.ask(m.JudgeHub(repos=["bob/sort", "bob/gated-sort"], base="starter-llama")).verdicts
    sort, gated = sorted(found, key=lambda verdict: verdict.repo == "bob/gated-sort")
    assert sort.fit.verdict == "green", sort
    here = rig.ask(m.InspectAdapter(path=str(SORT)))
    assert (sort.rank, sort.alpha, sort.tensors) == (here.rank, here.alpha, here.tensors)
    assert (set(sort.targets), sort.base) == (set(here.targets), here.base)
    assert gated.fit.verdict == "amber" and gated.fit.reason
    assert rig.sent() < 64 << 10


def test_details_revisions_and_the_card(rig):
    old = rig.ask(m.ShowHub(repo="bob/sort")).commit
    rig.hub.branch("bob/sort", "trial", old)
    seen = rig.ask(m.ShowHub(repo="bob/sort", base="starter-llama"))
    assert "# Sorts" in seen.card and seen.repo.license == "mit" and seen.verdict.fit.verdict == "green"
    assert {revision.name for revision in seen.revisions} == {"main", "trial"}
    (weights,) = [file for file in seen.files if file.name == WEIGHTS]
    assert weights.wanted and weights.sha256 == digest(SORT / WEIGHTS)


def test_a_revision_is_what_is_fetched(rig):
    files = {
        WEIGHTS: STARTER / "adapters" / "upper" / WEIGHTS,
        "adapter_config.json": FILES["adapter_config.json"],
    }
    first = rig.hub.add("bob/moving", FILES)
    second = rig.hub.add("bob/moving", files)
    rig.hub.branch("bob/moving", "old", first)
    for revision, commit, source in (
        ("main", second, files),
        ("old", first, FILES),
        (first[:10], first, FILES),
    ):
        job = rig.get("bob/moving", "moving", revision=revision)
        assert job.state == "done" and job.result["revision"] == commit
        rig.has("moving", {WEIGHTS: source[WEIGHTS]})
        rig.ask(m.RemoveAdapter(name="moving"))
    assert stopped(rig.get("bob/moving", revision="never")).code == "missing"


def test_signing_in_by_code_opens_a_gated_repository(rig):
    rig.hub.grant("bob/gated-sort", "ada")
    assert stopped(rig.get("bob/gated-sort")).code == "gated"
    codes = []

    def hear(body):
        if isinstance(body, m.SignInCode):
            codes.append(body.code)
            threading.Timer(0.1, rig.hub.accept_device).start()

    account = rig.ask(m.SignIn(), hear)
    assert (account.name, account.kept) == ("ada", "file") and len(codes) == 1
    assert rig.get("bob/gated-sort", "opened").state == "done"
    assert rig.ask(m.SignOut()).name == ""


def test_what_is_published_can_be_fetched_by_everybody(rig):
    with pytest.raises(StudioError) as caught:
        rig.ask(m.PublishAdapter(name="sort", repo="ada/my-sort"))
    assert caught.value.code == "sign-in"
    rig.ask(m.SignIn(token=rig.hub.token))
    done = rig.ask(m.PublishAdapter(name="sort", repo="ada/my-sort", private=False))
    assert done.path == f"{rig.hub.endpoint}/ada/my-sort"
    rig.ask(m.SignOut())
    (upload,) = rig.hub.uploads("ada/my-sort")
    assert {"README.md", "adapter_config.json", WEIGHTS} <= set(upload["files"])
    job = rig.get("ada/my-sort", "back")
    assert job.state == "done" and job.result["revision"] == upload["commit"]
    rig.has("back", {WEIGHTS: SORT / WEIGHTS})
    assert "studio" in Path(rig.card("back").path, "README.md").read_text().lower()
