"""What is asked of the Hub through the supervisor: answered from threads, with the library in mind."""

import asyncio
import logging
import time

import pytest
from msgspec.structs import replace

from engine import messages as m
from engine.formats.errors import StudioError
from engine.hub.client import Hub
from engine.hub.token import Tokens
from engine.supervisor import doctor
from engine.supervisor import hub as desk_room
from engine.supervisor.hub import HubDesk
from tests.engine.hub.repos import ADAPTER, adapter

SORT = m.AdapterCard(
    name="sort",
    path=str(ADAPTER),
    base="tiny",
    kind="lora",
    rank=8,
    alpha=16.0,
    targets=["q_proj"],
    tensors=112,
    bytes=334768,
    source="training",
)
TINY = m.BaseCard(name="tiny", architecture="LlamaForCausalLM", parameters=9, path="/x", repo="org/tiny")


class Shelf:
    """A library with one adapter that came from the Hub, one that was trained, and two bases."""

    def adapters(self):
        return [
            SORT,
            replace(SORT, name="fetched", repo="ada/one"),
            replace(SORT, repo="ada/gone", missing=True),
        ]

    def adapter(self, name):
        return next(card for card in self.adapters() if card.name == name)

    def bases(self):
        return [TINY, replace(TINY, name="local", repo="")]


class Judge:
    """Gives its verdict, or says why it cannot."""

    error = None

    async def perform(self, body, say):
        if self.error:
            raise self.error
        fit = m.Fit(verdict="green", reason=f"Plays on {body.base}.")
        return m.HubVerdicts(verdicts=[m.HubVerdict(repo=repo, fit=fit, rank=8) for repo in body.repos])


class Librarian:
    async def perform(self, body, say):
        return m.Provenance(kind=body.kind, name=body.name, facts=[("seed", "7")])


class Desk:
    """The desk, asked from outside its loop."""

    def __init__(self, home):
        home.mkdir()
        self.home = home
        self.tokens = Tokens(home)
        self.judge = Judge()
        self.said = []
        self.desk = HubDesk(Shelf(), Hub(self.tokens.read), self.tokens, self.judge, Librarian())

    def ask(self, body):
        self.said = []
        return asyncio.run(self.desk.perform(body, self.said.append))

    def refusal(self, body):
        with pytest.raises(StudioError) as caught:
            self.ask(body)
        return caught.value


@pytest.fixture
def desk(hub, monkeypatch, tmp_path):
    hub.enter(monkeypatch)
    return Desk(tmp_path / "home")


def test_a_search_knows_what_is_in_the_library(desk, hub):
    for name in ("one", "two", "gone"):
        hub.add(f"ada/{name}", adapter(), base="org/tiny", likes=len(name))
    page = desk.ask(m.SearchHub(base="tiny", sort="likes"))
    assert {repo.repo: repo.have for repo in page.repos} == {
        "ada/one": "fetched",
        "ada/two": "",
        "ada/gone": "",
    }
    assert [repo.repo for repo in desk.ask(m.SearchHub(base="org/tiny")).repos]
    assert desk.ask(m.SearchHub(base=f"{hub.endpoint}/org/other")).repos == []


def test_a_base_that_nobody_on_the_hub_knows_is_said(desk):
    error = desk.refusal(m.SearchHub(base="local"))
    assert error.code == "base" and "local" in error.message and error.hint
    assert desk.refusal(m.SearchHub(base="not a name")).code == "usage"


def test_details_come_with_their_verdict(desk, hub):
    commit = hub.add("ada/one", adapter())
    hub.tag("ada/one", "v1", commit)
    for repo in ("ada/one", "ada/one@v1", f"{hub.endpoint}/ada/one/tree/v1"):
        seen = desk.ask(m.ShowHub(repo=repo, base="tiny"))
        assert (seen.commit, seen.repo.have) == (commit, "fetched")
        assert (seen.verdict.fit.verdict, seen.verdict.fit.reason) == ("green", "Plays on tiny.")
    assert desk.refusal(m.ShowHub(repo="../x")).code == "usage"
    assert desk.refusal(m.ShowHub(repo="ada/one", revision="v9")).code == "missing"


def test_details_are_shown_without_a_verdict_too(desk, hub):
    hub.add("ada/one", adapter())
    desk.judge.error = StudioError("limited", "Too many questions.", "Later.")
    seen = desk.ask(m.ShowHub(repo="ada/one"))
    assert seen.verdict.fit == m.Fit(verdict="amber", reason="Too many questions. Later.")


