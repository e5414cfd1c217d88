"""What the log keeps to itself."""

import logging

from engine.messages import ShowHub
from engine.supervisor.quiet import QuietFormatter
from tests.hub.rig import Rig, write_adapter

SIGNED = "https://cdn.example/large/ab?X-Amz-Signature=CANARY&Expires=9"


def told(message, *arguments, error=None):
    exc_info = (type(error), error, None) if error else None
    record = logging.LogRecord("x", logging.WARNING, "f.py", 1, message, arguments, exc_info)
    return QuietFormatter("%(message)s").format(record)


def test_addresses_lose_their_queries_wherever_they_stand():
    assert told("GET %s %d", SIGNED, 200) == "GET https://cdn.example/large/ab?... 200"
    assert told("Redirect '%s' to <%s>.", SIGNED, SIGNED).count("CANARY") == 0
    assert "CANARY" not in told("it failed", error=OSError(f"no answer from {SIGNED}"))
    assert told("What? https://a.example/b is there") == "What? https://a.example/b is there"


def test_a_signed_address_reaches_no_log_of_an_engine(hub, monkeypatch, tmp_path):
    """A verdict and a download, both of which are sent on to the signed address of the weights."""
    hub.enter(monkeypatch)
    hub.add("ada/tune", write_adapter(tmp_path / "adapter", 2))
    with Rig(hub, tmp_path / "home") as rig:
        rig.ask(ShowHub(repo="ada/tune"))
        assert rig.get("ada/tune").state == "done"
        assert len({each["path"] for each in hub.requests("/large/*")}) == 1
    logs = [path.read_text() for path in (tmp_path / "home" / "logs").iterdir()]
    assert logs and not any("Signature" in log or "HTTP Request" in log for log in logs)
