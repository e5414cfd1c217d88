"""What every client promises, held by the scripted one and by the one that talks to a real engine."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

import resources
from app.client import Client
from app.engine_client import EngineClient
from app.launch import EngineProcess
from engine import messages
from tests.app.fake_client import FakeClient

EXPERT = Path(next(iter(resources.__path__))) / "starter" / "adapters" / "reverse"


class FakeRig:
    """A scripted engine behind the contract."""

    def __init__(self) -> None:
        missing = messages.Error(code="missing", message="There is no such job.", hint="List them.")
        self.client = FakeClient({messages.ShowJob: missing})

    def start(self) -> None:
        self.client.welcome()

    def hang(self) -> None:
        self.client.silent = {messages.Status, messages.ListJobs}

    def kill(self) -> None:
        self.client.silent = set()
        self.client.die()
        self.client.welcome()

    def change_library(self) -> None:
        self.client.tell(messages.LibraryChanged(what="adapters"))

    def close(self) -> None:
        pass


class EngineRig:
    """A real engine on a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = EngineProcess(home)
        self.client = EngineClient(self.process)

    def start(self) -> None:
        self.client.open()

    def hang(self) -> None:
        os.kill(self.client.engine.pid, signal.SIGSTOP)

    def kill(self) -> None:
        os.kill(self.client.engine.pid, signal.SIGKILL)

    def change_library(self) -> None:
        folder = self.home.parent / "incoming"
        shutil.copytree(EXPERT, folder)
        config = folder / "adapter_config.json"
        weights = folder / "adapter_model.safetensors"
        config.chmod(0o600)
        # The same weights twice would be refused: change one bit of the last number.
        data = bytearray(weights.read_bytes())
        data[-4] ^= 1
        weights.chmod(0o600)
        weights.write_bytes(data)
        self.client.ask(messages.ImportAdapter(path=str(folder), name="newcomer"))

    def close(self) -> None:
        self.client.close()
        child = self.process._child
        if child is not None:
            child.terminate()
            child.wait(timeout=60)