def test_signing_in_with_a_token(desk, hub, caplog):
    caplog.set_level(logging.DEBUG)
    assert desk.ask(m.AskAccount()) == m.Account(endpoint=hub.endpoint)
    seen = desk.ask(m.SignIn(token=hub.token))
    assert seen == m.Account(endpoint=hub.endpoint, name="ada", kept="file")
    assert "read scope is enough" in desk.said[0].text
    assert desk.ask(m.AskAccount()) == seen
    assert desk.ask(m.SignOut()) == m.Account(endpoint=hub.endpoint)
    assert hub.token not in caplog.text


def test_a_token_that_may_only_read_needs_no_word(desk, hub):
    assert desk.ask(m.SignIn(token=hub.account("eve", role="read"))).name == "eve"
    assert not desk.said


def test_a_token_that_nobody_knows_is_not_kept(desk):
    error = desk.refusal(m.SignIn(token="hf_nobodyknowsthis"))
    assert error.code == "sign-in" and "hf_" not in str(error.args)
    assert not list(desk.home.iterdir())
    assert desk.refusal(m.SignIn(token="not one")).code == "usage"


def test_signing_in_by_a_code(desk, hub):
    async def type_it(body):
        if isinstance(body, m.SignInCode):
            hub.accept_device("ada")

    async def sign_in():
        def say(body):
            desk.said.append(body)
            asyncio.get_running_loop().create_task(type_it(body))

        return await desk.desk.perform(m.SignIn(), say)

    seen = asyncio.run(sign_in())
    (code,) = desk.said
    assert code.address.startswith(hub.endpoint) and code.code and code.seconds == 900
    assert (seen.name, seen.kept) == ("ada", "file")
    assert desk.ask(m.AskAccount()).name == "ada"


@pytest.mark.alone
def test_a_sign_in_that_is_given_up_ends_and_keeps_nothing(desk, hub):
    async def give_up():
        said = asyncio.Event()
        task = asyncio.create_task(desk.desk.perform(m.SignIn(), lambda body: said.set()))
        await said.wait()
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(give_up()) < 0.9  # at the next poll it would end too
    hub.accept_device("ada")
    time.sleep(1.3)
    assert desk.ask(m.AskAccount()).name == "" and not list(desk.home.iterdir())
    polls = len(hub.requests("/oauth/token"))
    assert polls <= 1


def test_what_hf_has_kept_is_used_and_left_alone(desk, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", hub.token)
    seen = desk.ask(m.AskAccount())
    assert (seen.name, seen.kept) == ("ada", "elsewhere")
    assert desk.ask(m.SignOut()).kept == "elsewhere"


def test_offline_is_an_account_with_a_problem(desk, hub):
    hub.down()
    seen = desk.ask(m.AskAccount())
    assert "cannot be reached" in seen.problem and "works without the Hub" in seen.problem


def test_the_doctor_knocks(hub, desk):
    assert asyncio.run(doctor._hub()) == m.Check(name="hub", ok=True, detail=f"{hub.endpoint} answers")
    hub.down()
    seen = asyncio.run(doctor._hub())
    assert not seen.ok and "cannot be reached" in seen.detail and "works without it" in seen.hint


def test_a_preview_sends_nothing(desk, hub):
    desk.ask(m.PublishAdapter(name="sort", repo="ada/sort", preview=True))
    (card,) = desk.said
    assert "base_model: org/tiny" in card.text and "| seed | 7 |" in card.text
    assert not hub.requests()


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_publishing(desk, hub):
    assert desk.refusal(m.PublishAdapter(name="sort", repo="ada/sort")).code == "sign-in"
    desk.ask(m.SignIn(token=hub.token))
    done = desk.ask(m.PublishAdapter(name="sort", repo="ada/sort"))
    assert done.path == f"{hub.endpoint}/ada/sort"
    assert [said.text.split()[0] for said in desk.said] == ["Making", "Sending"]
    desk.ask(m.PublishAdapter(name="sort", repo="ada/sort", card="---\nlicense: mit\n---\n# mine\n"))
    assert len(hub.uploads("ada/sort")) == 2
    assert "# mine" in desk.ask(m.ShowHub(repo="ada/sort")).card


@pytest.mark.alone
def test_a_slow_hub_holds_up_nobody_and_not_for_ever(desk, hub, monkeypatch):
    monkeypatch.setattr(desk_room, "SECONDS", 0.6)
    hub.fault("/api/models*", stall=15.0, times=-1)
    gaps = []

    async def tick():
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            gaps.append(time.monotonic() - began)

    async def search():
        ticking = asyncio.create_task(tick())
        try:
            return await desk.desk.perform(m.SearchHub(), desk.said.append)
        finally:
            ticking.cancel()

    began = time.monotonic()
    with pytest.raises(StudioError) as caught:
        asyncio.run(search())
    assert caught.value.code == "limited"
    assert time.monotonic() - began < 10
    assert sorted(gaps)[len(gaps) * 9 // 10] < 0.2
