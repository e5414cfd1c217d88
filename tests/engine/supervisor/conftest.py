"""Engines as real processes on a home of their own, with fake runtimes behind the real wire."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine import messages as m
from engine.client import Client
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.engine.supervisor.mix_on_disk import write_mix

SERVE = Path(__file__).with_name("serve.py")


class Rig:
    """A home with an engine that can be started, killed and asked."""

    def __init__(self, folder, home):
        self.home = Home(home)
        self.process = None
        self.client = None
        self.events = []
        self.data = folder / "rows.jsonl"
        self.data.write_text('{"prompt": "a", "completion": "b"}\n' * 4)
        # What the fake runtime calls its result lies in the base's folder.
        self.base = folder / "tiny"
        shutil.copytree(STARTER / "base", self.base)
        shutil.copytree(STARTER / "adapters" / "reverse", self.base / "result")

    def start(self, *linger):
        self.process = subprocess.Popen(
            [sys.executable, str(SERVE), str(self.home.root), *linger], stdout=subprocess.PIPE
        )
        assert self.process.stdout.readline() == b"ready\n"
        self.process.stdout.close()
        self.client = Client(self.home.read_announcement(), on_event=self.events.append)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.client.close()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.client.close()
            assert self.process.wait(60) == 0

    def ask(self, request, on_progress=lambda body: None):
        return self.client.call(request, on_progress)

    def submit(self, out, steps=10, key=None, **fields):
        spec = m.TrainLora(base="tiny", data=str(self.data), out=out, steps=steps, **fields)
        return self.ask(m.SubmitJob(id=key or out, spec=spec))

    def wait_for(self, key, *states, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            job = self.ask(m.ShowJob(id=key))
            if job.state in states:
                return job
            self.client.listen(0.03)
        raise AssertionError(f"{key} is {job.state}: {job.message}")

    def wait_for_step(self, key, step):
        until = time.monotonic() + 60
        while self.ask(m.ShowJob(id=key)).step < step:
            assert time.monotonic() < until
            self.client.listen(0.02)

    def wait_until(self, condition):
        until = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < until
            time.sleep(0.05)

    def said(self):
        """All sentences that the engine has told so far."""
        self.client.listen(0.2)
        return [
            f"{event.message} {event.hint}".strip() for event in self.events if isinstance(event, m.Notice)
        ]


@pytest.fixture
def rig_on(tmp_path):
    """Makes a rig whose home lies on the given folder."""
    rigs = []

    def make(place):
        rig = Rig(tmp_path, place / "home")
        rigs.append(rig)
        rig.start()
        rig.ask(m.AddBase(path=str(rig.base)))
        return rig

    yield make
    for rig in rigs:
        rig.stop()


@pytest.fixture
def mixed(tmp_path):
    """A rig whose library has the mix "both" of reverse and sort, on a base that the rig calls tiny."""
    rig = Rig(tmp_path, tmp_path / "home")
    write_mix(rig.home.mixes / "both", "both", ["reverse", "sort"])
    rig.start()
    rig.ask(m.AddBase(path=str(rig.base)))
    yield rig
    rig.stop()


@pytest.fixture
def rig(rig_on, tmp_path):
    return rig_on(tmp_path)


@pytest.fixture
def adapter(tmp_path):
    """A sound PEFT folder that is not in the library: reverse, with another alpha."""
    folder = tmp_path / "mine"
    shutil.copytree(STARTER / "adapters" / "reverse", folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    config["lora_alpha"] = 5
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
