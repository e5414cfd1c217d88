"""Forty kills at random moments of one training, of runtime and engine: the result is the same to the bit."""

import random
import time
from pathlib import Path

import psutil
import pytest

from engine import messages as m
from engine.client import Client, find_engine, start_engine, wait_for_end
from engine.formats.errors import StudioError
from engine.supervisor.home import Home

STEPS = 1500
KILLS = 20
WEIGHTS = "adapter_model.safetensors"


class Training:
    """One training of a small adapter on the starter base, in a home of its own."""

    def __init__(self, folder):
        self.home = Home(folder / "home")
        self.told = []
        self.client = None

    def spec(self):
        return m.TrainLora(
            base="starter-llama",
            data="reverse.train",
            out="result",
            rank=2,
            targets=["q_proj"],
            steps=STEPS,
            batch_size=4,
            max_length=48,
            seed=3,
            checkpoint_seconds=0.0,
        )

    def ask(self, request):
        """The engine's answer; one that was killed is started again."""
        for _ in range(5):
            try:
                if self.client is None:
                    self.client = Client(start_engine(self.home, detach=True), on_event=self._hear)
                return self.client.call(request)
            except StudioError as error:
                assert error.code == "crashed", error
                self.close()
        raise AssertionError("the engine does not come back")

    def _hear(self, body):
        if isinstance(body, m.Notice):
            self.told.append(body.message)

    def close(self):
        if self.client is not None:
            self.client.close()
            self.client = None

    def job(self):
        return self.ask(m.ShowJob(id="job"))

    def wait(self, enough, seconds=120):
        until = time.monotonic() + seconds
        while not enough(job := self.job()):
            assert time.monotonic() < until, job
            assert job.state not in ("failed", "cancelled"), job.error
            assert job.state != "held", "held although it got further"
            self.client.listen(0.02)
        return job

    def kill_engine(self):
        pid = find_engine(self.home).pid
        runtimes = [card.pid for card in self.ask(m.Status()).runtimes]
        psutil.Process(pid).kill()
        self.close()
        assert wait_for_end(pid, 10) and all(wait_for_end(runtime, 10) for runtime in runtimes)

    def kill_runtime(self):
        while not (runtimes := self.ask(m.Status()).runtimes):
            assert self.job().state != "held", "held although it got further"
            self.client.listen(0.02)
        for card in runtimes:
            psutil.Process(card.pid).kill()
            assert wait_for_end(card.pid, 10)

    def finish(self):
        """The weights that the job made, and its whole curve."""
        self.wait(lambda job: job.state == "done")
        (card,) = [card for card in self.ask(m.ListAdapters()).adapters if card.name == "result"]
        curve = self.ask(m.ReadMetrics(id="job"))
        return Path(card.path, WEIGHTS).read_bytes(), curve.steps, curve.series["loss"]

    def stop(self):
        if running := find_engine(self.home):
            self.ask(m.Shutdown())
            self.close()
            assert wait_for_end(running.pid, 30)


@pytest.fixture
def training(tmp_path):
    trainings = []

    def begin(name):
        training = Training(tmp_path / name)
        trainings.append(training)
        training.ask(m.SubmitJob(id="job", spec=training.spec()))
        return training

    yield begin
    for training in trainings:
        training.stop()


@pytest.mark.timeout(900)
def test_forty_kills_end_in_the_undisturbed_result(training):
    calm = training("calm")
    expected = calm.finish()
    calm.stop()

    chance = random.Random(11)
    shaken = training("shaken")
    victims = [shaken.kill_engine, shaken.kill_runtime] * KILLS
    chance.shuffle(victims)
    for number, kill in enumerate(victims):
        # Sometimes while it loads, mostly while it trains.
        if chance.random() < 0.8:
            shaken.wait(lambda job: job.state == "done" or job.message == "Training.")
        assert shaken.job().state != "done", f"done after {number} kills: train for longer"
        time.sleep(chance.uniform(0.0, 0.4))
        kill()
    weights, steps, losses = shaken.finish()

    assert shaken.job().attempt >= KILLS
    assert steps == list(range(1, STEPS + 1))
    assert losses == expected[2]
    assert weights == expected[0]
    assert any("stopped unexpectedly (killed by signal 9)" in sentence for sentence in shaken.told)
    assert any("was interrupted" in sentence for sentence in shaken.told)
