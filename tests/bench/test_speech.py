"""Speech in time: following a mouth under 12 ms a picture, transcribing in half a clip's own time, the first
caption within two seconds; and Llama-AVSR of real parts, a training step and a transcript.

A starter model that is not there yet is made from its recipe with random weights, which take as long. The
second part runs in a process of its own, whose greatest memory is told.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy
import pytest
import torch

import resources
from engine.runtime.base import load_base
from engine.speech.open import open_speech
from engine.speech.video import read_window
from tests.engine.speech.drawn import head, record
from tests.engine.speech.spoken import at_rate, heard, talk

pytestmark = pytest.mark.bench
STARTER = Path(next(iter(resources.__path__))) / "starter" / "speech" / "model"
SIZES = {
    "cpu": {"whisper": (384, 4, 6), "llm": (512, 8, 8, 32_000), "dtype": "float32"},
    "cuda": {"whisper": (1024, 24, 16), "llm": (2048, 16, 32, 128_256), "dtype": "bfloat16"},
}
"""Width, layers, heads (and vocabulary): Whisper tiny beside a small Llama; medium beside one of 1 B."""


def talking(path, sound):
    """A head as a webcam shows it, 640 x 480 at 25 pictures a second, and its voice."""
    times = [i / 25 for i in range(len(sound) // 640)]
    heads = [head(320, 220, 120, opening)[0] for opening in range(2, 9)]
    shown = [heads[round(3 + 3 * numpy.sin(25 * t))] for t in times]
    record(path, times, shown, at_rate(sound, 48000))
    return path


@pytest.fixture(scope="module")
def listener(tmp_path_factory):
    folder = STARTER
    if not folder.is_dir():
        from tests.bench.untrained import write_untrained

        folder = write_untrained(tmp_path_factory.mktemp("speech") / "model")
    made = open_speech(folder, load_base, "cpu")
    yield made
    made.close()


def test_a_mouth_is_followed_in_time(tmp_path):
    path = talking(tmp_path / "x.mkv", talk(8.0))
    read_window(path, 0.0, 1.0)
    began, wall = time.process_time(), time.monotonic()
    found = read_window(path, 0.0, None)
    cpu, wall = time.process_time() - began, time.monotonic() - wall
    each = cpu / len(found.mouth) * 1e3
    print(f"\nmouth: {each:.1f} CPU-ms a picture, {wall / len(found.mouth) * 1e3:.1f} ms of wall time")
    assert each < 12


def test_the_starter_model_keeps_up(tmp_path, listener):
    long = talking(tmp_path / "long.mkv", talk(*[-0.5, 2.0] * 4, -0.5))
    short = talking(tmp_path / "short.mkv", talk(-0.4, 2.2, -0.4))
    heard(listener, short)
    for mode in ("audio", "video", "both"):
        began = time.process_time()
        said, _ = heard(listener, long, mode)
        factor = (time.process_time() - began) / said.seconds
        wall = said.took / said.seconds
        print(
            f"\n{mode}: {factor:.2f} CPU-s a second, {wall:.2f} of wall time (mouth {said.looking:.1f} s)",
            end="",
        )
        assert factor < 0.5  # of one core, where there are two: others' load does not count
    began = time.process_time()
    said, _ = heard(listener, short)
    cpu = time.process_time() - began
    print(f"\na clip of {said.seconds:.0f} s: its text after {cpu:.2f} CPU-s, {said.took:.2f} s of wall time")
    assert cpu < 2


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_real_parts_learn_and_transcribe(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.test_speech", device], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    print(f"\n{device}: " + ", ".join(f"{name} {value}" for name, value in told.items()))
    assert told["loss"] > 0 and told["transcript tokens"] > 0


def measure(device: str) -> dict[str, float | int | str]:
    """One training step and one transcript of a clip of four seconds; memory and time for a second of it."""
    from transformers import LlamaConfig, LlamaForCausalLM, WhisperConfig
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    from engine.speech.avhubert.config import LARGE
    from engine.speech.avhubert.encoder import AvHubert
    from engine.speech.clip import Clip
    from engine.speech.config import SpeechConfig
    from engine.speech.decoding import transcribe
    from engine.speech.encoders import AvHubertEye, WhisperEar
    from engine.speech.model import LoraSize, SpeechModel
    from engine.speech.training import SpeechTask
    from engine.starter.speech.reader import new_tokenizer
    from engine.training import Settings, StepDone, train

    torch.set_num_threads(1 if device == "cpu" else 8)
    sizes = SIZES[device]
    dtype = getattr(torch, str(sizes["dtype"]))
    seconds = 4.0
    width, layers, heads = sizes["whisper"]
    with torch.device(device):
        whisper = WhisperEncoder(
            WhisperConfig(
                d_model=width, encoder_layers=layers, encoder_attention_heads=heads, encoder_ffn_dim=4 * width
            )
        ).to(dtype)
        eye = AvHubert(LARGE).to(dtype).eval().requires_grad_(False)
        width, layers, heads, vocabulary = sizes["llm"]
        llm = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=width,
                intermediate_size=4 * width,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                num_key_value_heads=8,
                vocab_size=vocabulary,
            )
        ).to(dtype)
    model = SpeechModel(
        llm,
        new_tokenizer(),
        SpeechConfig(),
        ear=WhisperEar(whisper),
        eye=AvHubertEye(eye),
        lora=LoraSize(),
        trainable=True,
    )
    mouth = torch.randint(255, (int(seconds * 25), 96, 96), dtype=torch.uint8)
    clip = Clip(torch.from_numpy(talk(seconds)), mouth, "bin blue at f two now")
    task = SpeechTask(model, [clip], batch_size=1)
    task.at_step = lambda step: None
    task.mode, task.ratio = "both", model.config.finest
    began = time.monotonic()
    events = [e for e in train(task, Settings(steps=2, learning_rate=1e-3)) if isinstance(e, StepDone)]
    step = (time.monotonic() - began) / 2
    began = time.monotonic()
    said = transcribe(model, [clip], "both", gated=False, timed=True)[0]
    took = time.monotonic() - began
    parts = {"ear": whisper, "eye": eye, "llm": llm}
    told = {
        f"{name} M": round(sum(p.numel() for p in part.parameters()) / 1e6) for name, part in parts.items()
    }
    if device == "cuda":
        told["GPU GiB"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return told | {
        "peak GiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        "step s per s of clip": round(step / seconds, 2),
        "transcript s per s of clip": round(took / seconds, 2),
        "transcript tokens": len(said.text.split()) or said.read,
        "loss": round(events[-1].metrics["loss"], 2),
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
