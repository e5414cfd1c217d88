"""Discover without a widget: what is looked for, what is looked at, what is remembered; and the account."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSettings

from app.presenters.account import Account
from app.presenters.discover import MOST_RECENT, Discover
from app.presenters.repository import name_for
from engine import messages
from engine.messages import (
    Bases,
    Error,
    Fit,
    Fits,
    HubPage,
    ListBases,
    SearchHub,
    ShowHub,
    SignIn,
    SignInCode,
)
from tests.app.fake_client import FakeClient
from tests.app.scripted_client import BASE, adapter
from tests.app.scripted_hub import ScriptedHub, repo

HUB_BASE = messages.BaseCard(
    name="qwen", architecture="Qwen2ForCausalLM", parameters=5, path="/q", repo="Qwen/Qwen2-0.5B"
)
OWN_BASE = messages.BaseCard(name=BASE, architecture="LlamaForCausalLM", parameters=1, path="/s")


@pytest.fixture
def hub() -> ScriptedHub:
    return ScriptedHub([repo(number) for number in range(60)])


@pytest.fixture
def client(qapp, hub) -> FakeClient:
    client = FakeClient(hub.script)
    client.script[ListBases] = Bases(bases=[OWN_BASE, HUB_BASE])
    return client


@pytest.fixture
def discover(client, store, qtbot) -> Discover:
    discover = Discover(client, store, client)
    discover.use_base("qwen")
    client.welcome()
    qtbot.waitUntil(lambda: bool(discover.search.found.repos))
    return discover


def asked(client: FakeClient) -> SearchHub:
    return client.requests(SearchHub)[-1]


def test_adapters_for_the_windows_base_come_first(discover, client):
    assert [(request.base, request.sort) for request in client.requests(SearchHub)] == [("qwen", "trending")]


def test_the_search_follows_the_windows_base_until_another_is_chosen(discover, client):
    discover.choose_base("")
    assert asked(client).base == ""
    discover.use_base("other")
    assert asked(client).base == ""
    assert not discover.state.follows
    discover.use_base("qwen")
    discover.choose_base("qwen")
    discover.use_base(BASE)
    assert discover.state.follows


def test_for_a_base_that_is_not_from_the_hub_all_are_listed(client, store, qtbot):
    discover = Discover(client, store, client)
    discover.use_base(BASE)
    client.welcome()
    qtbot.waitUntil(lambda: bool(discover.search.found.repos))
    assert asked(client).base == ""


def test_writing_looks_once_the_hand_rests(discover, client, qtbot):
    for text in ("a", "ad", "adapter-1"):
        discover.write(text)
    assert len(client.requests(SearchHub)) == 1
    qtbot.waitUntil(lambda: len(client.requests(SearchHub)) == 2)
    assert asked(client).text == "adapter-1"
    assert discover.state.recent == (), "what is only written is not remembered"


def test_what_was_looked_for_is_remembered_once_and_the_newest_first(discover, client, store):
    for text in ("sort", "reverse", "Sort", ""):
        discover.look_for(text)
    assert discover.state.recent == ("Sort", "reverse")
    store.sync()
    assert Discover(client, store, client).state.recent == ("Sort", "reverse")
    for number in range(2 * MOST_RECENT):
        discover.look_for(f"word {number}")
    assert len(discover.state.recent) == MOST_RECENT
    discover.forget_recent()
    assert Discover(client, store, client).state.recent == ()


def test_a_single_memory_survives_a_restart(discover, client, store, tmp_path):
    discover.look_for("sort")
    store.sync()
    again = QSettings(store.fileName(), QSettings.Format.IniFormat)
    assert Discover(client, again, client).state.recent == ("sort",)


def test_a_pasted_address_is_looked_at_as_well(discover, client, qtbot):
    discover.look_for(f"hf://{repo(7).repo}@v1")
    qtbot.waitUntil(lambda: discover.repository.state.details is not None)
    assert client.requests(ShowHub)[-1].repo == f"hf://{repo(7).repo}@v1"
    assert discover.state.chosen == repo(7).repo
    assert discover.repository.state.name == "adapter-7"


def test_an_address_that_is_none_says_so_in_the_pane(discover, client, qtbot):
    discover.look_for("nobody/nothing")
    qtbot.waitUntil(lambda: discover.repository.state.problem is not None)
    assert discover.repository.state.problem.message == "The Hub has no nobody/nothing."


def test_running_through_the_list_reads_only_where_one_stays(discover, client, qtbot):
    for number in range(5):
        discover.choose(repo(number).repo)
    qtbot.waitUntil(lambda: discover.repository.state.details is not None)
    assert [request.repo for request in client.requests(ShowHub)] == [repo(4).repo]
    assert discover.verdicts.known[repo(4).repo].fit.verdict == "amber"


def test_another_revision_is_read_on_its_own(discover, client, qtbot):
    discover.choose(repo(4).repo)
    qtbot.waitUntil(lambda: discover.repository.state.details is not None)
    discover.repository.use_revision("v1")
    qtbot.waitUntil(lambda: discover.repository.state.details.commit.startswith("b"))
    assert client.requests(ShowHub)[-1].revision == "v1"
    assert [file.name for file in discover.repository.state.wanted] == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert discover.repository.state.bytes == 12_000_700
    qtbot.waitUntil(lambda: discover.repository.state.free == 84_000_000_000)


def test_what_would_be_replaced_says_who_uses_it(discover, client, hub, qtbot):
    hub.repos[3] = repo(3, have="three", commit="c" * 40)
    client.script[messages.FindUses] = lambda request: messages.Uses(sentence=f"mix-1 plays {request.name}.")
    discover.search.ask(discover.state.query)
    qtbot.waitUntil(lambda: any(found.have for found in discover.search.found.repos))
    discover.choose(repo(3).repo)
    qtbot.waitUntil(lambda: bool(discover.repository.state.uses))
    state = discover.repository.state
    assert (state.name, state.is_replacement, state.is_here) == ("three", True, False)
    assert state.uses == "mix-1 plays three."
    discover.repository.call_it("four")
    assert not discover.repository.state.is_replacement


def test_rooms_are_left_with_their_task(discover, client):
    discover.narrow(task="translation")
    discover.enter("bases")
    assert (asked(client).room, asked(client).task, asked(client).base) == ("bases", "", "")
    discover.look_for_adapters_of("Qwen/Qwen2-1.5B")
    assert (asked(client).room, asked(client).base) == ("adapters", "Qwen/Qwen2-1.5B")
    discover.enter("bases")
    discover.enter("adapters")
    assert asked(client).base == ""


def test_only_the_librarys_bases_are_judged_against(discover, client):
    discover.see([repo(0).repo])
    assert client.requests(messages.JudgeHub)[-1].base == "qwen"
    discover.choose_base("Qwen/Qwen2-1.5B")
    discover.see([repo(1).repo])
    assert client.requests(messages.JudgeHub)[-1].base == ""


def test_offline_the_librarys_own_are_judged_by_their_shapes(discover, client, qtbot):
    client.script[SearchHub] = Error(code="offline", message="The Hub cannot be reached.")
    client.script[messages.ListAdapters] = messages.Adapters(adapters=[adapter("sort", base="qwen")])
    fit = Fit(verdict="green", reason="Every tensor finds its place.")
    client.script[messages.JudgeAdapters] = Fits(fits={"sort": fit})
    discover.look_for("sort")
    qtbot.waitUntil(lambda: "sort" in discover.verdicts.known)
    assert discover.verdicts.known["sort"].fit == fit
    discover.see(["sort"])
    assert client.requests(messages.JudgeHub) == []


def test_after_a_crash_of_the_engine_the_search_is_asked_again(discover, client, qtbot):
    client.silent = {SearchHub}
    discover.look_for("sort")
    client.die()
    assert discover.search.found.problem.code == "crashed"
    client.silent = set()
    client.script[SearchHub] = HubPage(repos=[repo(1)])
    client.welcome()
    qtbot.waitUntil(lambda: len(discover.search.found.repos) == 1)
    assert discover.search.found.problem is None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("user/model", "model"),
        ("user/My model!", "My-model"),
        ("user/..", "adapter"),
        ("user/" + "a" * 90, "a" * 64),
        ("user/-x-.", "x"),
        ("user/имя", "adapter"),
    ],
)
def test_a_repository_gets_a_name_that_the_library_takes(address, name):
    assert name_for(address) == name


# --- the account ---


@pytest.fixture
def account(client, qtbot) -> Account:
    client.welcome()
    account = Account(client, client)
    qtbot.waitUntil(lambda: account.state.known)
    return account


def test_the_hub_itself_is_no_mirror(account, client, qtbot):
    assert (account.state.mirror, account.state.name) == ("", "")
    client.script[messages.AskAccount] = messages.Account(endpoint="http://mirror:8080/", name="ada")
    account.refresh()
    qtbot.waitUntil(lambda: account.state.name == "ada")
    assert account.state.mirror == "http://mirror:8080"


def test_signing_in_by_a_code(account, client, qtbot):
    code = SignInCode(code="ABCD-1234", address="https://huggingface.co/device", seconds=900)
    client.silent = {SignIn}
    account.sign_in()
    call = client.last(SignIn)
    client.progress(call, code)
    assert (account.state.code, account.state.is_signing_in) == (code, True)
    with qtbot.waitSignal(account.signed_in):
        client.answer(call, messages.Account(endpoint="https://huggingface.co", name="ada", kept="keyring"))
    assert (account.state.name, account.state.code, account.state.is_signing_in) == ("ada", None, False)


def test_giving_up_is_no_failure_and_late_answers_count_no_more(account, client):
    client.silent = {SignIn}
    account.sign_in()
    call = client.last(SignIn)
    account.give_up()
    assert call.id in client.cancelled
    client.answer(call, messages.Account(endpoint="x", name="somebody"))
    assert (account.state.name, account.state.is_signing_in, account.state.error) == ("", False, None)


def test_a_token_that_is_refused_says_why_and_is_nowhere_in_the_state(account, client, qtbot):
    client.script[SignIn] = Error(
        code="sign-in", message="The Hub does not know this token.", hint="Make it."
    )
    account.sign_in("  hf_secret  ")
    qtbot.waitUntil(lambda: account.state.error is not None)
    assert client.requests(SignIn) == [SignIn(token="hf_secret")]
    assert account.state.error.message == "The Hub does not know this token."
    assert "hf_secret" not in repr(account.state)


def test_a_token_of_another_program_stays(account, client, qtbot):
    said = []
    account.noticed.connect(said.append)
    client.script[messages.SignOut] = messages.Account(endpoint="x", name="ada", kept="elsewhere")
    account.sign_out()
    qtbot.waitUntil(lambda: bool(said))
    assert said[0].message.startswith("Still signed in")
