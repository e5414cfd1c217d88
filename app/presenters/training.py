"""The training of a mix, followed: which stage it is in, and whether its routing collapses."""

from __future__ import annotations

from app.presenters.following import Following
from app.words import percent
from engine.messages import TrainJoint, TrainRouter

__all__ = ["LOAD", "OWN_LOSS", "Training"]

LOAD = "load."
OWN_LOSS = "loss."
FIRST_STEPS = 20
ALONE = 0.9
DECIDED = 0.05
EARLY = 0.25


class Training(Following):
    """The training that the desk shows."""

    kinds = (TrainRouter, TrainJoint)

    @property
    def spec(self) -> TrainRouter | TrainJoint | None:
        spec = self.job.spec if self.job is not None else None
        return spec if isinstance(spec, TrainRouter | TrainJoint) else None

    @property
    def stage(self) -> str:
        """Where a joint training is, in words; empty for a router's."""
        job, spec = self.job, self.spec
        if job is None or not isinstance(spec, TrainJoint):
            return ""
        if job.step < round(spec.hard_share * spec.steps):
            return "Stage 1 of 2: each expert learns its own data"
        return "Stage 2 of 2: experts and router learn together"

    @property
    def collapse(self) -> str:
        """A sentence when one expert takes everything, or when all is decided before much was learned."""
        job = self.job
        if job is None:
            return ""
        if job.state == "done":
            return str(job.result.get("warning", ""))
        if job.state != "running" or job.step < FIRST_STEPS or self.stage.startswith("Stage 1"):
            return ""
        shares = {name: share for name, share in job.metrics.items() if name.startswith(LOAD)}
        loudest = max(shares, key=shares.__getitem__, default="")
        if shares and shares[loudest] > ALONE:
            return (
                f"{loudest.removeprefix(LOAD)} has {percent(shares[loudest])} of the load: the router "
                "is collapsing onto one expert."
            )
        if job.metrics.get("entropy", DECIDED) < DECIDED and job.step < EARLY * job.steps:
            return "The gates were decided almost at once, so little more can be learned."
        return ""
