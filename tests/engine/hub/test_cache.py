"""The Hugging Face cache as we write it is the one its own client reads, and what lies there is found."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import huggingface_hub as hf
import pytest
from huggingface_hub.utils import WeakFileLock

from engine.hub.cache import Cache, cached_repos

COMMIT, OTHER = "a" * 40, "b" * 40
CONTENT = b"weights"
ETAG = hashlib.sha256(CONTENT).hexdigest()
STARTER = Path(__file__).parents[3] / "resources" / "starter" / "base"


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "hub")


def put(cache, repo, files, commit=COMMIT, revision="main"):
    names = {}
    for name, content in files.items():
        names[name] = etag = hashlib.sha256(content).hexdigest()
        with cache.held(repo, etag, lambda: None):
            partial = cache.partial(repo, etag)
            partial.write_bytes(content)
            cache.keep(repo, etag, partial)
    folder = cache.point(repo, commit, names)
    cache.refer(repo, revision, commit)
    return folder


def test_the_real_client_finds_what_we_put_there(cache):
    folder = put(cache, "ada/one", {"config.json": b"{}", "model.safetensors": CONTENT})
    found = hf.try_to_load_from_cache("ada/one", "model.safetensors", cache_dir=cache.root)
    assert found == str(folder / "model.safetensors") and Path(found).read_bytes() == CONTENT
    assert not Path(found).readlink().is_absolute()
    assert hf.snapshot_download("ada/one", cache_dir=cache.root, local_files_only=True) == str(folder)
    cache.partial("ada/one", "0" * 64).write_bytes(b"half")
    seen = hf.scan_cache_dir(cache.root)
    assert not seen.warnings and [repo.repo_id for repo in seen.repos] == ["ada/one"]
    assert (folder / "config.json").stat().st_mode & 0o777 == 0o644


def test_transformers_loads_a_base_from_there_without_a_network(cache):
    put(cache, "ada/base", {path.name: path.read_bytes() for path in STARTER.iterdir() if path.is_file()})
    code = "import transformers as t; t.AutoTokenizer.from_pretrained('ada/base'); "
    code += "print(t.AutoConfig.from_pretrained('ada/base').model_type)"
    environment = os.environ | {"HF_HUB_CACHE": str(cache.root), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.strip() == "llama", done.stderr


def test_a_later_commit_shares_what_is_the_same(cache):
    put(cache, "ada/one", {"config.json": b"1", "model.safetensors": CONTENT})
    put(cache, "ada/one", {"config.json": b"2", "model.safetensors": CONTENT}, OTHER)
    assert len(list(cache.blob("ada/one", ETAG).parent.iterdir())) == 3
    assert (cache.snapshot("ada/one", COMMIT) / "config.json").read_bytes() == b"1"
    assert cached_repos(cache.root)[0].commit == OTHER


def test_the_lock_is_the_clients_own(cache):
    place = cache.root / ".locks" / "models--ada--one" / f"{ETAG}.lock"
    place.parent.mkdir(parents=True)
    waited, free = [], threading.Event()

    def hold():
        with WeakFileLock(place):
            held.set()
            free.wait(5)

    held = threading.Event()
    other = threading.Thread(target=hold)
    other.start()
    held.wait(5)

    def waiting():
        waited.append(True)
        free.set()

    with cache.held("ada/one", ETAG, waiting), pytest.raises(filelock.Timeout):
        filelock.FileLock(place).acquire(timeout=0)
    assert waited
    other.join()


def test_what_is_given_up_is_deleted_unless_somebody_is_at_it(cache):
    cache.drop("ada/one", ETAG)
    with cache.held("ada/one", ETAG, lambda: None):
        cache.partial("ada/one", ETAG).write_bytes(b"half")
        cache.drop("ada/one", ETAG)
        assert cache.partial("ada/one", ETAG).exists()
    assert [(repo, count) for repo, count, _ in cache.unfinished()] == [("ada/one", 4)]
    cache.drop("ada/one", ETAG)
    assert not (cache.root / "models--ada--one").exists() and list(cache.unfinished()) == []


def test_what_a_snapshot_has_is_not_given_up(cache):
    put(cache, "ada/one", {"config.json": b"{}"})
    (blob,) = cache.root.glob("models--ada--one/blobs/*")
    cache.drop("ada/one", blob.name)
    assert blob.exists()
    shutil.rmtree(cache.root / "models--ada--one" / "snapshots")
    cache.drop("ada/one", blob.name)
    assert not blob.exists()


def test_adapters_and_bases_are_found(cache):
    index = json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}).encode()
    put(cache, "ada/lora", {"adapter_config.json": b"{}", "adapter_model.safetensors": CONTENT})
    put(cache, "gpt2", {"config.json": b"{}", "model.safetensors": CONTENT}, revision=COMMIT)
    shards = {"model.safetensors.index.json": index, "model-00001-of-00001.safetensors": CONTENT}
    put(cache, "ada/shards", {"config.json": b"{}", **shards})
    found = [(repo.repo, repo.room, repo.commit) for repo in cached_repos(cache.root)]
    assert found == [
        ("ada/lora", "adapters", COMMIT),
        ("ada/shards", "bases", COMMIT),
        ("gpt2", "bases", COMMIT),
    ]
    assert cached_repos(cache.root)[0].bytes == 2 + len(CONTENT)


def test_what_is_broken_or_incomplete_is_left_out(cache):
    assert cached_repos(cache.root) == []
    put(cache, "ada/half", {"adapter_config.json": b"{}"})
    put(cache, "ada/pickle", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    put(cache, "ada/index", {"config.json": b"{}", "model.safetensors.index.json": b"not json"})
    shards = json.dumps({"weight_map": {"a": "model-00001-of-00001.safetensors"}}).encode()
    put(cache, "ada/shard", {"config.json": b"{}", "model.safetensors.index.json": shards})
    folder = put(cache, "ada/dangling", {"config.json": b"{}", "model.safetensors": CONTENT})
    (folder / "model.safetensors").resolve().unlink()
    (cache.root / "models--ada--empty").mkdir()
    (cache.root / "models--ada--file").write_text("?")
    (cache.root / "models--ada--odd" / "snapshots" / "../../escape").mkdir(parents=True, exist_ok=True)
    put(cache, "ada/ref", {"config.json": b"{}", "model.safetensors": b"other"})
    (cache.root / "models--ada--ref" / "refs" / "main").write_bytes(b"\xff../../etc")
    assert [repo.repo for repo in cached_repos(cache.root)] == ["ada/ref"]
