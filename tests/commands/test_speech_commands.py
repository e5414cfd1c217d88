"""The speech commands as programs see them: models, a Whisper of the Hub, words, refusals, recordings."""

import json
import os
import shutil
import subprocess
import sys
import time

import psutil
import pytest

from engine.client import find_engine, wait_for_end
from engine.commands import speech
from engine.formats.errors import StudioError
from engine.supervisor.home import Home
from engine.supervisor.starter import STARTER
from tests.commands.studio import Studio
from tests.engine.speech import tiny
from tests.engine.speech.conftest import make_encoder
from tests.hub.handle import HubServer

WHISPER = "openai/whisper-tiny.en"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A whole model with random weights."""
    return tiny.write_reader(tmp_path_factory.mktemp("model") / "reader", make_encoder(), STARTER / "base")


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    whisper = tiny.write_whisper(folder / "whisper")
    (whisper / "preprocessor_config.json").write_text('{"feature_size": 80}')
    files = {path.name: path for path in whisper.iterdir()}
    with HubServer.start(folder / "server") as server:
        server.add(WHISPER, files, license="mit")
        config = json.loads((STARTER / "base" / "config.json").read_text())
        server.add("ada/llama", files | {"config.json": json.dumps(config).encode()})
        server.add(
            "ada/half", {"config.json": files["config.json"], "tokenizer.json": files["tokenizer.json"]}
        )
        yield server


@pytest.fixture(scope="module")
def studio(hub, tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("cli") / "home", os.environ | hub.environment())
    studio("engine", "start", "--detach")
    yield studio
    engine = find_engine(Home(studio.home))
    studio("engine", "stop")
    assert wait_for_end(engine.pid, 10)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two words as files."""
    folder = tmp_path_factory.mktemp("clips")
    if not shutil.which("espeak-ng"):
        pytest.skip("needs espeak-ng to make speech")
    for word in ("one", "two"):
        subprocess.run(["espeak-ng", "-w", folder / f"{word}.wav", word], check=True)
    return folder


def refusal(studio, *arguments, code=1):
    error = studio(*arguments, code=code)["error"]
    assert error["message"].endswith((".", "?")) and error["hint"]
    return error["message"]


def taken_in(studio):
    """All models beside the one that comes with the studio."""
    return [card for card in studio("speech", "models")["models"] if card["kind"] != "demo"]


def test_a_whisper_in_one_command(studio, hub):
    done = studio("speech", "import", WHISPER)
    assert done["name"] == "whisper-tiny.en" and done["bytes"] > 1000
    assert done["path"].startswith(str(hub.environment()["HF_HUB_CACHE"]))
    (card,) = taken_in(studio)
    assert (card["name"], card["kind"], card["modes"], card["problem"]) == (
        "whisper-tiny.en", "whisper", ["audio"], ""
    )  # fmt: skip
    assert studio("bases", "list")["bases"][0]["name"] != "whisper-tiny.en"
    assert "already here" in refusal(studio, "speech", "import", WHISPER, code=2)
    assert "is no Whisper" in refusal(studio, "speech", "import", "ada/llama")
    assert "preprocessor_config.json" in refusal(studio, "speech", "import", "ada/half")
    gone = studio("speech", "remove", "whisper-tiny.en")
    assert taken_in(studio) == []
    assert studio("speech", "restore", gone["path"])["name"] == "whisper-tiny.en"


def test_words_of_clips(studio, reader, clips):
    assert studio("speech", "import", str(reader))["name"] == "reader"
    one = str(clips / "one.wav")
    found = studio("speech", "transcribe", one, "--model", "reader", "--reference", "one two")
    assert set(found) >= {"text", "words", "mode", "wer", "speech", "face_found"}
    assert found["mode"] == "audio" and found["asked"] == "both" and not found["face_found"]
    assert found["speech"] is True and found["wer"] >= 0 and found["model"] == "reader"
    assert found["text"] == " ".join(word["text"] for word in found["words"])
    for word in found["words"]:
        assert word.keys() == {"text", "start", "end", "confidence"} and 0 <= word["start"] <= word["end"]
    plain = studio.run("speech", "transcribe", one, "--model", "reader", "--format", "vtt")
    assert plain.returncode == 0 and plain.stdout.startswith("WEBVTT") and "ear alone" in plain.stderr
    many = studio.run("speech", "transcribe", one, str(clips / "two.wav"), "--model", "reader", "--json")
    lines = [json.loads(line) for line in many.stdout.splitlines()]
    assert [line.get("clip") for line in lines] == [one, str(clips / "two.wav"), None]
    assert lines[0]["words"] == found["words"] and lines[2] == {"done": True, "clips": 2, "failed": 0}


