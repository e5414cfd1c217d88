"""Kills at random moments of a training, of runtime and engine: what comes out is the same to the bit.

Two trainings are killed side by side, each four times: a LoRA and the first mix as the demo trains it. On
demand (``-m study``) each of them forty times.
"""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from engine import messages as m
from engine.client import Client, find_engine, start_engine, wait_for_end
from engine.formats.errors import StudioError
from engine.supervisor.home import Home

LORA = m.TrainLora(
    base="starter-llama",
    data="reverse.train",
    out="result",
    rank=2,
    targets=["q_proj"],
    steps=800,
    batch_size=4,
    max_length=48,
    seed=3,
    checkpoint_seconds=0.0,
)
MIX = m.TrainRouter(
    base="starter-llama",
    experts=["reverse", "sort", "upper", "double", "consonants", "plural"],
    data="mixed",
    out="result",
)


class Training:
    """One training on the starter pack, in a home of its own."""

    def __init__(self, folder, spec):
        self.home = Home(folder / "home")
        self.spec = spec
        self.told = []
        self.client = None

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
        assert wait_for_end(pid, 30) and all(wait_for_end(runtime, 30) for runtime in runtimes)

    def kill_runtime(self):
        while not (runtimes := self.ask(m.Status()).runtimes):
            assert self.job().state != "held", "held although it got further"
            self.client.listen(0.02)
        for card in runtimes:
            psutil.Process(card.pid).kill()
            assert wait_for_end(card.pid, 30)

    def finish(self):
        """The weights that the job made, and its whole curve."""
        self.wait(lambda job: job.state == "done")
        if isinstance(self.spec, m.TrainLora):
            cards, file = self.ask(m.ListAdapters()).adapters, "adapter_model.safetensors"
        else:
            cards, file = self.ask(m.ListMixes()).mixes, "router.safetensors"
        (card,) = [card for card in cards if card.name == "result"]
        curve = self.ask(m.ReadMetrics(id="job"))
        return Path(card.path, file).read_bytes(), curve.steps, curve.series["loss"]

    def stop(self):
        if running := find_engine(self.home):
            self.ask(m.Shutdown())
            self.close()
            assert wait_for_end(running.pid, 30)


def undisturbed(folder, spec):
    training = Training(folder, spec)
    try:
        training.ask(m.SubmitJob(id="job", spec=spec))
        return training.finish()
    finally:
        training.stop()


def shaken(folder, spec, kills, chance):
    """What comes of a training whose engine and runtime are killed ``kills`` times each, and what it told."""
    training = Training(folder, spec)
    try:
        training.ask(m.SubmitJob(id="job", spec=spec))
        victims = [training.kill_engine, training.kill_runtime] * kills
        chance.shuffle(victims)
        for number, kill in enumerate(victims):
            # Sometimes while it loads, mostly while it trains.
            if chance.random() < 0.8:
                training.wait(lambda job: job.state == "done" or job.message == "Training.")
            assert training.job().state != "done", f"done after {number} kills: train for longer"
            time.sleep(chance.uniform(0.0, 0.4))
            kill()
        result = training.finish()
        assert training.job().attempt >= kills
        return result, training.told
    finally:
        training.stop()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.study)])
def test_killed_trainings_end_in_the_undisturbed_result(tmp_path, kills):
    with ThreadPoolExecutor(2) as pool:
        mix = pool.submit(shaken, tmp_path / "mix", MIX, kills, random.Random(11))
        lora = pool.submit(shaken, tmp_path / "lora", LORA, kills, random.Random(12))
        calm_mix = pool.submit(undisturbed, tmp_path / "calm-mix", MIX)
        calm_lora = pool.submit(undisturbed, tmp_path / "calm-lora", LORA)
    for disturbed, calm in ((mix, calm_mix), (lora, calm_lora)):
        (weights, steps, losses), told = disturbed.result()
        expected = calm.result()
        assert steps == list(range(1, len(steps) + 1)) == expected[1]
        assert losses == expected[2]
        assert weights == expected[0]
        assert any("stopped unexpectedly (killed by signal 9)" in sentence for sentence in told)
        assert any("was interrupted" in sentence for sentence in told)
