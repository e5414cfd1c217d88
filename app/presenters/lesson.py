"""What would be trained if training began now: on which data, what stands in the way, which job it is."""

from __future__ import annotations

from dataclasses import dataclass

from app.presenters.desk import Desk, RouterSettings, Strip
from app.presenters.playing import Router, listed
from app.presenters.stock import Stock
from engine.messages import DataSet, Domain, TrainJoint, TrainRouter

__all__ = ["OWN_SET", "Lesson", "barred"]

OWN_SET = ".train"


@dataclass(frozen=True)
class Lesson:
    """The desk's lesson, with what the library has for it."""

    desk: Desk
    stock: Stock

    @property
    def data(self) -> DataSet | None:
        """The router's data, None until it has been read and found whole."""
        return self.stock.data(self.desk.data)

    def data_of(self, strip: Strip) -> DataSet | None:
        """What one expert learns from in joint training: the file chosen for it, else the set of its name."""
        if strip.data:
            return self.stock.data(strip.data)
        return next((data for data in self.stock.sets if data.name == strip.adapter + OWN_SET), None)

    @property
    def is_untrained(self) -> bool:
        """Whether the router stays as it starts: made without data, in no step."""
        router = self.desk.router
        return self.desk.lesson == "router" and router.start != "zero" and not router.with_data

    @property
    def why_not(self) -> str:
        """What is missing before it can begin; empty when nothing is."""
        desk = self.desk
        if len(desk.strips) < 2:
            return "Put at least two adapters on the desk."
        if desk.lesson == "joint":
            return self._why_not_together()
        blank = [strip.adapter for strip in desk.strips if strip.blank]
        if blank:
            return f"{listed(blank)} has learned nothing yet. Train experts and router together."
        if self.data is None and not self.is_untrained:
            return "Choose training data."
        return ""

    def _why_not_together(self) -> str:
        strips = self.desk.strips
        bound = [s.adapter for s in strips if not s.blank and s.adapter not in self.stock.adapters]
        if bound:
            return (
                f"{listed(bound)} lives in its mix alone. Only the library's adapters can be trained further."
            )
        hungry = [strip.adapter for strip in strips if self.data_of(strip) is None]
        return f"Choose data for {listed(hungry)}." if hungry else ""

    @property
    def ranks(self) -> dict[str, int]:
        """The experts that learn at a lower rank than the library's adapter has, as their strips show it."""
        found = {}
        for strip in self.desk.strips:
            card = self.stock.adapters.get(strip.adapter)
            shown = strip.rank or self.stock.known(strip.adapter, self.desk.mix)[0][1]
            if card is not None and not strip.blank and shown < card.rank:
                found[strip.adapter] = max(card.low, shown)
        return found

    def job(self, name: str) -> TrainRouter | TrainJoint:
        """The job that makes the mix ``name``; only when nothing is in the way."""
        return self._joint(name) if self.desk.lesson == "joint" else self._router(name)

    def extension(self, router: Router, strangers: list[str], name: str) -> TrainRouter:
        """The job that teaches a router about ``strangers``; what it knows of its own experts stays."""
        settings = self.desk.router
        return TrainRouter(
            base=self.desk.base,
            experts=[*router.experts, *strangers],
            data=self.desk.data,
            out=name,
            extend=router.name,
            ranks=self._ranks_beside(router),
            null_expert=router.has_null,
            epochs=settings.epochs,
            learning_rate=settings.learning_rate,
            balance_weight=settings.balance_weight,
            seed=settings.seed,
        )

    def _ranks_beside(self, router: Router) -> dict[str, int]:
        """Ranks of an extension: the router's own experts come from its mix, the others from the library."""
        own = {
            s.adapter: s.rank for s in self.desk.strips if s.rank is not None and s.adapter in router.experts
        }
        return own | {name: rank for name, rank in self.ranks.items() if name not in router.experts}

    def _router(self, name: str) -> TrainRouter:
        router, is_untrained = self.desk.router, self.is_untrained
        return TrainRouter(
            base=self.desk.base,
            experts=self.desk.experts,
            data="" if is_untrained else self.desk.data,
            steps=0 if is_untrained else None,
            out=name,
            ranks=self.ranks,
            router_input=router.router_input,
            router_share=router.router_share,
            activation=router.activation,
            gates=router.gates,
            start=router.start,
            null_expert=router.null_expert,
            temperature=router.temperature,
            epochs=router.epochs,
            learning_rate=router.learning_rate,
            balance_weight=router.balance_weight,
            entropy_weight=router.entropy_weight,
            band_weight=router.band_weight,
            seed=router.seed,
        )

    def _joint(self, name: str) -> TrainJoint:
        desk, router, joint = self.desk, self.desk.router, self.desk.joint
        domains = [
            Domain(
                expert=s.adapter,
                data=s.data or data.path,
                adapter="" if s.blank else s.adapter,
                rank=self.ranks.get(s.adapter),
            )
            for s in desk.strips
            if (data := self.data_of(s)) is not None
        ]
        return TrainJoint(
            base=desk.base,
            domains=domains,
            out=name,
            rank=joint.rank,
            steps=joint.steps,
            hard_share=joint.hard_share,
            router_input=router.router_input,
            router_share=router.router_share,
            null_expert=router.null_expert,
            learning_rate=joint.learning_rate,
            router_learning_rate=router.learning_rate,
            balance_weight=router.balance_weight,
            entropy_weight=router.entropy_weight,
            band_weight=router.band_weight,
            preserve_weight=joint.preserve_weight,
            seed=router.seed,
        )


def barred(router: RouterSettings) -> dict[str, str]:
    """The settings that mean nothing beside the others, each with the reason."""
    if router.start == "zero":
        reasons = {"with_data": "A router that starts from zero knows nothing before it learns."}
        if router.activation == "sigmoid":
            reasons["start"] = "Sigmoid weights start from zero: they are not weighed against each other."
        return reasons
    reasons = {"activation": "Prototypes and own gates are weighed against each other, as softmax does."}
    if not router.with_data:
        idle = ("gates", "epochs", "learning_rate", "balance_weight", "entropy_weight", "band_weight")
        reasons |= dict.fromkeys(idle, "Nothing is trained: the router stays as it starts.")
    return reasons
