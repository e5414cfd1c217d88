"""Verdicts through the supervisor: many at once, each as soon as it is known, and none paid for twice."""

import asyncio
import shutil
import time

import pytest
from msgspec.structs import replace

from engine import messages as m
from engine.formats.adapter_folder import fingerprint, read_folder
from engine.formats.errors import StudioError
from engine.supervisor import judging
from engine.supervisor.bases import read_base
from engine.supervisor.judging import Judging
from engine.supervisor.machine import Machine
from engine.supervisor.starter import STARTER
from engine.supervisor.store import Store
from tests.engine.hub.tables import CONFIG, adapter, factors

BASE = replace(read_base(STARTER / "base", "starter-llama", "starter"), repo="studio/starter")


def card(folder, **changes):
    file = read_folder(folder)
    return m.AdapterCard(
        name=folder.name,
        path=str(folder),
        base="starter-llama",
        kind="lora",
        rank=file.rank,
        alpha=file.config.alpha,
        targets=file.targets,
        tensors=len(file.contents.tensors),
        bytes=1,
        source="import",
        sha256=fingerprint(folder),
        **changes,
    )


class Shelf:
    """A library that holds what it is told to."""

    def __init__(self):
        self.here = [BASE]
        self.held = [card(folder) for folder in sorted((STARTER / "adapters").iterdir())]

    def adapters(self):
        return self.held

    def bases(self):
        return self.here

    def base(self, name):
        for base in self.here:
            if base.name == name:
                return base
        raise StudioError("missing", f"There is no base model called {name}.", "Look at the list.")


class Desk:
    def __init__(self, store):
        self.shelf, self.store, self.said, self.token = Shelf(), store, [], None
        self.renew()

    def renew(self):
        """As after a restart: only what the store holds is known."""
        self.judging = Judging(self.shelf, self.store, lambda: self.token)

    def ask(self, body):
        self.said = []
        return asyncio.run(self.judging.perform(body, self.said.append))

    def judge(self, *repos, base="starter-llama", room="adapters"):
        return self.ask(m.JudgeHub(repos=list(repos), base=base, room=room)).verdicts


@pytest.fixture
def desk(hub, monkeypatch, tmp_path):
    hub.enter(monkeypatch)
    store = Store(tmp_path / "studio.db")
    yield Desk(store)
    store.close()


def read(hub):
    return sum(each["sent"] for each in hub.requests())


# --- the Hub ---


def test_every_verdict_is_said_and_all_are_given_in_order(hub, desk):
    names = [f"ada/a{number}" for number in range(6)]
    for number, name in enumerate(names):
        hub.add(name, adapter(factors(width=128 if number % 2 else 64)))
    verdicts = desk.judge(*names)
    assert [verdict.repo for verdict in verdicts] == names
    assert [verdict.fit.verdict for verdict in verdicts] == ["red", "green"] * 3
    assert sorted(verdict.repo for verdict in desk.said) == names
    assert all(verdict in verdicts for verdict in desk.said)


@pytest.mark.alone
def test_eight_at_once_and_the_quick_ones_first(hub, desk):
    names = [f"ada/a{number:02}" for number in range(16)]
    for name in names:
        hub.add(name, adapter())
    hub.fault("/ada/a00/*", stall=3.0)
    hub.fault("/ada/a01/*", stall=2.0)
    before = time.monotonic()
    desk.judge(*names)
    assert time.monotonic() - before < 4.5
    assert [verdict.repo for verdict in desk.said][-2:] == ["ada/a01", "ada/a00"]


def test_never_more_than_eight_at_once(hub, desk, monkeypatch):
    busy, most = 0, 0

    async def counted(self, text, ask):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.005)
        busy -= 1
        return m.HubVerdict(repo=text, fit=m.Fit(verdict="red", reason="No."))

    monkeypatch.setattr(Judging, "_judge", counted)
    assert len(desk.judge(*map(str, range(40)))) == 40 and most == 8


def test_what_was_read_costs_nothing_the_next_time(hub, desk):
    hub.add("ada/one", adapter())
    (first,) = desk.judge("ada/one")
    hub.forget()
    (again,) = desk.judge("ada/one")
    assert again == replace(first, read=0) and first.read > 0 and not hub.requests()
    desk.renew()
    (later,) = desk.judge("ada/one")
    assert later == again and read(hub) == 0
    assert [each["method"] for each in hub.requests()] == ["HEAD"]
    hub.forget()
    desk.renew()
    assert desk.judge(f"ada/one@{first.commit}") == [again] and not hub.requests()


