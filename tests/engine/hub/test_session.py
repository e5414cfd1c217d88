"""Patience, bounds and the token's one way, against faults that the test Hub makes."""

import threading
import time

import huggingface_hub as hf
import pytest

from engine.formats.errors import StudioError
from engine.hub import session
from engine.hub.client import Hub
from engine.hub.session import Patience, headers_with, open_session, patient
from engine.messages import SearchHub
from tests.engine.hub.repos import adapter


def failure(call):
    with pytest.raises(StudioError) as caught:
        call()
    return caught.value


def test_a_busy_hub_is_asked_again_as_it_says(client, site):
    site.add("ada/one", adapter())
    site.fault("/api/models/ada/one*", status=429, retry_after=1)
    began = time.monotonic()
    assert client.newest("ada/one")
    assert 1.0 <= time.monotonic() - began < 15
    assert [request["status"] for request in site.requests("/api/models/ada/one*")] == [429, 200]


def test_trouble_that_passes_is_waited_for(client, site):
    site.add("ada/one", adapter())
    site.fault("/api/models/ada/one*", status=503)
    assert client.newest("ada/one")


@pytest.mark.parametrize("status", [429, 503])
def test_a_pause_beyond_patience_is_told_at_once_with_its_length(client, site, status):
    site.fault("/api/models*", status=status, retry_after=300, times=-1)
    began = time.monotonic()
    error = failure(lambda: client.search(SearchHub()))
    assert time.monotonic() - began < 15
    assert error.code == "limited" and error.hint == "Try again in 5 min."


def test_all_requests_of_a_call_share_its_patience(client, site):
    site.fault("/api/models*", status=503, retry_after=1, times=-1)
    began = time.monotonic()
    with patient(Patience(left=1.5)):
        assert failure(lambda: client.search(SearchHub())).code == "limited"
    assert time.monotonic() - began < 15


def test_a_wait_ends_when_its_call_is_cancelled(client, site):
    site.fault("/api/models*", status=503, retry_after=15, times=-1)
    patience = Patience()
    threading.Timer(0.3, patience.cancelled.set).start()
    began = time.monotonic()
    with patient(patience):
        assert failure(lambda: client.search(SearchHub())).code == "cancelled"
        assert time.monotonic() - began < 12
        asked = len(site.requests())
        assert failure(lambda: client.search(SearchHub())).code == "cancelled"
    assert len(site.requests()) == asked


def test_a_silent_hub_is_not_waited_for_for_ever(client, site, monkeypatch):
    monkeypatch.setattr(session, "TIMES", session.httpx2.Timeout(0.5))
    site.add("ada/one", adapter(), card="# x\n")
    site.fault("/ada/one/resolve/*", stall=3.0, times=-1)
    error = failure(lambda: client.show("ada/one"))
    assert error.code == "limited" and "too long" in error.message


def test_an_answer_without_end_is_cut_off(client, site, monkeypatch):
    site.add_many(200)
    monkeypatch.setattr(session, "LARGEST_ANSWER", 10_000)
    assert failure(lambda: client.search(SearchHub())).code in ("offline", "failed")


def test_a_kept_connection_that_has_ended_is_opened_again(client, site):
    site.add("ada/one", adapter())
    assert client.newest("ada/one")
    site.down()
    site.up()
    assert client.newest("ada/one")


def test_the_token_is_sent_to_the_hub_and_dropped_at_a_redirect(site):
    site.add("ada/one", adapter())
    open_session()
    url = hf.hf_hub_url("ada/one", "adapter_model.safetensors", endpoint=site.endpoint)
    assert hf.get_session().get(url, headers=headers_with(site.token)).status_code == 200
    small, large = site.requests()
    assert small["authorization"] and not large["authorization"]
    assert small["host"] != large["host"]


def test_no_token_goes_elsewhere_even_when_it_is_asked_to(site):
    open_session()
    hf.get_session().get(f"{site.large_host}/api/models", headers=headers_with(site.token))
    assert [request["authorization"] for request in site.requests()] == [False]


def test_a_token_that_lies_elsewhere_is_not_sent_unasked(site, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", site.token)
    Hub(lambda: None).search(SearchHub())
    assert not any(request["authorization"] for request in site.requests())


def test_addresses_are_not_written_down(site, caplog):
    caplog.set_level("INFO")
    site.add("ada/one", adapter())
    Hub(lambda: site.token).search(SearchHub(text="confidential words"))
    url = hf.hf_hub_url("ada/one", "adapter_model.safetensors", endpoint=site.endpoint)
    assert hf.get_session().get(url).status_code == 200
    assert "confidential" not in caplog.text and "Signature" not in caplog.text


def test_nothing_is_asked_that_was_not_meant(client, site):
    client.search(SearchHub())
    assert {request["path"] for request in site.requests()} == {"/api/models"}


def test_offline_nothing_is_sent(client, site, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    error = failure(lambda: client.search(SearchHub()))
    assert error.code == "offline" and "HF_HUB_OFFLINE" in error.message and "library" in error.hint
    assert not site.requests()