def test_a_clip_that_cannot_be_read_leaves_the_others_theirs(studio, reader, clips, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(bytes(range(256)) * 20)
    names = [str(tmp_path / "broken.mp4"), str(clips / "one.wav"), "nowhere.wav"]
    done = studio.run("speech", "transcribe", *names, "--model", "reader", "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and [line.get("clip") for line in lines] == [*names, None]
    assert "cannot be read" in lines[0]["error"]["message"] and lines[0]["error"]["hint"]
    assert lines[1]["speech"] and "There is no file" in lines[2]["error"]["message"]
    assert lines[3] == {"done": True, "clips": 3, "failed": 2}
    told = done.stderr.splitlines()
    assert told[0].startswith(f"{names[0]}: broken.mp4 cannot be read")
    assert told[-1] == "2 of 3 clips could not be transcribed."
    plain = studio.run("speech", "transcribe", *names[:2], "--model", "reader")
    assert plain.returncode == 1 and plain.stdout.startswith(names[1])
    assert "1 of 2 clips could not be transcribed." in plain.stderr
    once = studio.run("speech", "transcribe", *names, "--model", "x")  # what all would share is said once
    assert once.returncode == 1 and once.stderr.count("no speech model called x") == 1


def test_refusals(studio, reader, clips, tmp_path):
    one = str(clips / "one.wav")
    assert "no speech model called x" in refusal(studio, "speech", "transcribe", one, "--model", "x")
    assert "There is no file" in refusal(studio, "speech", "transcribe", "none.wav", "--model", "reader")
    assert "One reference" in refusal(studio, "speech", "transcribe", one, one, "--reference", "a", code=2)
    assert "rate 7" in refusal(
        studio, "speech", "transcribe", one, "--model", "reader", "--audio-rate", "7", code=2
    )
    refusal(studio, "speech", "transcribe", one, "--mode", "smell", code=2)
    assert "There is no" in refusal(studio, "speech", "import", "models/large.pt")
    (tmp_path / "list.jsonl").write_text('{"clip": "a.wav", "text": ""}')
    train = ("speech", "train", "--data", str(tmp_path / "list.jsonl"), "--out", "new", "--model", "reader")
    assert 'line 1: it has no "text"' in refusal(studio, *train)
    assert "no audio rates" in refusal(studio, *train, "--audio-rates", "4,x", code=2)
    assert "needs a language model" in refusal(studio, *train[:-2], code=2)


def test_terms_come_first(studio, tmp_path):
    import torch

    from tests.engine.speech.test_convert import SMALL

    path = tmp_path / "hubert.pt"
    torch.save({"model": make_encoder(SMALL).state_dict()}, path)
    refused = studio.run("speech", "import", str(path), "--json")
    assert refused.returncode == 3 and "non-commercial" in refused.stderr
    assert "terms" in json.loads(refused.stdout)["error"]["message"]
    card = studio("speech", "import", str(path), "--name", "hubert", "--accept-licence")
    assert (card["name"], card["kind"], card["modes"]) == ("hubert", "av-hubert", [])


RECORDING = """
import json, sys
assert sys.argv[1:3] == ["--seconds", "2.0"], sys.argv
print("the level is", 3, file=sys.stderr)
print(json.dumps(%s))
sys.exit(%d)
"""


def record(monkeypatch, said, code, *words):
    """What the command makes of a recording process that says so."""
    monkeypatch.setattr(speech, "CAPTURE", (sys.executable, "-c", RECORDING % (said, code)))
    return speech._captured(["--seconds", "2.0", *words])


def test_a_recording_says_what_the_recorder_says(monkeypatch):
    told = {"path": "/a.mkv", "seconds": 2.0, "frames": 50, "gaps": 0, "peak_dbfs": -3.0, "offset_ms": 1.5}
    assert record(monkeypatch, told, 0) == told
    problem = {"error": {"code": "missing", "message": "There is no microphone.", "hint": "Plug one in."}}
    with pytest.raises(StudioError, match="no microphone") as missing:
        record(monkeypatch, problem, 1)
    assert (missing.value.code, missing.value.hint) == ("missing", "Plug one in.")


def test_a_recording_is_not_begun_where_it_could_not_be_kept(studio, tmp_path):
    (tmp_path / "there.mkv").write_bytes(b"x")
    for name, said in (("there", "there.mkv exists already"), ("no/x.mkv", f"There is no folder {tmp_path}")):
        told = refusal(studio, "speech", "record", "--seconds", "1", "--out", str(tmp_path / name), code=2)
        assert said in told
    assert (tmp_path / "there.mkv").read_bytes() == b"x"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that is closed to us")
def test_a_folder_that_may_not_be_written_to(studio, tmp_path):
    tmp_path.chmod(0o500)
    told = refusal(studio, "speech", "record", "--seconds", "1", "--out", str(tmp_path / "x.mkv"))
    tmp_path.chmod(0o700)
    assert told == f"The folder {tmp_path} may not be written to."


def test_a_recorder_that_dies_is_a_sentence(monkeypatch):
    monkeypatch.setattr(speech, "CAPTURE", (sys.executable, "-c", "import os; os._exit(7)"))
    with pytest.raises(StudioError, match=r"broke off .exit code 7"):
        speech._captured([])


def test_ctrl_c_ends_a_recording_and_keeps_it(tmp_path):
    """The recorder is told once, and what it has is told."""
    code = (
        "import json, signal, sys, time\n"
        "def end(*_):\n    print(json.dumps({'path': 'a', 'seconds': 1.0}))\n    sys.exit(0)\n"
        "signal.signal(signal.SIGINT, end)\n"
        "open(sys.argv[1], 'w').close()\n"
        "time.sleep(60)\n"
    )
    mark = tmp_path / "open"
    outer = (
        "import sys\nfrom engine.commands import speech\n"
        f"speech.CAPTURE = (sys.executable, '-c', {code!r})\n"
        f"print(speech._captured([{str(mark)!r}]))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 100
    while not mark.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    for _ in range(2):  # it alone, as `timeout` does twice: the recorder is told by it
        psutil.Process(child.pid).send_signal(2)
    assert "'seconds': 1.0" in child.communicate(timeout=100)[0] and child.returncode == 0