def test_a_new_commit_is_read_anew(hub, desk):
    hub.add("ada/one", adapter())
    (old,) = desk.judge("ada/one")
    commit = hub.add("ada/one", adapter(factors(width=64)))
    desk.renew()
    (new,) = desk.judge("ada/one")
    assert (old.fit.verdict, new.fit.verdict, new.commit) == ("green", "red", commit) and new.read > 0
    assert desk.judge(f"ada/one@{old.commit}")[0].fit == old.fit


def test_without_a_network_what_is_known_is_said_and_the_rest_is_not_asked_for(hub, desk):
    hub.add("ada/one", adapter())
    (known,) = desk.judge("ada/one")
    hub.down()
    desk.renew()
    before = time.monotonic()
    verdicts = desk.judge("ada/one", *(f"ada/other{n}" for n in range(50)))
    assert time.monotonic() - before < 20
    assert verdicts[0] == replace(known, read=0)
    assert {verdict.fit.verdict for verdict in verdicts[1:]} == {"amber"}
    assert all("reached" in verdict.fit.reason or "broke" in verdict.fit.reason for verdict in verdicts[1:])


def test_a_hub_that_asks_for_a_pause_is_left_alone(hub, desk):
    for number in range(30):
        hub.add(f"ada/a{number}", adapter())
    hub.fault("*", times=-1, status=429, retry_after=3600)
    hub.forget()
    verdicts = desk.judge(*(f"ada/a{number}" for number in range(30)))
    assert all("pause" in verdict.fit.reason for verdict in verdicts) and len(hub.requests()) <= 8


def test_what_cannot_be_looked_at_is_amber_with_the_reason(hub, desk):
    hub.add("ada/gated", adapter(), gated=True)
    verdicts = desk.judge("ada/gated", "ada/missing", "no repository", "../../etc")
    assert {verdict.fit.verdict for verdict in verdicts} == {"amber"}
    words = ("gated", "no ada/missing", "not the name", "not the name")
    assert all(word in verdict.fit.reason for verdict, word in zip(verdicts, words, strict=True))
    assert desk.judge("ada/missing@" + "a" * 40)[0].repo == "ada/missing"
    desk.token = hub.token
    hub.grant("ada/gated", "ada")
    assert desk.judge("ada/gated")[0].fit.verdict == "green"


@pytest.mark.alone
def test_a_cancelled_request_ends_at_once(hub, desk):
    for number in range(20):
        hub.add(f"ada/a{number}", adapter())
    hub.fault("*", times=-1, stall=30)

    async def give_up():
        body = m.JudgeHub(repos=[f"ada/a{number}" for number in range(20)], base="starter-llama")
        task = asyncio.create_task(desk.judging.perform(body, desk.said.append))
        await asyncio.sleep(0.3)
        task.cancel()
        before = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - before

    assert asyncio.run(give_up()) < 10
    assert desk.said == []


def test_the_base_that_is_meant(hub, desk):
    hub.add("ada/named", adapter(base_model_name_or_path="studio/starter"))
    hub.add("ada/else", adapter(base_model_name_or_path="else/Base"))
    (named, other) = desk.judge("ada/named", "ada/else", base="")
    assert named.fit.verdict == "green" and other.fit.verdict == "amber"
    assert "else/Base" in other.fit.reason and "not in the library" in other.fit.reason
    (other,) = desk.judge("ada/else")
    assert other.fit.verdict == "amber" and "every shape fits starter-llama" in other.fit.reason
    assert desk.judge("ada/named", base="studio/starter")[0].fit.verdict == "green"
    assert desk.judge("ada/named", base="some/repo")[0].fit.verdict == "amber"
    with pytest.raises(StudioError, match="no base model called nowhere"):
        desk.judge("ada/named", base="nowhere")


def test_a_base_that_is_only_on_the_hub_is_looked_into_once(hub, desk):
    base = {path.name: path for path in (STARTER / "base").iterdir()}
    hub.add("org/base", base)
    hub.add("ada/fits", adapter(base_model_name_or_path="org/base"))
    hub.add("ada/other", adapter(factors(width=64), base_model_name_or_path="org/base"))
    fits, other = desk.judge("ada/fits", "ada/other", base="org/base")
    assert fits.fit.verdict == "green" and fits.fit.reason.endswith("org/base is not in the library yet.")
    assert other.fit.verdict == "red" and "org/base" in other.fit.reason
    hub.forget()
    assert desk.judge("ada/fits", base="https://huggingface.co/org/base")[0].fit == fits.fit
    assert read(hub) == 0
    hub.add("org/guarded", base, gated=True)
    (fits,) = desk.judge("ada/fits", base="org/guarded")
    assert fits.fit.verdict == "amber" and "org/guarded is gated" in fits.fit.reason and fits.rank == 4


