"""An engine with its speech process: it transcribes, trains, and neither is lost to a kill."""

import contextlib
import json
import shutil
import signal
import subprocess
import time
import wave

import numpy
import psutil
import pytest

from engine import messages as m
from engine.formats.errors import StudioError

pytestmark = pytest.mark.skipif(not shutil.which("espeak-ng"), reason="needs espeak-ng to make speech")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Short clips with their list, and a long one."""
    folder = tmp_path_factory.mktemp("said")
    words = ["one", "two", "three", "four"]
    for word in words:
        subprocess.run(["espeak-ng", "-w", folder / f"{word}.wav", word], check=True)
    lines = [json.dumps({"clip": f"{word}.wav", "text": word}) for word in words]
    (folder / "list.jsonl").write_text("\n".join(lines))
    text = " ".join(f"{word}, {word} and {word}." for word in words * 12)
    subprocess.run(["espeak-ng", "-w", folder / "long.wav", text], check=True)
    return folder


@pytest.fixture
def speaking(rig_on, made, tmp_path):
    """A rig with a whole model, "reader", imported by its folder."""
    rig = rig_on(tmp_path)
    card = rig.ask(m.ImportSpeech(path=str(made.reader), out="reader"))
    assert (card.name, card.problem) == ("reader", "")
    return rig


def process(rig):
    """The speech process of the rig's engine."""
    for child in psutil.Process(rig.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if "engine.runtime.speech" in child.cmdline():
                return child
    return None


def taken_in(rig):
    """The names of all models that can be used beside the one that comes with the studio."""
    return [card.name for card in rig.ask(m.ListSpeech()).models if card.kind != "demo" and not card.problem]


def transcribe(rig, clip, on_progress=lambda body: None, **about):
    return rig.ask(m.Transcribe(model="reader", clip=str(clip), **about), on_progress)


def test_the_speech_process(speaking, clips, made, home):
    """One engine for all of it: its process takes seconds to start."""
    rig = speaking
    assert taken_in(rig) == ["reader"] and rig.ask(m.ListSpeech()).clips == str(rig.home.clips)
    assert process(rig) is None  # a list needs none
    assert rig.ask(m.WarmUpSpeech(model="reader")) == m.Done() and process(rig) is not None
    with pytest.raises(StudioError, match="no speech model called other"):
        rig.ask(m.WarmUpSpeech(model="other"))

    # What is said, twice the same, and how far it is on the way.
    heard = []
    found = transcribe(rig, clips / "one.wav", heard.append, reference="one")
    assert found.model == "reader" and found.speech and found.read_as == "audio" and not found.face_found
    assert found.wer is not None and found.mode == "both" and any("ear" in note for note in found.notes)
    assert any(isinstance(body, m.Heard) for body in heard)
    assert transcribe(rig, clips / "one.wav").words == found.words
    assert rig.ask(m.Status()).runtimes == []  # it holds no base

    # Refusals.
    for about, said in [
        ({"audio_rate": 3}, "was not trained at rate 3"),
        ({"mode": "video"}, "no video in one.wav"),
    ]:
        with pytest.raises(StudioError, match=said):
            transcribe(rig, clips / "one.wav", **about)
    with pytest.raises(StudioError, match="There is no file"):
        transcribe(rig, clips / "none.wav")
    with pytest.raises(StudioError, match="cannot be read as sound or video"):
        transcribe(rig, clips / "list.jsonl")
    with pytest.raises(StudioError, match="no speech model called other"):
        rig.ask(m.Transcribe(model="other", clip=str(clips / "one.wav")))

    # What is in it, and how it sounds.
    said = []
    card = rig.ask(m.LookAtClip(clip=str(clips / "one.wav")), said.append)
    assert card.sound and not card.pictures and max(card.peaks) > 0.05 and card.speech
    assert any(isinstance(body, m.Said) and "Listening" in body.text for body in said)
    sound = rig.ask(m.AddNoise(clip=str(clips / "one.wav"), snr=None))
    with wave.open(sound.path) as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 1)
        assert file.getnframes() / 16000 == pytest.approx(sound.seconds)
        assert numpy.frombuffer(file.readframes(10**6), "<i2").any()

    # A cancel is heard between two parts.
    def stop(body):
        if isinstance(body, m.Heard):
            raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(StudioError) as cancelled:
        transcribe(rig, clips / "long.wav", stop, beams=4)
    assert cancelled.value.code == "cancelled" and time.monotonic() - began < 30

    # A kill in the midst of it is a sentence; a training that went on beside it goes on from its checkpoint.
    spec = m.TrainSpeech(
        data=str(clips / "list.jsonl"), out="trained", ear=str(made.whisper), llm="reader", hidden=16, rank=2,
        audio_rates=(4,), steps=60, batch_size=2, heldout=0.25, score_every=30, checkpoint_seconds=0.1,
    )  # fmt: skip
    rig.ask(m.SubmitJob(id="train", spec=spec))
    rig.wait_for_step("train", 3)
    assert transcribe(rig, clips / "one.wav").words == found.words
    before = process(rig).pid

    def die(body):
        child = process(rig)
        if isinstance(body, m.Heard) and child and child.pid == before:
            child.send_signal(signal.SIGKILL)

    with pytest.raises(StudioError, match="speech runtime stopped unexpectedly") as crashed:
        transcribe(rig, clips / "long.wav", die, beams=4)
    assert crashed.value.code == "crashed"
    job = rig.wait_for("train", "done", "failed", "held", seconds=150)
    assert (job.state, job.step) == ("done", 60), job.error
    assert "stopped unexpectedly" in str(rig.ask(m.ReadLog(id="train")))
    curve = rig.ask(m.ReadMetrics(id="train"))
    assert curve.steps == [*range(61)] and None not in curve.series["loss"][1:]
    assert [s for s, v in zip(curve.steps, curve.series["wer audio"], strict=True) if v is not None] == [
        0,
        30,
        60,
    ]
    assert job.result["wer audio"] == curve.series["wer audio"][60]
    names = taken_in(rig)
    assert names == ["reader", "trained"]
    assert m.LibraryChanged(what="speech") in rig.events
    assert (
        rig.ask(m.Transcribe(model="trained", clip=str(clips / "one.wav"), mode="audio")).model == "trained"
    )


