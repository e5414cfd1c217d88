"""The handle of the test Hub: starts its process, fills it, breaks it, and asks it what it was asked."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["HubServer"]

ROOT = Path(__file__).parents[2]


class HubServer:
    """A Hub on this machine. ``endpoint`` is its address, ``token`` one that may write as "ada"."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path) -> None:
        self._process, self._folder, self._count = process, folder, 0
        self.port, self.pid = port, process.pid
        self.endpoint = f"http://127.0.0.1:{port}"
        self.large_host = f"http://localhost:{port}"
        self.token = self.account("ada", groups=["studio"])

    @classmethod
    def start(cls, folder: Path) -> HubServer:
        folder.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hub.server", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return cls(process, json.loads(process.stdout.readline())["port"], folder)

    def stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> HubServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """What a process needs to take this server for the Hub; cache and settings of its own, no token, no
        keyring."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HOME": str(self._folder / "hf"),
            "HF_HUB_CACHE": str(self._folder / "hf" / "hub"),
            "HF_TOKEN_PATH": str(self._folder / "hf" / "token"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def enter(self, monkeypatch: Any) -> None:
        """Let this very process take the server for the Hub, as environment() does for one that starts."""
        from huggingface_hub import constants

        for name, value in self.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        home = self._folder / "hf"
        for name, value in {
            "ENDPOINT": self.endpoint,
            "HUGGINGFACE_CO_URL_TEMPLATE": self.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
        }.items():
            monkeypatch.setattr(constants, name, value)

    # What it holds

    def add(
        self,
        repo: str,
        files: dict[str, bytes | str | Path],
        *,
        tags: list[str] | None = None,
        base: str | None = None,
        license: str | None = None,
        task: str | None = None,
        gated: bool | str | None = None,
        private: bool | None = None,
        downloads: int | None = None,
        likes: int | None = None,
        trending: int | None = None,
        modified: float | None = None,
        card: str = "",
        security: dict[str, str] | None = None,
        keep: bool = False,
    ) -> str:
        """Add a repository, or the next commit of one; returns the commit's id.

        Files that are Paths are served from where they lie. ``card`` is the README: whole if it has front
        matter, else with one made of ``base``, ``license`` and ``tags``. ``security`` maps names to "unsafe",
        "suspicious", "caution" or "safe". With ``keep`` the files of the commit before stay beside the new
        ones. None leaves what the repository had.
        """
        held = dict(files)
        if card:
            held["README.md"] = (
                card if card.startswith("---\n") else _front_matter(base, license, tags) + card
            )
        gate = "auto" if gated is True else gated
        return self._do(
            "add",
            repo=repo,
            files={name: str(self._lying(content)) for name, content in held.items()},
            keep=keep,
            modified=modified,
            tags=tags,
            base=base,
            license=license,
            task=task,
            gated=gate,
            private=private,
            downloads=downloads,
            likes=likes,
            trending=trending,
            security=security,
        )

    def add_many(self, count: int, base: str = "studio/starter", owner: str = "crowd") -> None:
        """``count`` adapters to be listed: OWNER-0..96/adapter-00000 and on, with different figures."""
        self._do("crowd", count=count, base=base, owner=owner)

    def branch(self, repo: str, name: str, commit: str) -> None:
        self._do("ref", repo=repo, name=name, commit=commit, kind="branch")

    def tag(self, repo: str, name: str, commit: str) -> None:
        self._do("ref", repo=repo, name=name, commit=commit, kind="tag")

    def remove(self, repo: str) -> None:
        self._do("remove", repo=repo)

    def lie(self, repo: str, name: str, **about: Any) -> None:
        """Let lists and headers claim another ``size``, ``sha256`` or ``commit`` of a file."""
        self._do("lie", repo=repo, name=name, **about)

    def page(self, size: int) -> None:
        """At most so many entries on a page of a list."""
        self._do("page", size=size)

    # Who is known

    def account(
        self, name: str, role: str = "write", groups: list[str] | None = None, token: str = ""
    ) -> str:
        """Make an account and a token of it, which is returned."""
        return self._do("account", name=name, role=role, groups=groups or [], token=token)

    def grant(self, repo: str, user: str) -> None:
        """Let a user read a gated repository."""
        self._do("grant", repo=repo, user=user)

    def revoke(self, token: str) -> None:
        self._do("revoke", token=token)

    def device(
        self, interval: int = 1, expires_in: int = 900, slow_down: int = 0, lasts: int | None = None
    ) -> None:
        """How signing in with a code goes: the next ``slow_down`` polls are told to slow down, and with
        ``lasts`` seconds tokens are given out that say they end and can be renewed."""
        self._do("device", interval=interval, expires_in=expires_in, slow_down=slow_down, lasts=lasts)

    def accept_device(self, user: str = "ada") -> str:
        """Type the code that waits in a browser, as ``user``; the token that the client will get."""
        return self._do("settle", user=user)

    def deny_device(self) -> None:
        self._do("settle", user=None)

    # What goes wrong, and what was asked

    def fault(self, glob: str, method: str = "GET", *, times: int = 1, **about: Any) -> None:
        """Switch a fault on for requests whose path matches; ``about``: the fields of Fault in faults.py."""
        self._do("fault", glob=glob, method=method, times=times, **about)

    def clear(self) -> list[str]:
        """Switch all faults off; the names of those that still had times left."""
        return self._do("clear")

    def down(self) -> None:
        """Out of reach: connections end, new ones are refused. What it holds stays."""
        self._do("down")

    def up(self) -> None:
        self._do("up")

    def requests(self, glob: str = "*") -> list[dict[str, Any]]:
        """Every request so far, also unfinished ones: method, path, query, host, range, authorization
        (whether a token came), status (0: not answered yet), sent (bytes of the body so far), fault (its
        name)."""
        return [each for each in self._do("requests") if fnmatchcase(each["path"], glob)]

    def forget(self) -> None:
        self._do("forget")

    def uploads(self, repo: str) -> list[dict[str, Any]]:
        """Commits that clients made: commit, title and the names of all files after it."""
        return self._do("uploads", repo=repo)

    def _lying(self, content: bytes | str | Path) -> Path:
        if isinstance(content, Path):
            return content.resolve()
        self._count += 1
        path = self._folder / "added" / str(self._count)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def _do(self, what: str, **about: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": what, "with": about}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"problem": "the server has ended"}')
        if "problem" in answer:
            raise RuntimeError(answer["problem"])
        return answer["said"]


def _front_matter(base: str | None, license: str | None, tags: list[str] | None) -> str:
    said: dict[str, Any] = {"library_name": "peft"}
    if base:
        said["base_model"] = base
    if license:
        said["license"] = license
    if tags:
        said["tags"] = tags
    # JSON is YAML.
    return "---\n" + "".join(f"{key}: {json.dumps(value)}\n" for key, value in said.items()) + "---\n"
