"""What a download fetches: chosen by name, sized, and pinned to a commit before the first byte comes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import huggingface_hub as hf
import msgspec
from huggingface_hub import constants

from engine.formats.adapter_file import CONFIG, GATE, STUDIO, WEIGHTS
from engine.formats.errors import StudioError
from engine.formats.sizes import as_size
from engine.hub.listing import adapter_weights
from engine.hub.session import api_with
from engine.hub.text import clean

__all__ = ["Plan", "PlannedFile", "Room", "check_space", "make_plan", "selection"]

Room = Literal["adapters", "bases", "speech"]

_ADAPTER = frozenset({CONFIG, STUDIO, GATE, "README.md"})
_BASE = frozenset(
    {
        *("config.json", "generation_config.json", "README.md"),
        *("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json"),
        *("added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model"),
        *("chat_template.jinja", "chat_template.json", "preprocessor_config.json", "processor_config.json"),
    }
)
_WHISPER = frozenset({*_BASE, "normalizer.json"})
_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SHARD = re.compile(r"model-\d{5}-of-\d{5}\.safetensors")
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,150}[A-Za-z0-9_-])?")
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib")
_PROGRAMS = (".py", ".pyc", ".so", ".dll", ".exe", ".sh", ".js", ".ipynb")

TEXT_LIMIT = 64 << 20
"""Bytes that a file may have that is not weights."""

RESERVE = 16 << 20
"""Bytes that a download leaves free on the disk."""


class PlannedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to fetch. ``etag`` is what the Hub calls its content: the SHA-256 of a large file, git's blob id
    of others."""

    name: str
    size: int
    etag: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one download fetches, the small files first."""

    repo: str
    room: Room
    commit: str
    files: list[PlannedFile]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def address(self, file: PlannedFile) -> str:
        """Where the configured Hub has ``file``."""
        return str(hf.hf_hub_url(self.repo, file.name, revision=self.commit, endpoint=constants.ENDPOINT))


def make_plan(repo: str, revision: str, room: Room, token: str) -> Plan:
    """Ask the Hub what ``revision`` means now, and choose of its files what is needed.

    StudioError("missing" or "refused") when there is nothing that could be used; the errors of the client.
    """
    info = api_with(token).model_info(repo, revision=revision, files_metadata=True)
    known = {entry.rfilename: entry for entry in info.siblings or []}
    notes = selection(room, known)
    wanted = [name for name, note in notes.items() if not note]
    _check_weights(repo, room, wanted, known)
    files = [_planned(repo, known[name]) for name in wanted]
    if not isinstance(info.sha, str) or not re.fullmatch(r"[0-9a-f]{40}", info.sha):
        raise _unclear(repo, f"which commit {clean(revision)} is")
    return Plan(
        repo=repo, room=room, commit=info.sha, files=sorted(files, key=lambda file: (file.size, file.name))
    )


def selection(room: Room, names: Iterable[str]) -> dict[str, str]:
    """{name: "" if a download into ``room`` fetches it, else why not}. Only files at the top are fetched."""
    names = list(names)
    chosen = _adapter_files(names) if room == "adapters" else _model_files(names, room)
    return {name: _note(name, names) if name in chosen else _why_not(name) for name in names}


def check_space(folder: Path, needed: int) -> None:
    """StudioError("disk") unless ``needed`` more bytes have room on the disk that ``folder`` lies on."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed + RESERVE > free:
        raise StudioError(
            "disk",
            f"{as_size(needed + RESERVE - free)} of disk space are missing: {as_size(needed)} are still "
            f"needed, and {as_size(free)} are free.",
            "Free some space, then resume; what has been fetched is kept.",
        )


def _model_files(names: list[str], room: Room) -> set[str]:
    weights = {_WHOLE} if _WHOLE in names else {_INDEX, *(name for name in names if _SHARD.fullmatch(name))}
    return weights.union(_WHISPER if room == "speech" else _BASE) & set(names)


def _adapter_files(names: list[str]) -> set[str]:
    """PEFT's own files, else the one file that may be converted into them."""
    return {adapter_weights(names)}.union(_ADAPTER) & set(names)


def _note(name: str, names: list[str]) -> str:
    """Why a file that is wanted is not taken under its name: it would not be the same file everywhere."""
    stem = name.partition(".")[0].strip().casefold()
    if not _PLAIN.fullmatch(name) or ".." in name or _RESERVED.fullmatch(stem):
        return "its name is refused"
    if sum(other.casefold() == name.casefold() for other in names) > 1:
        return "another file differs from it in capitals only"
    return ""


def _why_not(name: str) -> str:
    ending = name.casefold()
    if ending.endswith(_PICKLES):
        return "a pickle: never loaded"
    if ending.endswith(_PROGRAMS):
        return "a program: never fetched"
    return "not needed"


def _check_weights(repo: str, room: Room, wanted: list[str], known: Iterable[str]) -> None:
    """StudioError unless there is something among what is ``wanted`` that can be used."""
    if room == "adapters":
        if set(wanted) - _ADAPTER:
            return
        raise StudioError(
            "missing",
            f"{repo} holds no LoRA adapter: it has no {WEIGHTS}.",
            "If it is a base model, add it to the bases.",
        )
    needed, what = ["config.json", "tokenizer.json"], "base that can be played"
    if room == "speech":
        needed, what = [*needed, "preprocessor_config.json"], "Whisper"
    for name in needed:
        if name not in wanted:
            raise StudioError("missing", f"{repo} is no {what}: it has no {name}.", "Choose another one.")
    if not any(name == _WHOLE or _SHARD.fullmatch(name) for name in wanted):
        pickled = any(name.endswith(_PICKLES) for name in known)
        raise StudioError(
            "refused" if pickled else "missing",
            f"{repo} has its weights only as pickles, which can run programs when they are loaded."
            if pickled
            else f"{repo} has no weights in the safetensors format of transformers.",
            "Choose a repository that has them as safetensors.",
        )


def _planned(repo: str, entry: hf.hf_api.RepoSibling) -> PlannedFile:
    name, size, large = entry.rfilename, entry.size, entry.lfs
    etag = large.sha256 if large is not None else entry.blob_id
    if not isinstance(size, int) or size < 0 or (large is not None and large.size != size):
        raise _unclear(repo, f"how large {name} is")
    if not isinstance(etag, str) or not re.fullmatch(r"[0-9a-f]{64}" if large else r"[0-9a-f]{40}", etag):
        raise _unclear(repo, f"what {name} holds")
    if not name.endswith((".safetensors", ".bin")) and size > TEXT_LIMIT:
        raise StudioError(
            "refused", f"{name} of {repo} has {as_size(size)}, far more than such a file needs.", ""
        )
    if size > constants.MAX_HTTP_DOWNLOAD_SIZE:
        raise StudioError(
            "refused",
            f"{name} of {repo} has {as_size(size)}; in one piece the Hub hands out "
            f"{as_size(constants.MAX_HTTP_DOWNLOAD_SIZE)} at most.",
            f"Fetch it with `hf download {repo}`, then add the folder.",
        )
    return PlannedFile(name=name, size=size, etag=etag)


def _unclear(repo: str, what: str) -> StudioError:
    return StudioError(
        "failed", f"The Hub does not say {what} in {repo}.", "Check HF_ENDPOINT: it may not be a whole Hub."
    )
