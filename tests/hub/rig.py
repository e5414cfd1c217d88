"""An engine that takes the test Hub for the Hub: downloads into it, kills, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
import time
import uuid
from pathlib import Path

import numpy as np
import psutil

from engine import messages as m
from engine.client import Client, find_engine, start_engine, wait_for_end
from engine.formats.adapter_file import read_folder
from engine.formats.errors import StudioError
from engine.supervisor.home import Home

__all__ = ["Rig", "digest", "refetched", "stopped", "write_adapter", "write_base"]

WEIGHTS = "adapter_model.safetensors"
WIDTH = 1024


class Rig:
    """One home and its engine, which is started again whenever it is found dead."""

    def __init__(self, hub, root: Path) -> None:
        self.hub, self.home = hub, Home(root)
        self.events: list = []
        self._client: Client | None = None

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_) -> None:
        self.close()
        if engine := find_engine(self.home):
            with contextlib.suppress(StudioError), Client(engine) as client:
                client.call(m.Shutdown())
            if not wait_for_end(engine.pid, 30):
                psutil.Process(engine.pid).kill()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def ask(self, request, on_progress=lambda body: None):
        """The engine's answer; one that is not there is started, one that dies meanwhile started again."""
        for _ in range(3):
            try:
                if self._client is None:
                    self._client = Client(start_engine(self.home, detach=True), on_event=self.events.append)
                return self._client.call(request, on_progress)
            except StudioError as error:
                if error.code != "crashed":
                    raise
                self.close()
        raise AssertionError("the engine does not come back")

    # Downloads

    def submit(self, repo: str, out: str = "new", **about) -> str:
        """Ask for a download; its id. The name in the library is ``out``."""
        key = uuid.uuid4().hex
        self.ask(m.SubmitJob(id=key, spec=m.Download(repo=repo, out=out, **about)))
        return key

    def job(self, key: str) -> m.Job:
        return self.ask(m.ShowJob(id=key))

    def wait(self, key: str, *states: str, seconds: float = 60) -> m.Job:
        """The job, as soon as it is in one of these states (absent: as soon as nothing happens to it)."""
        states = states or ("done", "failed", "cancelled", "held", "paused")
        until = time.monotonic() + seconds
        while (job := self.job(key)).state not in states:
            assert time.monotonic() < until, job
            assert job.state in ("queued", "running"), job
            time.sleep(0.03)
        return job

    def get(self, repo: str, out: str = "new", seconds: float = 60, **about) -> m.Job:
        return self.wait(self.submit(repo, out, **about), seconds=seconds)

    def sent(self, glob: str = "/large/*") -> int:
        """Bytes of large files that the Hub has sent so far."""
        return sum(each["sent"] for each in self.hub.requests(glob))

    def wait_until_sent(self, key: str, count: int, seconds: float = 60) -> None:
        """Until the Hub has sent so many bytes of large files, while this download runs."""
        until = time.monotonic() + seconds
        while self.sent() < count:
            job = self.job(key)
            assert job.state in ("queued", "running") and time.monotonic() < until, job
            time.sleep(0.01)

    # Its processes

    @property
    def engine(self) -> psutil.Process:
        return psutil.Process(find_engine(self.home).pid)

    def downloader(self) -> psutil.Process:
        """The process that downloads, as soon as there is one."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for process in self.engine.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "engine.hub" in process.cmdline():
                        return process
            time.sleep(0.01)
        raise AssertionError("no process downloads")

    # What must hold

    def card(self, name: str) -> m.AdapterCard | None:
        cards = self.ask(m.ListAdapters()).adapters
        return next((card for card in cards if card.name == name), None)

    def has(self, name: str, source: Path | dict[str, Path]) -> m.AdapterCard:
        """Assert that the library has this adapter whole: it reads, its bytes are those of ``source``, and
        its hashes are still right."""
        card = self.card(name)
        assert card is not None and not card.missing
        read_folder(Path(card.path))
        files = source if isinstance(source, dict) else {WEIGHTS: source}
        for file, path in files.items():
            assert digest(Path(card.path) / file) == digest(path)
        (verified,) = self.ask(m.VerifyAdapters(name=name)).adapters
        assert verified.ok, verified
        return card

    def clear(self) -> None:
        """Away with what was fetched, and with every job."""
        for job in self.ask(m.ListJobs()).jobs:
            if job.state not in ("done", "failed", "cancelled"):
                self.ask(m.CancelJob(id=job.id))
                self.wait(job.id, "cancelled", "done", "failed")
            self.ask(m.RemoveJob(id=job.id))
        for card in self.ask(m.ListAdapters()).adapters:
            if card.source != "starter":
                self.ask(m.RemoveAdapter(name=card.name))

    def has_nothing_new(self) -> None:
        """Assert that the library has what comes with the studio, whole, and nothing half."""
        cards = self.ask(m.ListAdapters()).adapters
        assert {card.source for card in cards} <= {"starter"}, cards
        left = [path for path in self.home.adapters.iterdir() if not path.name.startswith(".")]
        assert left == []


def stopped(job: m.Job, state: str = "failed") -> m.Error:
    """Assert that it has stopped with a sentence and a next step; the error."""
    assert job.state == state and job.error is not None, job
    error = job.error
    assert error.message.endswith((".", "!", "?")) and error.message.count(" ") > 2, error
    assert error.hint and "Traceback" not in error.message + error.hint, error
    return error


def refetched(hub, glob: str = "/large/*") -> int:
    """Bytes of large files that were sent more than once, by the ranges in the Hub's log.

    What the kernels had taken of a connection that was cut counts as sent.
    """
    seen: dict[str, list[tuple[int, int]]] = {}
    for each in hub.requests(glob):
        start = int(each["range"].removeprefix("bytes=").split("-")[0]) if each["status"] == 206 else 0
        seen.setdefault(each["path"], []).append((start, start + each["sent"]))
    twice = 0
    for spans in seen.values():
        reached = 0
        for start, end in sorted(spans):
            twice += max(0, min(reached, end) - start)
            reached = max(reached, end)
    return twice


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_adapter(
    folder: Path, layers: int, rank: int = 128, base: str = "studio/base", seed: int = 0
) -> dict[str, Path]:
    """A sound LoRA on this many layers, of one megabyte each at rank 128: its files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    table, count, size = {}, 0, 4 * rank * WIDTH
    for layer in range(layers):
        for part, shape in (("A", [rank, WIDTH]), ("B", [WIDTH, rank])):
            name = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{part}.weight"
            table[name] = {"dtype": "F32", "shape": shape, "data_offsets": [count, count + size]}
            count += size
    chance = np.random.default_rng(seed)
    with (folder / WEIGHTS).open("wb") as file:
        _write_header(file, table)
        for _ in range(len(table)):
            file.write(chance.standard_normal(rank * WIDTH, dtype=np.float32).tobytes())
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 16,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": base,
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return {name: folder / name for name in (WEIGHTS, "adapter_config.json")}


def write_base(folder: Path, megabytes: int) -> dict[str, Path]:
    """A Llama of about this size that nobody would run: its files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = megabytes * 4096  # of 64 numbers of 4 bytes
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": rows,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0}, "unk_token": "<unk>"},
        "added_tokens": [],
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    table = {
        "model.embed_tokens.weight": {
            "dtype": "F32",
            "shape": [rows, 64],
            "data_offsets": [0, megabytes << 20],
        }
    }
    chance = np.random.default_rng(1)
    with (folder / "model.safetensors").open("wb") as file:
        _write_header(file, table)
        for _ in range(megabytes):
            file.write(chance.standard_normal(2**18, dtype=np.float32).tobytes())
    return {path.name: path for path in folder.iterdir()}


def _write_header(file, table: dict) -> None:
    header = json.dumps(table).encode()
    header += b" " * (-len(header) % 8)
    file.write(struct.pack("<Q", len(header)) + header)
