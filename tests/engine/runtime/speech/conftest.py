"""Clips on the disk, a list of them, parts for a model, and jobs that are stepped by hand."""

import json
import shutil

import numpy
import pytest

from engine.messages import JobEnded, JobStep, StartJob, TrainSpeech
from engine.runtime.speech.jobs import SpeechJob
from tests.engine.speech import drawn, tiny
from tests.engine.speech.conftest import make_encoder

SECONDS, RATE = 0.48, 16_000


@pytest.fixture(scope="session")
def speech_model(tmp_path_factory, tiny_base_folder):
    """A whole model with random weights; its encoder lies in encoder/, its language model in llm/."""
    folder = tmp_path_factory.mktemp("models") / "reader"
    return tiny.write_reader(folder, make_encoder(), tiny_base_folder)


@pytest.fixture(scope="session")
def clip_list(tmp_path_factory):
    """Six clips of half a second, two with a face, and the list of them."""
    folder = tmp_path_factory.mktemp("clips")
    chance = numpy.random.default_rng(0)
    lines = []
    for number in range(6):
        frames = round(SECONDS * 25) if number < 2 else 0
        shown = [drawn.head(320, 240, 110, 8 + 4 * (k % 3))[0] for k in range(frames)]
        sound = chance.uniform(-0.3, 0.3, round(SECONDS * RATE)).astype(numpy.float32)
        times = [k / 25 for k in range(frames)]
        drawn.record(folder / f"{number}.mkv", times, shown, sound, rate=RATE, channels=1)
        lines.append({"clip": f"{number}.mkv", "text": "abcdef"[number] * 2})
    (folder / "list.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    return folder / "list.jsonl"


@pytest.fixture
def spec(clip_list):
    def make(**about):
        fields = {
            "data": str(clip_list), "out": "new", "ear": "ear", "eye": "eye", "llm": "llm",
            "audio_rates": (2, 5), "video_rates": (2,), "hidden": 16, "rank": 2, "alpha": 2.0, "steps": 4,
            "batch_size": 2, "heldout": 0.3, "score_every": 2, "seed": 3, "checkpoint_seconds": 0.0,
        }  # fmt: skip
        return TrainSpeech(**fields | about)

    return make


class Start:
    """One start of a job."""

    def __init__(self, spec, paths, folder, epoch=1, checkpoint=None):
        folder.mkdir(exist_ok=True)
        self.reports = []
        order = StartJob(
            id="job", epoch=epoch, spec=spec, paths=paths, folder=str(folder), checkpoint=checkpoint
        )
        self.run = SpeechJob("cpu", order, self.reports.append)
        self.work = self.run.steps()

    def of(self, kind):
        return [report for report in self.reports if isinstance(report, kind)]

    def until(self, condition):
        while not condition():
            assert next(self.work, "over") != "over", self.reports[-1]

    def end(self):
        for _ in self.work:
            pass
        (ended,) = self.of(JobEnded)
        return ended

    def finish(self):
        ended = self.end()
        assert ended.error is None, ended.error
        return ended

    def curve(self):
        """{step: all that was told of it}."""
        told = {}
        for report in self.of(JobStep):
            for step, values in zip(report.steps_done, report.metrics, strict=False):
                told.setdefault(step, {}).update(values)
        return told


@pytest.fixture
def start(speech_model, clip_list, tmp_path):
    def begin(spec, folder="job", **options):
        encoder = str(speech_model / "encoder")
        paths = {"ear": encoder, "eye": encoder, "llm": str(speech_model / "llm")}
        paths = {f"speech:{spec.model}": str(speech_model)} if spec.model else paths
        used = {key: path for key, path in paths.items() if key[0] == "s" or getattr(spec, key)}
        lists = {"data": spec.data, "clips": str(clip_list.parent)}
        return Start(spec, used | lists, tmp_path / folder, **options)

    return begin


@pytest.fixture
def other_list(clip_list, tmp_path):
    """A list of one's own beside copies of the clips."""
    folder = shutil.copytree(clip_list.parent, tmp_path / "own")
    return folder / "list.jsonl"
