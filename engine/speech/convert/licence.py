"""Terms of published checkpoints: what a person reads and accepts before a conversion."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AV_HUBERT", "LLAMA_AVSR", "Licence"]


@dataclass(frozen=True)
class Licence:
    """``name``, and ``terms`` in sentences; the whole text is the publisher's own, ``where`` it lies."""

    name: str
    terms: tuple[str, ...]
    where: str


AV_HUBERT = Licence(
    "AV-HuBERT License Agreement (Meta)",
    (
        "For non-commercial research only; no use in production.",
        "Not for surveillance, nor to recognise people by their face or voice.",
        "Whatever is made from the weights, a conversion too, is under the same terms.",
        "The weights come from Meta and without any warranty.",
    ),
    "the file LICENSE of the repository facebookresearch/av_hubert",
)
LLAMA_AVSR = Licence(
    "Llama-AVSR's weights: no licence of their own",
    (
        "The publisher names no licence for these weights.",
        "They contain AV-HuBERT, so Meta's terms hold: non-commercial research, no surveillance.",
        "They were trained on a Llama, so the licence of that Llama holds as well.",
    ),
    "the README of the repository umbertocappellazzo/Llama-AVSR, and the two licences that it builds on",
)