def test_what_cannot_be_trained_is_refused_at_the_door(speaking, clips, tmp_path):
    def refusal(**about):
        fields = {"data": str(clips / "list.jsonl"), "out": "new", "ear": "reader", "llm": "reader"} | about
        with pytest.raises(StudioError) as refused:
            speaking.ask(m.SubmitJob(id="job", spec=m.TrainSpeech(**fields)))
        return str(refused.value)

    assert "needs a language model" in refusal(llm="")
    assert "needs to hear or to see" in refusal(ear="")
    assert "neither a speech model, nor a base, nor a folder" in refusal(ear="nothing")
    assert "already is a speech model called reader" in refusal(out="reader")
    assert "Rates of sound cannot be 4, 4" in refusal(audio_rates=(4, 4))
    assert "no rate at which sound" in refusal(audio_rates=())
    for content, said in [
        ('{"clip": "one.wav", "text": "one"}\n{', "list.jsonl, line 2: it is not JSON"),
        ('{"clip": "one.wav"}', 'line 1: it has no "text"'),
        ('\n\n{"clip": "gone.wav", "text": "one"}', "line 3: there is no file gone.wav"),
        ('{"clip": "one.wav", "text": "?!"}', "there are no words"),
        ("", "names no clips"),
    ]:
        (tmp_path / "list.jsonl").write_text(content)
        shutil.copy(clips / "one.wav", tmp_path)
        assert said in refusal(data=str(tmp_path / "list.jsonl"))
    assert speaking.ask(m.ListJobs()).jobs == [] and not list(speaking.home.jobs.iterdir())


def test_a_name_that_a_training_will_have_is_taken(speaking, clips, made):
    spec = m.TrainSpeech(data=str(clips / "list.jsonl"), out="soon", model="reader", steps=10)
    speaking.ask(m.SubmitJob(id="job", spec=spec))
    with pytest.raises(StudioError, match="A job that makes soon is already"):
        speaking.ask(m.ImportSpeech(path=str(made.encoder), out="soon"))
    assert speaking.ask(m.CancelJob(id="job")).state == "cancelled"


def test_models_go_and_come_back(speaking, made):
    done = speaking.ask(m.RemoveSpeech(name="reader"))
    assert taken_in(speaking) == []
    assert speaking.ask(m.RestoreSpeech(path=done.path)).name == "reader"
    use = speaking.ask(m.MeasureDisk())
    assert ("speech", "reader") in [(item.place, item.name) for item in use.items]
    speaking.ask(m.RemoveSpeech(name="reader"))
    speaking.ask(m.EmptyTrash(items=["speech/reader"]))
    with pytest.raises(StudioError, match="no removed speech model"):
        speaking.ask(m.RestoreSpeech(path=done.path))