@pytest.fixture(params=["fake", "engine"])
def rig(request: pytest.FixtureRequest, qtbot: QtBot, tmp_path: Path) -> Iterator[FakeRig | EngineRig]:
    made = FakeRig() if request.param == "fake" else EngineRig(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def client(rig: FakeRig | EngineRig, qtbot: QtBot) -> Client:
    """Connected."""
    with qtbot.waitSignal(rig.client.welcomed):
        rig.start()
    return rig.client


def ready(client: Client) -> Callable[[], bool]:
    return lambda: client.engine.phase == "ready"


def test_an_answer_comes_once_and_never_from_inside_ask(client: Client, qtbot: QtBot) -> None:
    answers: list[object] = []
    client.ask(messages.ListJobs(), answers.append, answers.append)
    assert answers == []
    qtbot.waitUntil(lambda: bool(answers))
    qtbot.wait(50)
    assert answers == [messages.Jobs(jobs=[])]


def test_what_is_asked_before_the_engine_is_there_waits_for_it(
    rig: FakeRig | EngineRig, qtbot: QtBot
) -> None:
    answers: list[object] = []
    rig.client.ask(messages.ListJobs(), answers.append)
    assert rig.client.engine.phase == "starting"
    rig.start()
    qtbot.waitUntil(lambda: answers == [messages.Jobs(jobs=[])])


def test_a_failure_is_a_sentence_and_a_next_step(client: Client, qtbot: QtBot) -> None:
    good: list[object] = []
    bad: list[messages.Error] = []
    client.ask(messages.ShowJob(id="nowhere"), good.append, bad.append)
    qtbot.waitUntil(lambda: bool(bad))
    assert good == []
    assert bad[0].code == "missing"
    assert bad[0].message.endswith(".")
    assert bad[0].hint


def test_a_failure_nobody_listens_to_is_still_told(client: Client, qtbot: QtBot) -> None:
    with qtbot.waitSignal(client.failed) as told:
        client.ask(messages.ShowJob(id="nowhere"))
    assert told.args[0].code == "missing"


def test_a_change_is_told_as_an_event(rig: FakeRig | EngineRig, client: Client, qtbot: QtBot) -> None:
    with qtbot.waitSignal(
        client.happened,
        check_params_cb=lambda body: body == messages.LibraryChanged(what="adapters"),
    ):
        rig.change_library()


def test_the_death_of_the_engine_fails_what_was_sent_and_a_new_one_is_found(
    rig: FakeRig | EngineRig, client: Client, qtbot: QtBot
) -> None:
    errors: list[messages.Error] = []
    phases: list[str] = []
    client.engine_changed.connect(lambda: phases.append(client.engine.phase))
    rig.hang()
    client.ask(messages.Status(), None, errors.append)
    rig.kill()
    qtbot.waitUntil(lambda: "lost" in phases)
    qtbot.waitUntil(ready(client))
    assert [error.code for error in errors] == ["crashed"]
    assert errors[0].message == "The engine stopped before it could answer."
    answers: list[object] = []
    client.ask(messages.ListJobs(), answers.append)
    qtbot.waitUntil(lambda: answers == [messages.Jobs(jobs=[])])


def test_a_cancelled_request_is_answered_once(client: Client, rig: FakeRig | EngineRig, qtbot: QtBot) -> None:
    ends: list[object] = []
    rig.hang()
    call = client.ask(messages.ListJobs(), ends.append, ends.append)
    client.cancel(call)
    if isinstance(rig, EngineRig):
        os.kill(client.engine.pid, signal.SIGCONT)
    qtbot.waitUntil(lambda: bool(ends))
    client.cancel(call)
    qtbot.wait(50)
    assert len(ends) == 1


# --- what only a script can bring about ---


def test_an_event_that_is_replayed_is_told_once(qtbot: QtBot) -> None:
    client = FakeClient()
    client.welcome()
    heard: list[object] = []
    client.happened.connect(heard.append)
    body = messages.JobRemoved(id="7")
    client.tell(body)
    client.deliver(messages.Event(number=1, body=body))
    assert heard == [body]


def test_progress_comes_before_the_result(qtbot: QtBot) -> None:
    said = [messages.Said(text="loading"), messages.Said(text="reading"), messages.Done()]
    client = FakeClient({messages.WarmUp: said})
    client.welcome()
    heard: list[object] = []
    client.ask(messages.WarmUp(base="b"), heard.append, None, heard.append)
    qtbot.waitUntil(lambda: len(heard) == 3)
    assert heard == said


def test_what_waits_survives_a_death_and_reaches_the_next_engine(qtbot: QtBot) -> None:
    client = FakeClient()
    client.welcome()
    client.die()
    answers: list[object] = []
    client.ask(messages.ListJobs(), answers.append, answers.append)
    client.die()
    client.welcome()
    qtbot.waitUntil(lambda: answers == [messages.Jobs(jobs=[])])


def test_when_no_engine_can_be_started_requests_fail_with_the_reason(qtbot: QtBot) -> None:
    client = FakeClient()
    errors: list[messages.Error] = []
    client.ask(messages.ListJobs(), None, errors.append)
    client.give_up("The disk is full.")
    client.ask(messages.ListJobs(), None, errors.append)
    qtbot.waitUntil(lambda: len(errors) == 2)
    assert {(error.message, error.hint) for error in errors} == {("The disk is full.", "Free some space.")}


def test_another_protocol_is_refused_with_a_sentence(qtbot: QtBot) -> None:
    client = FakeClient()
    client.welcome(protocol=messages.PROTOCOL + 1)
    assert client.engine.phase == "stopped"
    assert client.engine.sentence == "The engine is of another version than this window."


# --- what only a real engine can bring about ---


def test_an_engine_that_cannot_start_says_why(qtbot: QtBot, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "adapters").write_text("a file where a folder has to be")
    client = EngineClient(EngineProcess(home))
    client.open()
    qtbot.waitUntil(lambda: client.engine.phase == "stopped")
    client.close()
    assert client.engine.sentence.endswith(".")
    assert client.engine.sentence != "The engine does not start."
    assert client.engine.detail


def test_an_engine_that_hangs_is_said_to_be_silent(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.engine_client.PATIENCE_S", 1.5)
    rig = EngineRig(tmp_path / "home")
    with qtbot.waitSignal(rig.client.welcomed):
        rig.start()
    rig.hang()
    qtbot.waitUntil(lambda: rig.client.engine.phase == "silent")
    os.kill(rig.client.engine.pid, signal.SIGCONT)
    qtbot.waitUntil(ready(rig.client))
    rig.close()
