"""One repository in full, what the Hub says when it does not give it, and who is signed in."""

import pytest

from engine.formats.errors import StudioError
from engine.hub.client import CARD, Hub
from tests.engine.hub.repos import adapter


def failure(call):
    with pytest.raises(StudioError) as caught:
        call()
    error = caught.value
    assert error.message.endswith((".", "!")) and error.hint
    return error


def test_everything_about_a_repository(client, site):
    first = site.add("ada/one", adapter(), base="org/base", license="mit", likes=3)
    extra = {"train.py": b"", "optimizer.pt": b"", "notes/a.txt": b"hello"}
    second = site.add("ada/one", extra, keep=True, card="# One\n\nText.\n")
    site.branch("ada/one", "try", first)
    site.tag("ada/one", "v1", first)
    seen = client.show("ada/one")
    assert seen.commit == second and seen.address == f"{site.endpoint}/ada/one"
    assert seen.card.endswith("# One\n\nText.\n") and seen.security.endswith("nothing wrong with its files.")
    files = {file.name: file for file in seen.files}
    weights = files["adapter_model.safetensors"]
    assert (weights.size, len(weights.sha256), weights.wanted) == (10, 64, True)
    assert files["adapter_config.json"].wanted and files["README.md"].wanted
    assert [files[name].note for name in ("train.py", "optimizer.pt", "notes/a.txt")] == [
        "a program: never fetched",
        "a pickle: never loaded",
        "not needed",
    ]
    assert {one.name: one.commit for one in seen.revisions} == {"main": second, "try": first, "v1": first}
    assert (seen.repo.license, seen.repo.likes, seen.repo.size) == ("mit", 3, 10)


def test_a_revision_by_branch_tag_and_commit(client, site):
    first = site.add("ada/one", adapter(), card="# old\n")
    second = site.add("ada/one", adapter(), card="# new\n")
    site.tag("ada/one", "v1", first)
    for revision, commit, title in (("main", second, "new"), ("v1", first, "old"), (first, first, "old")):
        seen = client.show("ada/one", revision)
        assert (seen.commit, title in seen.card) == (commit, True)
    assert client.newest("ada/one") == second


def test_a_card_is_bounded_and_plain(client, site):
    site.add("ada/long", adapter(), card="# x\n" + "\x1b[31mé" * CARD)
    site.forget()
    card = client.show("ada/long").card
    assert len(card.encode()) <= CARD and "\x1b" not in card
    (asked,) = site.requests("*README.md")
    assert asked["sent"] < 4 * CARD


def test_no_card_is_no_error(client, site):
    site.add("ada/bare", adapter())
    assert client.show("ada/bare").card == ""


def test_what_the_scanners_say(client, site):
    site.add("ada/bad", adapter(), security={"a.bin": "unsafe", "b.bin": "suspicious"})
    assert client.show("ada/bad").security == "The Hub's scanners warn of a.bin (unsafe), b.bin (suspicious)."


def test_a_gated_repository_is_shown_as_far_as_it_may_be(client, site):
    site.add("ada/guarded", adapter(), gated=True, card="# Ask first\n")
    seen = client.show("ada/guarded")
    assert seen.repo.gated and seen.files and seen.card == ""


def test_a_private_repository_is_for_its_owner(client, site):
    site.add("ada/mine", adapter(), private=True)
    error = failure(lambda: client.show("ada/mine"))
    assert error.code == "missing" and "private" in error.message and "sign in" in error.hint
    assert Hub(lambda: site.token).show("ada/mine").repo.private


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"status": 401, "code": "GatedRepo"}, "gated", "ada/one is gated"),
        ({"status": 403, "code": "GatedRepo"}, "gated", "ada/one is gated"),
        ({"status": 404, "code": "RepoNotFound"}, "missing", "no ada/one"),
        ({"status": 404, "code": "RevisionNotFound"}, "missing", "no such revision"),
        ({"status": 401}, "sign-in", "does not accept the token"),
        ({"status": 403}, "sign-in", "not for this account"),
        ({"status": 418}, "failed", "418"),
    ],
)
def test_refusals_are_sentences(client, site, fault, code, words):
    site.add("ada/one", adapter())
    site.fault("/api/models/*", **fault)
    error = failure(lambda: client.show("ada/one"))
    assert error.code == code and words in error.message
    if code == "gated":
        assert f"{site.endpoint}/ada/one" in error.hint


def test_a_hub_out_of_reach(client, site):
    site.down()
    error = failure(lambda: client.show("ada/one"))
    assert error.code == "offline" and "works without the Hub" in error.hint
    account = client.account()
    assert account.name == "" and "cannot be reached" in account.problem


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ENDPOINT", "http://no-such-host.invalid", "cannot be found"),
        ("ENDPOINT", "http://127.0.0.1:9", "cannot be reached"),
        ("ENDPOINT", "https://127.0.0.1:9", "cannot be reached"),
    ],
)
def test_an_endpoint_that_is_not_there(client, monkeypatch, variable, value, words):
    monkeypatch.setattr(f"huggingface_hub.constants.{variable}", value)
    error = failure(lambda: client.show("ada/one"))
    assert error.code == "offline" and words in error.message


def test_a_hub_without_tls_is_told_from_one_out_of_reach(client, site, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", site.endpoint.replace("http://", "https://"))
    error = failure(lambda: client.show("ada/one"))
    assert error.code == "offline" and "not secure" in error.message


def test_a_proxy_that_refuses(client, site, monkeypatch):
    from huggingface_hub import close_session

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    close_session()  # a session reads its proxies when it begins
    error = failure(lambda: client.show("ada/one"))
    close_session()
    assert error.code == "offline" and not site.requests()


@pytest.mark.parametrize("body", ["<html>Please log in to this network</html>", "[]", '{"id": 7}', "null"])
def test_an_answer_that_is_none_of_a_hub(client, site, body, tmp_path):
    # Whatever answers at this address, it is not what a Hub says.
    site.add("portal/page", {"page": body})
    page = f"{site.endpoint}/portal/page/resolve/main/page"
    site.fault("/api/models/ada/one*", redirect=page, times=-1)
    error = failure(lambda: client.show("ada/one"))
    assert error.code == "failed" and "not understood" in error.message


def test_the_account(site):
    assert Hub(lambda: None).account().name == ""
    seen = Hub(lambda: site.token).account()
    assert (seen.endpoint, seen.name, seen.problem) == (site.endpoint, "ada", "")
    wrong = Hub(lambda: "hf_nobodysToken").account()
    assert wrong.name == "" and "does not accept the token" in wrong.problem


def test_whose_a_token_is_is_asked_once_in_a_while(site):
    hub = Hub(lambda: site.token)
    assert [hub.owner(site.token) for _ in range(3)] == [("ada", "write")] * 3
    reader = site.account("eve", role="read")
    assert hub.owner(reader) == ("eve", "read")
    assert len(site.requests("/api/whoami-v2")) == 2


def test_no_error_repeats_a_token(site):
    secret = "hf_canaryCanaryCanary"
    hub = Hub(lambda: secret)
    for call in (lambda: hub.show("ada/one"), lambda: hub.owner(secret), lambda: hub.newest("x/y")):
        error = failure(call)
        said = [error.message, error.hint, error.detail, repr(error), repr(error.__cause__)]
        assert not any(secret in text for text in said)
