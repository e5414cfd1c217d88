"""A Hub as the engine tells of it: many repositories in parts, verdicts, details, a job that downloads."""

from __future__ import annotations

from typing import Any

import msgspec

from engine import messages
from engine.messages import (
    Download,
    Fit,
    HubDetails,
    HubFile,
    HubPage,
    HubRepo,
    HubRevision,
    HubVerdict,
    HubVerdicts,
    Job,
)

COMMIT = "a" * 40
CARD = "---\nlicense: mit\n---\n# Sorts letters\n\nSee [its page](https://example.org/a) ![curve](https://x/y.png)\n"


def repo(number: int, **changes: Any) -> HubRepo:
    known: dict[str, Any] = {
        "repo": f"user-{number % 7}/adapter-{number}",
        "base": "Qwen/Qwen2-0.5B",
        "task": "text-generation",
        "license": "apache-2.0",
        "downloads": 10 * number,
        "likes": number,
        "modified": 1.7e9,
        "tags": ["peft", "lora"],
        "commit": COMMIT,
        **changes,
    }
    return HubRepo(**known)


class ScriptedHub:
    """``repos`` are what there is; ``script`` answers a FakeClient's requests from them."""

    def __init__(self, repos: list[HubRepo]) -> None:
        self.repos = repos
        self.hidden = 0

    @property
    def script(self) -> dict[type, Any]:
        return {
            messages.SearchHub: self.search,
            messages.JudgeHub: self.judge,
            messages.ShowHub: self.show,
        }

    def search(self, request: messages.SearchHub) -> HubPage:
        words = request.text.lower().split()
        found = [repo for repo in self.repos if all(word in repo.repo.lower() for word in words)]
        found = [repo for repo in found if request.license in ("", repo.license)]
        end = request.skip + request.limit
        return HubPage(
            repos=found[request.skip : end],
            next=end if end < len(found) else None,
            hidden=0 if request.everything else self.hidden,
        )

    def judge(self, request: messages.JudgeHub) -> list[Any]:
        verdicts = [verdict(name) for name in request.repos]
        return [*verdicts, HubVerdicts(verdicts=verdicts)]

    def show(self, request: messages.ShowHub) -> HubDetails | messages.Error:
        name = request.repo.partition("@")[0].removeprefix("hf://")
        known = next((repo for repo in self.repos if repo.repo == name), None)
        if known is None:
            return messages.Error(code="missing", message=f"The Hub has no {name}.", hint="Spell it anew.")
        return details(known, request.revision)


def verdict(name: str, colour: str = "") -> HubVerdict:
    number = int(name.rpartition("-")[2])
    colour = colour or ("green", "amber", "red")[number % 3]
    reason = {
        "green": "Every tensor finds its place.",
        "amber": "3 of 24 projections find no place.",
        "red": "Made for a hidden size of 4096, this base has 2048.",
    }[colour]
    fit = Fit(verdict=colour, reason=reason)  # type: ignore[arg-type]
    return HubVerdict(
        repo=name, fit=fit, commit=COMMIT, kind="lora", rank=8 * (1 + number % 4), alpha=16.0,
        targets=["q_proj", "v_proj"], base="Qwen/Qwen2-0.5B", tensors=96, read=9000,
        size=1_000_000 * (1 + number),
    )  # fmt: skip


def details(known: HubRepo, revision: str = "main") -> HubDetails:
    return HubDetails(
        repo=known,
        commit=COMMIT if revision == "main" else "b" * 40,
        files=[
            HubFile(name="adapter_config.json", size=700, sha256="1" * 64),
            HubFile(name="adapter_model.safetensors", size=12_000_000, sha256="2" * 64),
            HubFile(name="optimizer.pt", size=24_000_000, wanted=False, note="a pickle; never fetched"),
        ],
        revisions=[HubRevision(name="main", commit=COMMIT), HubRevision(name="v1", commit="b" * 40)],
        card=CARD,
        security="No scanner of the Hub objects.",
        address=f"https://huggingface.co/{known.repo}",
        verdict=verdict(known.repo),
    )


def download(name: str, **changes: Any) -> Job:
    known: dict[str, Any] = {
        "id": f"{name}-job",
        "kind": "download",
        "name": f"Download of {name}",
        "state": "running",
        "step": 3_000_000,
        "steps": 12_000_000,
        "message": "Fetching adapter_model.safetensors",
        "spec": Download(repo=f"user/{name}", out=name),
        "seconds_left": 9.0,
        "metrics": {"speed": 1_000_000.0},
        "files": [messages.FileProgress(name="adapter_model.safetensors", done=3_000_000, total=12_000_000)],
        **changes,
    }
    return Job(**known)


def progress(job: Job, step: int, speed: float = 1e6) -> messages.JobProgress:
    """A gauge of a download that has come to ``step`` bytes."""
    files = [msgspec.structs.replace(file, done=step) for file in job.files]
    return messages.JobProgress(
        id=job.id, step=step, steps=job.steps, message=job.message, seconds_left=1.0,
        metrics={"speed": speed}, files=files,
    )  # fmt: skip
