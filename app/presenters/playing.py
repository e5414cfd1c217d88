"""How a desk sounds with the mix on it: who is heard, who decides, and what is asked of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from app.presenters.desk import Desk, Strip
from engine.messages import Generate, Job, MixCard, Mixing, Part, TrainJoint, TrainRouter

__all__ = ["NULL", "Playing", "Router", "experts_of", "listed", "ranks_of"]

NULL = "null"


@dataclass(frozen=True)
class Router:
    """A router that may be heard: of the mix ``name``, or of the ``job`` that is training it. ``experts``
    are in the order of its gates, without the null expert; one that learns has some of them cut to ``ranks``.
    """

    name: str
    experts: tuple[str, ...]
    has_null: bool
    job: str = ""
    ranks: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of_mix(card: MixCard) -> Router:
        has_null = NULL in card.usage if card.usage else card.null_expert
        return Router(card.name, tuple(experts_of(card)), has_null)

    @staticmethod
    def in_training(job: Job, spec: TrainRouter | TrainJoint) -> Router:
        return Router(spec.out, tuple(experts_of(spec)), spec.null_expert, job.id, ranks_of(spec))


@dataclass(frozen=True)
class Playing:
    """``router`` is the one that belongs to the desk, None where there is none; ``loose`` are the experts
    that the library has beside the mix, with the hash of each."""

    desk: Desk
    router: Router | None = None
    loose: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_router(self) -> bool:
        """Whether a router is heard: it knows every expert on the desk that can speak."""
        return self.router is not None and bool(self.desk.trained) and not self.strangers

    @property
    def has_null(self) -> bool:
        return self.has_router and self.router is not None and self.router.has_null

    @property
    def strangers(self) -> list[str]:
        """Experts on the desk that the router was trained without."""
        return [name for name in self.desk.trained if self.router and name not in self.router.experts]

    @property
    def absent(self) -> list[str]:
        """Experts of the router that are not on the desk, and so are left out of its choice."""
        return [name for name in (self.router.experts if self.router else ()) if not self.desk.strip(name)]

    @property
    def voices(self) -> list[str]:
        """The experts in the order of the router's gates; without a router, those on the desk."""
        if not self.has_router or self.router is None:
            return self.desk.experts
        return [*self.router.experts, NULL] if self.has_null else list(self.router.experts)

    @property
    def silent(self) -> set[str]:
        """Voices that are not heard now: switched off, faded out, not on the desk, or yet to be trained."""
        return {name for name in self.voices if name != NULL and not self.is_heard(name)}

    def is_heard(self, name: str) -> bool:
        """Whether an expert can be heard; a blank one is as soon as a router learns with it."""
        strip = self.desk.strip(name)
        if strip is None or name not in self.voices or (strip.blank and not self.has_router):
            return False
        return strip.fader > 0 and name not in self.desk.muted

    @property
    def title(self) -> tuple[str, str]:
        """What the answer of the whole desk is called, and the mix it comes from."""
        if not self.has_router or self.router is None:
            return "sum", "All experts at once, by their faders"
        if self.router.job:
            return "mix, still training", f"{self.router.name} as it is at this moment"
        return "mix", self.router.name

    @property
    def sentence(self) -> str:
        """What the faders do now."""
        if not self.desk.strips:
            return ""
        if self.router is None:
            return "Static faders: all experts speak at once. Train a router to let them take turns."
        if self.strangers:
            return f"{self.router.name} was trained without {listed(self.strangers)}: static faders play."
        if self.absent:
            return f"{self.router.name} plays without {listed(self.absent)}, who left the desk."
        name = self.router.name
        return f"{name} plays: its router decides at every token who speaks, the faders say how loudly."

    @property
    def waiting(self) -> list[str]:
        """Experts whose rank cannot be heard yet: a router that learns has them as it began with them."""
        if not self.has_router or self.router is None or not self.router.job:
            return []
        cut = self.router.ranks
        return [
            strip.adapter
            for strip in self.desk.strips
            if (self._learning(strip, 1.0).rank or cut.get(strip.adapter)) != strip.rank
        ]

    @property
    def wait(self) -> str:
        """What those wait for, in a sentence; "" where none does."""
        cut = self.router.ranks if self.router is not None else {}
        heard = [f"{f'rank {cut[name]}' if name in cut else 'every rank'} of {name}" for name in self.waiting]
        return f"Until it has learned, it plays {listed(heard)}." if heard else ""

    def account(self, what: str, ranks: Mapping[str, int]) -> str:
        """What ``what`` ("training") takes of the desk beside its experts, and what is for playing alone, in
        sentences; "" where there is nothing to say."""
        strips, words = self.desk.strips, []
        if ranks:
            words.append(f"The {what} takes {listed([f'{name} at rank {ranks[name]}' for name in ranks])}.")
        played = {
            "faders": any(strip.fader != 1.0 for strip in strips),
            "mute": any(strip.muted for strip in strips),
            "solo": any(strip.soloed for strip in strips),
            "lock": any(strip.locked for strip in strips),
        }
        unheeded = [name for name, is_set in played.items() if is_set]
        if unheeded:
            are = "is" if unheeded in (["mute"], ["solo"], ["lock"]) else "are"
            words.append(
                f"{listed(unheeded).capitalize()} {are} for playing: it takes every expert at full strength."
            )
        return " ".join(words)

    def request(self, question: Generate) -> Generate:
        """``question`` put to the desk: to its router where one is heard, else to the sum of its experts."""
        if not self.has_router or self.router is None:
            parts = [part for part in self.desk.parts() if part.name in self.loose]
            return msgspec.structs.replace(question, parts=parts)
        off = [name for name in self.router.experts if name in {*self.desk.muted, *self.absent}]
        return self._routed(question, off, [name for name in self.desk.locked if name not in off])

    def alone(self, question: Generate, expert: str) -> Generate:
        """``question`` put to one expert alone, at full strength; one that only the mix has speaks there."""
        if expert in self.loose or not self.has_router or self.router is None:
            strip = self.desk.strip(expert)
            part = strip.part(1.0) if strip is not None else Part(name=expert)
            return msgspec.structs.replace(question, parts=[part])
        others = [name for name in self.router.experts if name != expert]
        asked = self._routed(question, others, [expert])
        parts = [msgspec.structs.replace(part, weight=1.0) for part in asked.parts if part.name == expert]
        return msgspec.structs.replace(asked, parts=parts, record=False)

    def _routed(self, question: Generate, muted: list[str], locked: list[str]) -> Generate:
        assert self.router is not None
        asked = self.desk.router
        mixing = Mixing(
            name=self.router.name,
            job=self.router.job,
            mode=asked.mode,
            top_k=asked.top_k,
            renormalise=asked.renormalise,
            strength=asked.strength,
            muted=muted,
            locked=locked,
        )
        part = self._learning if self.router.job else Strip.part
        parts = [part(strip, strip.fader) for strip in self.desk.strips if not strip.blank]
        return msgspec.structs.replace(question, parts=parts, mixing=mixing, record=True)

    def _learning(self, strip: Strip, weight: float) -> Part:
        """An expert as a router that learns has it: with its file's own columns, or, where it was cut, with
        the best ones in order. Of a rank that is not there all of it plays."""
        assert self.router is not None
        cut = self.router.ranks.get(strip.adapter)
        is_there = not strip.order if cut is None else strip.rank is not None and strip.rank < cut
        return Part(name=strip.adapter, weight=weight, rank=strip.rank if is_there else None)


def experts_of(made: MixCard | TrainRouter | TrainJoint) -> list[str]:
    """The experts of a mix, or of the training that makes one, without the null expert."""
    if isinstance(made, TrainJoint):
        return [domain.expert for domain in made.domains]
    return [name for name in made.experts if name != NULL]


def ranks_of(spec: TrainRouter | TrainJoint) -> dict[str, int]:
    """The experts that a training cuts, and to which rank."""
    if isinstance(spec, TrainJoint):
        return {domain.expert: domain.rank for domain in spec.domains if domain.rank is not None}
    return spec.ranks


def listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} and {names[-1]}"
