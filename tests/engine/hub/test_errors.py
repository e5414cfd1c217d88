"""Every way in which the client, its HTTP layer or the system fails is a sentence with a next step."""

import errno

import httpx2
import pytest
from huggingface_hub import errors

from engine.formats.errors import StudioError
from engine.hub.errors import asking, explain, retry_after

REQUEST = httpx2.Request("GET", "https://huggingface.co/api/models/ada/one")
BUSY = httpx2.Response(503, request=REQUEST)


def answered(kind, status, **headers):
    return kind("told by the server", response=httpx2.Response(status, headers=headers, request=REQUEST))


def local(cause):
    error = errors.LocalEntryNotFoundError("nothing in the cache")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (answered(errors.GatedRepoError, 403), "gated", "is gated"),
        (answered(errors.RepositoryNotFoundError, 404), "missing", "There is no ada/one"),
        (answered(errors.RevisionNotFoundError, 404), "missing", "no such revision"),
        (answered(errors.RemoteEntryNotFoundError, 404), "missing", "no such file"),
        (answered(errors.DisabledRepoError, 403), "missing", "disabled"),
        (answered(errors.BadRequestError, 400), "failed", "error 400"),
        (answered(errors.HfHubHTTPError, 401), "sign-in", "does not accept the token"),
        (answered(errors.HfHubHTTPError, 403), "sign-in", "not for this account"),
        (answered(errors.HfHubHTTPError, 404), "missing", "There is no ada/one"),
        (answered(errors.HfHubHTTPError, 412), "changed", "has changed"),
        (answered(errors.HfHubHTTPError, 416), "changed", "has changed"),
        (answered(errors.HfHubHTTPError, 429), "limited", "a pause"),
        (answered(errors.HfHubHTTPError, 500), "limited", "error 500"),
        (httpx2.HTTPStatusError("x", request=REQUEST, response=BUSY), "limited", "error 503"),
        (local(answered(errors.GatedRepoError, 401)), "gated", "is gated"),
        (local(httpx2.ConnectError("no route")), "offline", "cannot be reached"),
        (local(None), "offline", "cannot be reached"),
        (errors.OfflineModeIsEnabled("x"), "offline", "HF_HUB_OFFLINE"),
        (errors.LocalTokenNotFoundError("x"), "sign-in", "Nobody is signed in"),
        (errors.HFValidationError("x"), "usage", "not the name"),
        (httpx2.ProxyError("x"), "offline", "proxy"),
        (httpx2.ConnectTimeout("x"), "offline", "cannot be reached"),
        (httpx2.ReadTimeout("x"), "limited", "too long"),
        (httpx2.ReadError("x"), "offline", "broke off"),
        (httpx2.RemoteProtocolError("x"), "offline", "broke off"),
        (httpx2.UnsupportedProtocol("x"), "offline", "cannot be reached"),
        (OSError(errno.ENOSPC, "no space"), "disk", "disk is full"),
        (OSError(errno.ENETUNREACH, "no route"), "offline", "cannot be reached"),
        (ValueError("not JSON"), "failed", "not understood"),
        (KeyError("sha"), "failed", "not understood"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_is_a_sentence(error, code, words):
    told = explain(error, "ada/one")
    assert told.code == code and words in told.message
    assert told.message.endswith(".") and told.hint
    with pytest.raises(StudioError) as caught, asking("ada/one"):
        raise error
    assert caught.value.message == told.message and caught.value.__cause__ is error


def test_a_fault_of_ours_is_not_laid_at_the_hub_s_door():
    with pytest.raises(ZeroDivisionError), asking():
        _ = 1 / 0
    with pytest.raises(StudioError, match="mine"), asking():
        raise StudioError("usage", "mine")


def test_a_header_that_cannot_be_sent_does_not_betray_the_token():
    told = explain(httpx2.LocalProtocolError("Illegal header value b'Bearer hf_canary\\nCanary'"))
    assert "canary" not in told.detail and "<token>" in told.detail


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"RateLimit": "nonsense"}, None),
        ({"Retry-After": "9" * 40}, 999_999_999.0),
        ({}, None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(headers, seconds):
    assert retry_after(httpx2.Response(429, headers=headers)) == seconds