def test_too_many_are_refused(desk):
    with pytest.raises(StudioError) as caught:
        desk.judge(*["a/b"] * 1001)
    assert caught.value.code == "usage"


def test_bases_are_judged_by_this_machines_memory(hub, desk, monkeypatch):
    files = {file.name: file for file in (STARTER / "base").iterdir()}
    commit = hub.add("ada/base", files)
    hub.add("ada/evil", files | {"config.json": b'{"model_type": "llama", "auto_map": {"AutoModel": "x.Y"}}'})
    hub.add("ada/pickled", {"config.json": files["config.json"], "pytorch_model.bin": b"PK"})
    monkeypatch.setattr(judging, "this_machine", lambda: Machine(total=8 * 10**9, free=6 * 10**9))
    good, evil, pickled = desk.judge("ada/base", "ada/evil", "ada/pickled", base="", room="bases")
    assert good.fit.verdict == "green" and "this machine has 6.0 GB free" in good.fit.reason
    assert (good.kind, good.parameters, good.commit) == ("LlamaForCausalLM", 868_864, commit)
    assert good.read < 4096
    assert evil.fit.verdict == "red" and "own code" in evil.fit.reason
    assert pickled.fit.verdict == "red" and "pickles" in pickled.fit.reason
    monkeypatch.setattr(judging, "this_machine", lambda: Machine(total=10**8, free=10**8))
    hub.forget()
    assert desk.judge("ada/base", room="bases", base="")[0].fit.verdict == "red" and not hub.requests()


def test_a_base_of_the_library_is_judged_by_the_files_that_are_here(hub, desk, monkeypatch):
    monkeypatch.setattr(judging, "this_machine", lambda: Machine(total=8 * 10**9, free=6 * 10**9))
    (here,) = desk.judge("starter-llama", room="bases", base="")
    assert here.fit.verdict == "green" and here.repo == "starter-llama" and here.parameters == 868_864
    desk.shelf.here = [replace(BASE, missing=True)]
    (gone,) = desk.judge("starter-llama", room="bases", base="")
    assert gone.fit.verdict == "red" and "not where they were" in gone.fit.reason
    assert not hub.requests()


# --- the library ---


def test_the_starter_packs_adapters_play_on_its_base(desk):
    fits = desk.ask(m.JudgeAdapters(base="starter-llama")).fits
    assert set(fits) == {each.name for each in desk.shelf.held}
    assert {fit.verdict for fit in fits.values()} == {"green"}, fits


def test_other_bases_and_damaged_adapters(desk, tmp_path):
    shutil.copytree(STARTER / "adapters" / "reverse", tmp_path / "broken")
    broken = card(tmp_path / "broken")
    (tmp_path / "broken" / CONFIG).write_text("{")
    desk.shelf.held = [desk.shelf.held[0], broken, replace(broken, name="gone", missing=True)]
    desk.shelf.held.append(replace(desk.shelf.held[0], name="else", base="else/Base"))
    fits = list(desk.ask(m.JudgeAdapters(base="starter-llama")).fits.values())
    assert [fit.verdict for fit in fits] == ["green", "red", "red", "amber"]
    assert "damaged" in fits[1].reason and "not where they were" in fits[2].reason
    with pytest.raises(StudioError, match="no base model"):
        desk.ask(m.JudgeAdapters(base="nowhere"))


def test_the_same_files_and_base_are_judged_once(desk, monkeypatch):
    first = desk.ask(m.JudgeAdapters(base="starter-llama"))

    def again(folder):
        raise AssertionError(folder)

    monkeypatch.setattr(judging, "read_folder", again)
    assert desk.ask(m.JudgeAdapters(base="starter-llama")) == first
    desk.shelf.held = [replace(desk.shelf.held[0], sha256="another")]
    with pytest.raises(AssertionError):
        desk.ask(m.JudgeAdapters(base="starter-llama"))


def test_the_store_keeps_the_newest_peeks(desk, monkeypatch):
    monkeypatch.setattr("engine.supervisor.store.KEPT_PEEKS", 3)
    for number in range(6):
        desk.store.keep_peek("adapters", "a/b", f"{number}", bytes([number]))
    assert [desk.store.peek("adapters", "a/b", f"{n}") for n in range(6)] == [
        None,
        None,
        None,
        b"\3",
        b"\4",
        b"\5",
    ]
    desk.store.keep_peek("adapters", "a/b", "4", b"new")
    assert desk.store.peek("adapters", "a/b") == b"new"
    assert desk.store.peek("bases", "a/b") is None
