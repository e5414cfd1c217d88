"""Signing in by a code: typed, turned down, run out, slowed down, cancelled, broken."""

import threading
import time

import pytest

from engine.formats.errors import StudioError
from engine.hub import login
from engine.hub.client import Hub
from engine.hub.session import Patience, patient


def failure(call):
    with pytest.raises(StudioError) as caught:
        call()
    return caught.value


def test_a_code_that_is_typed(site):
    code = login.begin()
    assert code.address.startswith(site.endpoint) and len(code.code) == 9 and code.seconds == 900
    given = site.accept_device("ada")
    grant = login.poll(code)
    assert grant.token == given and (grant.refresh, grant.expires) == ("", 0.0)
    assert Hub(lambda: grant.token).account().name == "ada"


def test_a_hurried_client_is_slowed_down(site, monkeypatch):
    pauses = []
    monkeypatch.setattr(login._oauth_device.time, "sleep", pauses.append)
    site.device(slow_down=2)
    code = login.begin()
    site.accept_device()
    assert login.poll(code).token
    assert pauses == [6, 11]


def test_a_code_that_is_turned_down(site):
    code = login.begin()
    site.deny_device()
    error = failure(lambda: login.poll(code))
    assert error.code == "sign-in" and "turned down" in error.message


def test_a_code_that_runs_out(site):
    site.device(expires_in=1)
    code = login.begin()
    error = failure(lambda: login.poll(code))
    assert error.code == "sign-in" and "run out" in error.message


def test_giving_up(site):
    code = login.begin()
    patience = Patience()
    threading.Timer(0.2, patience.cancelled.set).start()
    began = time.monotonic()
    with patient(patience):
        assert failure(lambda: login.poll(code)).code == "cancelled"
    assert time.monotonic() - began < 20


def test_trouble_on_the_way_does_not_end_it(site):
    code = login.begin()
    site.fault("/oauth/token", "POST", status=502)
    site.accept_device()
    assert login.poll(code).token


def test_a_hub_without_codes_says_what_to_do_instead(site):
    site.fault("/oauth/device", "POST", status=404)
    error = failure(login.begin)
    assert error.code == "sign-in" and "/settings/tokens" in error.hint


def test_a_hub_in_trouble_or_out_of_reach(site):
    site.fault("/oauth/device", "POST", status=503, retry_after=60)
    assert failure(login.begin).code == "limited"
    site.down()
    assert failure(login.begin).code == "offline"


def test_a_grant_that_ends_can_be_renewed_once(site):
    site.device(lasts=100)
    code = login.begin()
    site.accept_device("ada")
    grant = login.poll(code)
    assert 0 < grant.expires - time.time() <= 100
    renewed = login.renew(grant)
    assert renewed.token != grant.token and renewed.refresh
    error = failure(lambda: login.renew(grant))
    assert error.code == "sign-in" and "Sign in again" in error.hint
    site.down()
    assert failure(lambda: login.renew(renewed)).code == "offline"


def test_no_secret_shows(site):
    site.device(lasts=100)
    code = login.begin()
    site.accept_device("ada")
    grant = login.poll(code)
    assert code.device["device_code"] not in repr(code)
    assert grant.token not in repr(grant) and grant.refresh not in repr(grant)
