"""What a training can be told: every setting with its words, its bounds and its field."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from PySide6.QtWidgets import QCheckBox, QComboBox, QWidget

from app.pages.fields import narrow
from widgets.number_field import decimal_field, whole_field

__all__ = ["SETTINGS", "Setting"]


@dataclass(frozen=True)
class Setting:
    """One field (``key``) of RouterSettings, or of JointSettings where it is ``of`` these.

    ``lesson`` is the one that it means something to. ``range`` is (least, most, step, decimals) of a number;
    ``options`` are words by value; with neither it is a yes or no.
    """

    key: str
    name: str
    words: str
    described: str
    tip: str
    range: tuple[float, float, float, int] | None = None
    options: dict[str, str] = field(default_factory=dict)
    of: Literal["router", "joint"] = "router"
    lesson: Literal["router", "joint", "both"] = "both"

    def widget(self) -> QWidget:
        name = f"mixer.router.{self.name}"
        if self.options:
            box = narrow(QComboBox(objectName=name, accessibleName=self.described))
            for value, words in self.options.items():
                box.addItem(words, value)
            made: QWidget = box
        elif self.range is None:
            made = QCheckBox("", objectName=name, accessibleName=self.described)
        elif self.range[3]:
            made = decimal_field(name, self.described, *self.range)
        else:
            least, most, step, _ = self.range
            made = whole_field(name, self.described, int(least), int(most), int(step))
        made.setToolTip(self.tip)
        return made


GATE = (
    Setting(
        "router_input",
        "input",
        "Listens to",
        "What the router listens to",
        "Token: each token alone, as published. Context: also the text so far; small bases mix better so",
        options={"context": "Context", "local": "Token"},
    ),
    Setting(
        "router_share",
        "share",
        "One gate per",
        "What shares one gate",
        "Projection: as published, the most freedom. Group: one for q, k and v, one for gate and up. "
        "Layer: one for the whole layer, the fewest numbers to learn",
        options={"projection": "Projection", "group": "Group", "layer": "Layer"},
    ),
    Setting(
        "null_expert",
        "null",
        "Null expert",
        "Null expert",
        "One more voice that says nothing, so that the router can leave a token to the base",
    ),
)
ROUTER_ONLY = (
    Setting(
        "activation",
        "activation",
        "Weights",
        "How weights are made",
        "Softmax: shares of one whole. Sigmoid: each expert has a volume of its own, so several can be loud "
        "at once or all be silent",
        options={"softmax": "Softmax", "sigmoid": "Sigmoid"},
        lesson="router",
    ),
    Setting(
        "gates",
        "gates",
        "Learns with",
        "Gates while the router learns",
        "Soft: all experts at once, by weight. Hard: the first expert alone, straight-through; "
        "for routers that will play hard",
        options={"soft": "Soft", "hard": "Hard"},
        lesson="router",
    ),
    Setting(
        "temperature",
        "temperature",
        "Temperature",
        "Temperature of the weights",
        "Above 1 the weights are evener, below 1 more decided",
        range=(0.1, 10.0, 0.1, 1),
        lesson="router",
    ),
    Setting(
        "start",
        "start",
        "Starts from",
        "What the router starts from",
        "Zero: all experts equally loud. Prototypes: directions taken from the experts themselves. "
        "Own gates: the gate that each expert brings with it; a strip's menu trains one",
        options={"zero": "Zero", "prototypes": "Prototypes", "gates": "Own gates"},
        lesson="router",
    ),
    Setting(
        "with_data",
        "with-data",
        "Then learns",
        "The router learns from data after its start",
        "Off: the router is made from its start alone, without data, in a moment",
        lesson="router",
    ),
    Setting(
        "epochs",
        "passes",
        "Passes",
        "Passes over the data",
        "How often the training goes over the data",
        range=(1, 100, 1, 0),
        lesson="router",
    ),
)
TOGETHER = (
    Setting(
        "rank",
        "rank",
        "New rank",
        "Rank of new experts",
        "How much a new expert can hold: the rank of its LoRA",
        range=(1, 256, 1, 0),
        of="joint",
        lesson="joint",
    ),
    Setting(
        "steps",
        "steps",
        "Steps",
        "Steps of training",
        "Steps of both stages together",
        range=(2, 1_000_000, 100, 0),
        of="joint",
        lesson="joint",
    ),
    Setting(
        "hard_share",
        "hard-share",
        "First stage",
        "Share of the first stage",
        "The part of the steps in which each expert learns its own data alone; then all learn together",
        range=(0.0, 1.0, 0.05, 2),
        of="joint",
        lesson="joint",
    ),
    Setting(
        "preserve_weight",
        "preserve",
        "Hold experts",
        "How firmly experts are held in the second stage",
        "Beta of the preservation penalty: larger keeps each expert closer to what it learned alone",
        range=(0.0, 10.0, 0.01, 3),
        of="joint",
        lesson="joint",
    ),
    Setting(
        "learning_rate",
        "expert-rate",
        "Expert rate",
        "Learning rate of the experts",
        "How far each step takes the experts; smaller is slower and steadier",
        range=(1e-5, 1.0, 0.001, 4),
        of="joint",
        lesson="joint",
    ),
)
LOSS = (
    Setting(
        "learning_rate",
        "rate",
        "Router rate",
        "Learning rate of the router",
        "How far each step takes the router; smaller is slower and steadier",
        range=(1e-5, 1.0, 0.005, 4),
    ),
    Setting(
        "balance_weight",
        "balance",
        "Balance",
        "Balance weight",
        "Alpha of the Specialization Balance Loss: larger shares the load more evenly",
        range=(0.0, 10.0, 0.01, 3),
    ),
    Setting(
        "entropy_weight",
        "entropy",
        "Entropy",
        "Entropy weight",
        "Lambda of the Specialization Balance Loss, signed: above 0 flattens the gates, as printed in the "
        "paper; below 0 sharpens them, as its text says",
        range=(-1.0, 1.0, 0.01, 3),
    ),
    Setting(
        "band_weight",
        "band",
        "Entropy band",
        "Weight of the entropy band",
        "Asks for gates that are decided at each token and even over all of them, within a band (HMoRA); "
        "0.005 is usual",
        range=(0.0, 1.0, 0.005, 3),
    ),
    Setting(
        "seed",
        "seed",
        "Seed",
        "Seed",
        "The same seed, data and experts give the same mix again",
        range=(0, 2**31 - 1, 1, 0),
    ),
)

SETTINGS = (*GATE, *ROUTER_ONLY, *TOGETHER, *LOSS)
