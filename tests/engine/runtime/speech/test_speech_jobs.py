"""Training a speech model as a job: clips once, errors counted on the way, the same bits after any stop."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.messages import JobCheckpoint, JobStep
from engine.runtime.speech.lesson import takes_sentences
from engine.speech.card import read_card, write_card

WER = {"wer audio", "wer video", "wer both"}


def weights(ended):
    folder = Path(ended.output) / "speech"
    adapter = load_file(folder / "adapter" / "adapter_model.safetensors")
    return load_file(folder / "speech.safetensors") | adapter


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def whole():
    return {}


@pytest.fixture
def calm(start, spec, whole):
    """An undisturbed run, made once."""
    if not whole:
        job = start(spec(), "calm")
        ended = job.finish()
        whole |= {"ended": ended, "weights": weights(ended), "curve": job.curve(), "reports": job.reports}
    return whole


def test_a_model_is_trained_scored_and_written_down(calm):
    ended, curve = calm["ended"], calm["curve"]
    assert (ended.outcome, ended.step) == ("done", 4)
    assert sorted(curve) == [0, 1, 2, 3, 4]
    for step, told in curve.items():
        assert ("loss" in told) == (step > 0) and bool(WER & told.keys()) == (step % 2 == 0)
    assert set(curve[0]) <= WER and all(rate >= 0 for name, rate in curve[4].items() if name in WER)
    card = read_card(ended.output)
    assert (card.kind, card.name, card.modes) == ("llama-avsr", "new", ("audio", "video", "both"))
    assert card.config.audio_rates == (2, 5) and "Trained here on 4 clips" in card.note
    assert {key: ended.result[key] for key in ("name", "steps", "clips", "heldout")} == {
        "name": "new", "steps": 4, "clips": 4, "heldout": 2
    }  # fmt: skip
    assert ended.result["wer audio"] == curve[4]["wer audio"]
    messages = [report.message for report in calm["reports"] if isinstance(report, JobStep)]
    assert "Reading clips: 0 of 6." in messages and "Counting word errors." in messages


@pytest.mark.parametrize("step", [1, 3])
def test_a_resumed_run_is_the_undisturbed_one(start, spec, calm, step):
    first = start(spec(), "cut")
    first.until(lambda: first.run.reports.step == step)
    first.run.mailbox.post("pause")
    assert first.finish().outcome == "paused"
    again = start(spec(), "cut", epoch=2, checkpoint=first.of(JobCheckpoint)[-1].folder)
    ended = again.finish()
    assert same(weights(ended), calm["weights"])
    rates = {"loss", *WER}
    told = first.curve() | again.curve()
    expected = calm["curve"]
    assert [[told[s].get(name) for name in rates] for s in told] == [
        [expected[s].get(name) for name in rates] for s in expected
    ]
    assert not any("Reading clips" in report.message for report in again.of(JobStep))


def test_a_pause_while_errors_are_counted_counts_them_again(start, spec, calm):
    first = start(spec(), "cut")
    first.until(lambda: first.run.reports.step == 2)
    next(first.work)
    next(first.work)
    first.run.mailbox.post("pause")
    assert first.finish().outcome == "paused" and not WER & first.curve()[2].keys()
    again = start(spec(), "cut", epoch=2, checkpoint=first.of(JobCheckpoint)[-1].folder)
    assert same(weights(again.finish()), calm["weights"])
    assert again.curve()[2]["wer audio"] == calm["curve"][2]["wer audio"]


@pytest.mark.parametrize("word, outcome", [("pause", "paused"), ("cancel", "cancelled")])
def test_a_word_while_clips_are_read_and_what_was_read_stays(start, spec, word, outcome):
    job = start(spec())
    job.until(lambda: (job.run.folder / "clips" / "000001.json").exists())
    job.run.mailbox.post(word)
    assert job.finish().outcome == outcome
    assert (job.run.folder / "clips" / "000001.mouth.npy").exists()


def test_what_is_kept_is_scored_and_written(start, spec):
    job = start(spec(steps=400, score_every=400))
    job.until(lambda: job.run.reports.step == 2)
    job.run.mailbox.post("keep")
    ended = job.finish()
    assert ended.outcome == "kept" and ended.step < 10
    assert ended.result["wer audio"] == job.curve()[ended.step]["wer audio"]
    assert read_card(ended.output).modes == ("audio", "video", "both")


def test_a_model_of_the_library_goes_on(start, spec, speech_model):
    job = start(spec(model="old", ear="", eye="", llm="", steps=2, heldout=0.0))
    ended = job.finish()
    card = read_card(ended.output)
    assert card.part("llm") == speech_model / "llm" and card.config.video_rates == (2, 5)
    assert not WER & {name for told in job.curve().values() for name in told}
    before = load_file(speech_model / "speech" / "speech.safetensors")
    after = load_file(Path(ended.output) / "speech" / "speech.safetensors")
    assert before.keys() == after.keys() and not same(before, after)


def test_who_goes_on_from_the_demo_takes_single_sentences(spec, speech_model, tmp_path):
    folder = shutil.copytree(speech_model, tmp_path / "demo")
    write_card(folder, "demo", read_card(speech_model).parts)
    assert takes_sentences(spec(model="demo"), {"speech:demo": str(folder)})
    assert not takes_sentences(spec(model="old"), {"speech:old": str(speech_model)})
    assert not takes_sentences(spec(), {})


def test_ears_alone_read_no_pictures(start, spec):
    job = start(spec(eye="", steps=1, heldout=0.2))
    assert job.finish().outcome == "done"
    assert not list((job.run.folder / "clips").glob("*.mouth.npy"))
    assert {name for told in job.curve().values() for name in told} & WER == {"wer audio"}


@pytest.mark.parametrize(
    "clip, said",
    [
        ("nothing.mkv", "Line 3, nothing.mkv"),
        ("text.mkv", "cannot be read as sound or video"),
        ("mute.mkv", "There is no sound in it. No face was found"),
        ("long.wav", "has 61 s; a clip to learn from has 60 at most"),
    ],
)
def test_a_clip_that_cannot_be_used_is_named_and_nothing_trained(start, spec, other_list, clip, said):
    folder = other_list.parent
    (folder / "text.mkv").write_text("hello")
    if clip == "mute.mkv":
        from tests.engine.speech import drawn

        grey = drawn.head(320, 240, 110)[0] * 0 + 90
        drawn.record(folder / clip, [0.0, 0.04, 0.08], [grey] * 3)
    if clip == "long.wav":
        import wave

        with wave.open(str(folder / clip), "wb") as file:
            file.setnchannels(1), file.setsampwidth(1), file.setframerate(8000)
            file.writeframes(bytes(61 * 8000))
    lines = other_list.read_text().splitlines()
    lines[2] = json.dumps({"clip": str(folder / clip), "text": "a"})
    other_list.write_text("\n".join(lines))
    job = start(spec(data=str(other_list)))
    ended = job.end()
    assert ended.outcome == "failed" and ended.error.code == "data"
    assert said in ended.error.message and "Line 3" in ended.error.message and not job.curve()


def test_clips_that_were_read_are_not_needed_any_more(start, spec, other_list, tmp_path):
    job = start(spec(data=str(other_list), steps=1, heldout=0.0))
    job.until(lambda: job.run.reports.step == 1)
    paths = job.run.order.paths | {"clips": str(tmp_path / "gone")}
    for path in other_list.parent.glob("*.mkv"):
        path.unlink()
    again = type(job)(job.run.order.spec, paths, job.run.folder, epoch=2)
    assert again.finish().outcome == "done"


def test_a_checkpoint_of_another_model_is_not_taken(start, spec, speech_model, tmp_path):
    first = start(spec(), "cut")
    first.until(lambda: first.run.reports.step == 2)
    first.run.mailbox.post("pause")
    first.finish()
    other = shutil.copytree(speech_model, tmp_path / "other")
    (other / "llm" / "more.txt").write_text("another one")
    paths = first.run.order.paths | {"llm": str(other / "llm")}
    found = first.of(JobCheckpoint)[-1].folder
    again = type(first)(first.run.order.spec, paths, first.run.folder, epoch=2, checkpoint=found)
    assert again.finish().outcome == "done"
    assert "made with another recipe" in " ".join(report.message for report in again.of(JobStep))
