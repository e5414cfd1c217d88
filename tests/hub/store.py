"""What the test Hub holds: repositories, their commits and the files in them, kept as git does."""

import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import yaml

__all__ = ["Blob", "Commit", "Repo", "Store", "facts"]

# What .gitattributes of a new repository sends to the large file storage, besides everything above 10 MB.
LARGE = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".model", ".zip", ".npz"}
LARGE_SIZE = 10 * 2**20
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"
# Times are made up, an hour apart, so that two runs list alike.
FIRST_DAY = datetime(2026, 9, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Blob:
    """Content on the disk. ``oid`` is git's (of a large file: its pointer's), ``sha256`` of large ones."""

    path: Path
    size: int
    oid: str
    sha256: str | None = None
    pointer_size: int = 0

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid

    @classmethod
    def of(cls, path: Path, large: bool) -> "Blob":
        size = path.stat().st_size
        if not large:
            return cls(path, size, hashlib.sha1(b"blob %d\0" % size + path.read_bytes()).hexdigest())
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        pointer = POINTER.format(sha256, size).encode()
        oid = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
        return cls(path, size, oid, sha256, len(pointer))


@dataclass
class Commit:
    """One state of a repository: its files by name. ``facts`` is what the Hub works out of them."""

    id: str
    title: str
    date: float
    files: dict[str, Blob]
    facts: dict


@dataclass
class Repo:
    name: str
    private: bool = False
    gated: str | bool = False
    downloads: int = 0
    likes: int = 0
    trending: int = 0
    task: str = ""
    tags: list[str] = field(default_factory=list)
    base: str = ""
    license: str = ""
    security: dict[str, str] = field(default_factory=dict)
    guests: set[str] = field(default_factory=set)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    # What the Hub says wrongly of a file: {name: {"size" | "sha256" | "commit": value}}.
    lies: dict[str, dict] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.name.split("/")[0]

    @property
    def newest(self) -> Commit:
        return self.commits[self.branches["main"]]

    def at(self, revision: str) -> Commit | None:
        """The commit that a branch, a tag or (the beginning of) a commit's id means."""
        known = self.branches.get(revision) or self.marks.get(revision)
        if known is None and len(revision) >= 7:
            known = next((each for each in self.commits if each.startswith(revision)), None)
        return self.commits.get(known or "")

    def all_tags(self) -> list[str]:
        said = self.newest.facts
        base = self.base or said["base"]
        made = [said["library"]] if said["library"] else []
        made += ["safetensors"] if any(name.endswith(".safetensors") for name in self.newest.files) else []
        made += [f"base_model:{base}", f"base_model:adapter:{base}"] if base else []
        licence = self.license or said["card"].get("license", "")
        made += [f"license:{licence}"] if licence else []
        given = [*self.tags, *(said["card"].get("tags") or []), *([self.task] if self.task else [])]
        return list(dict.fromkeys([*made, *given, "region:us"]))


class Store:
    """All repositories, and the folder in which content lies that did not come as a path."""

    def __init__(self, folder: Path) -> None:
        self.blobs = folder / "blobs"
        self.blobs.mkdir(parents=True, exist_ok=True)
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, Blob] = {}
        self._commits = 0

    def keep(self, name: str, content: bytes) -> Blob:
        path = self.blobs / hashlib.sha256(content).hexdigest()
        path.write_bytes(content)
        return self.take(name, path)

    def take(self, name: str, path: Path) -> Blob:
        """The blob of a file that lies there and stays there."""
        blob = Blob.of(path, PurePosixPath(name).suffix in LARGE or path.stat().st_size > LARGE_SIZE)
        if blob.sha256:
            self.large[blob.sha256] = blob
        return blob

    def commit(self, repo: Repo, files: dict[str, Blob], title: str, branch="main", date=None) -> Commit:
        self._commits += 1
        key = json.dumps([repo.name, self._commits, {name: blob.oid for name, blob in files.items()}])
        date = FIRST_DAY + self._commits * 3600 if date is None else date
        commit = Commit(hashlib.sha1(key.encode()).hexdigest(), title, date, dict(files), facts(files))
        repo.commits[commit.id] = commit
        repo.branches[branch] = commit.id
        return commit

    def crowd(self, count: int, base: str, owner: str) -> None:
        """``count`` repositories to be listed: they share their two files, and only their figures differ."""
        config = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": base}
        first = Repo("")
        files = {"adapter_config.json": self.keep("adapter_config.json", json.dumps(config).encode())}
        files["adapter_model.safetensors"] = self.keep("a.safetensors", struct.pack("<Q", 2) + b"{}")
        made = self.commit(first, files, "Upload")
        for number in range(count):
            repo = Repo(f"{owner}-{number % 97}/adapter-{number:05d}", base=base, task="text-generation")
            repo.downloads, repo.likes = number * 7919 % 100_003, number * 613 % 1009
            repo.trending = number * 31 % 127
            repo.license = ("mit", "apache-2.0", "llama3", "")[number % 4]
            key = hashlib.sha1(repo.name.encode()).hexdigest()
            repo.commits = {key: Commit(key, "Upload", FIRST_DAY - number * 60, files, made.facts)}
            repo.branches = {"main": key}
            self.repos[repo.name] = repo


def facts(files: dict[str, Blob]) -> dict:
    """What the Hub works out of a commit: the card's front matter, library, config, base and parameters."""
    adapter, config = _json(files.get("adapter_config.json")), _json(files.get("config.json"))
    said: dict = {"card": _front_matter(files.get("README.md")), "config": {}, "library": "", "base": ""}
    if adapter:
        said["library"], said["base"] = "peft", str(adapter.get("base_model_name_or_path") or "")
        said["config"] = {
            "peft": {key: adapter[key] for key in ("base_model_name_or_path", "task_type") if key in adapter}
        }
    elif config:
        said["library"] = "transformers"
        said["config"] = {key: config[key] for key in ("architectures", "model_type") if key in config}
    said["library"] = said["card"].get("library_name") or said["library"]
    of_card = said["card"].get("base_model") or ""
    said["base"] = (of_card[0] if isinstance(of_card, list) else of_card) or said["base"]
    said["safetensors"] = _parameters([blob for name, blob in files.items() if name.endswith(".safetensors")])
    return said


def _json(blob: Blob | None) -> dict:
    try:
        found = json.loads(blob.path.read_bytes()) if blob and blob.size < 2**20 else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _front_matter(blob: Blob | None) -> dict:
    if blob is None or blob.size > 2**20:
        return {}
    parts = blob.path.read_bytes().decode("utf-8", "replace").split("---\n", 2)
    try:
        found = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else {}
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def _parameters(blobs: list[Blob]) -> dict | None:
    """Numbers by format over all safetensors files; None where a header cannot be read."""
    counts: dict[str, int] = {}
    for blob in blobs:
        try:
            with blob.path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                table = json.loads(file.read(min(length, 2**24)))
            for name, entry in table.items():
                if name != "__metadata__":
                    numbers = 1
                    for extent in entry["shape"]:
                        numbers *= extent
                    counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + numbers
        except (ValueError, KeyError, TypeError, AttributeError, struct.error):
            return None
    return {"parameters": counts, "total": sum(counts.values())} if counts else None
