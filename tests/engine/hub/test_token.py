"""The token lies in the keyring, or in a file for one pair of eyes, and goes to its own Hub only."""

import logging
import pickle
import stat
import time

import msgspec
import pytest

from engine.formats.errors import StudioError
from engine.hub.login import Grant
from engine.hub.token import FILE, SERVICE, Tokens, checked

SECRET = "hf_canaryCanaryCanary"


def test_the_keyring_keeps_it_where_there_is_one(tokens, ring, site, tmp_path):
    assert tokens.read() is None and tokens.where() == ""
    assert tokens.keep(Grant(SECRET)) == "keyring"
    assert (tokens.read(), tokens.where()) == (SECRET, "keyring")
    assert list(ring.kept) == [(SERVICE, site.endpoint)]
    assert not (tmp_path / "home" / FILE).exists()
    tokens.forget()
    assert tokens.read() is None and not ring.kept


def test_a_file_keeps_it_elsewhere_for_this_user_alone(tokens, tmp_path):
    assert tokens.keep(Grant(SECRET)) == "file"
    file = tmp_path / "home" / FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Tokens(tmp_path / "home").read() == SECRET and tokens.where() == "file"
    tokens.forget()
    assert not file.exists() and tokens.where() == ""


def test_a_keyring_that_appears_later_takes_over(tokens, tmp_path, request):
    tokens.keep(Grant("hf_oldoldold"))
    ring = request.getfixturevalue("ring")
    assert tokens.read() == "hf_oldoldold"
    assert tokens.keep(Grant(SECRET)) == "keyring"
    assert not (tmp_path / "home" / FILE).exists() and len(ring.kept) == 1


def test_a_locked_keyring_is_none_when_reading_and_an_error_when_forgetting(tokens, ring):
    tokens.keep(Grant(SECRET))
    ring.locked = True
    assert tokens.read() is None
    with pytest.raises(StudioError, match="not forgotten"):
        tokens.forget()


def test_another_hub_is_never_given_it(tokens, monkeypatch, site):
    tokens.keep(Grant(SECRET))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("huggingface_hub.constants.ENDPOINT", "https://mirror.example")
        assert tokens.read() is None
        tokens.keep(Grant("hf_mirrormirror"))
        assert tokens.read() == "hf_mirrormirror"
        tokens.forget()
    assert tokens.read() == SECRET


def test_what_others_have_signed_in_with_is_used_last(tokens, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_fromenvironment")
    assert (tokens.read(), tokens.where()) == ("hf_fromenvironment", "elsewhere")
    tokens.keep(Grant(SECRET))
    assert (tokens.read(), tokens.where()) == (SECRET, "file")
    tokens.forget()
    assert tokens.where() == "elsewhere"


def test_what_others_have_kept_and_cannot_be_read_is_nothing(tokens, monkeypatch, tmp_path, caplog):
    (tmp_path / "token").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    assert (tokens.read(), tokens.where()) == (None, "")
    assert "cannot be had" in caplog.text


def test_a_damaged_file_signs_out_and_can_be_replaced(tokens, tmp_path, caplog):
    (tmp_path / "home" / FILE).write_bytes(b'{"half": {"tok')
    assert tokens.read() is None
    assert FILE in caplog.text
    tokens.keep(Grant(SECRET))
    assert tokens.read() == SECRET


def test_it_is_renewed_before_it_ends(tokens, site):
    site.device(lasts=3600)
    granted = _signed_in(site)
    tokens.keep(granted)
    renewed = tokens.read()
    assert renewed != granted.token
    # Kept, so that the renewal, which is good for once, is not asked for again with the old one.
    assert Tokens(tokens._file.parent).read() != granted.token


def test_one_that_cannot_be_renewed_is_used_as_it_is(tokens, caplog):
    tokens.keep(Grant(SECRET, refresh="nobody knows this", expires=time.time() + 60))
    assert tokens.read() == SECRET
    assert "could not be renewed" in caplog.text and SECRET not in caplog.text


@pytest.mark.parametrize("text", ["", "short", "hf_with space", "hf_line\nbreak", "hf_ünicode", "x" * 2000])
def test_what_cannot_be_a_token_is_refused_without_repeating_it(text):
    with pytest.raises(StudioError) as caught:
        checked(text)
    assert caught.value.code == "usage"
    assert not text or text not in str(caught.value.args)
    assert checked("  hf_abcdefgh\n") == "hf_abcdefgh"


def test_it_shows_in_no_repr(tokens, caplog):
    caplog.set_level(logging.DEBUG)
    tokens.keep(Grant(SECRET, refresh="refreshSecret"))
    tokens.read()
    kept = tokens._read_file()
    for shown in (repr(tokens), repr(Grant(SECRET)), repr(kept), str(kept), caplog.text):
        assert SECRET not in shown and "refreshSecret" not in shown
    with pytest.raises(TypeError):
        pickle.dumps(tokens)
    assert msgspec.json.encode(kept)


def _signed_in(site):
    from engine.hub.login import begin, poll

    code = begin()
    site.accept_device("ada")
    return poll(code)
