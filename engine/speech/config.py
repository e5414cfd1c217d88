"""What a speech model is made of, as its folder says it. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from engine.formats.errors import StudioError

__all__ = ["PROMPTS", "TAGS", "Mode", "Rates", "SpeechConfig", "parse_speech_config"]

Mode = Literal["audio", "video", "both"]

PROMPTS: dict[Mode, str] = {
    "audio": "Transcribe speech to text.",
    "video": "Transcribe video to text.",
    "both": "Transcribe speech and video to text.",
}
TAGS = ("<audio>", "</audio>", "<video>", "</video>")


@dataclass(frozen=True)
class Rates:
    """How many vectors of each encoder become one for the language model."""

    audio: int
    video: int


@dataclass(frozen=True)
class SpeechConfig:
    """``audio_rates`` and ``video_rates`` are those that are trained, the finest first; none: the model is
    deaf, or blind. ``hidden`` is the projectors' inner width, ``norm`` a LayerNorm at their end. With
    ``eye_hears`` the eye is given the sound too where both are read, and fuses the two picture by picture,
    as AV-HuBERT was made to; else it sees lips alone, as Llama-AVSR's."""

    audio_rates: tuple[int, ...] = (4, 16)
    video_rates: tuple[int, ...] = (2, 5)
    compression: Literal["stack", "pool"] = "stack"
    hidden: int = 2048
    norm: bool = False
    eye_hears: bool = False

    @property
    def finest(self) -> Rates:
        """The rates at which the least is lost; 1 for a modality that is not there."""
        return Rates(min(self.audio_rates, default=1), min(self.video_rates, default=1))

    @property
    def modes(self) -> tuple[Mode, ...]:
        """What a model can be asked for that is so configured."""
        if self.audio_rates and self.video_rates:
            return ("audio", "video", "both")
        return ("audio",) if self.audio_rates else ("video",)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {
            "audio_rates": list(self.audio_rates),
            "video_rates": list(self.video_rates),
        }


def parse_speech_config(raw: Mapping[str, Any]) -> SpeechConfig:
    """A configuration as ``as_json`` wrote it. StudioError("adapter") for anything else."""
    try:
        rates = {name: tuple(raw[name]) for name in ("audio_rates", "video_rates")}
        config = SpeechConfig(**{**raw, **rates})
    except (TypeError, KeyError) as error:
        raise StudioError(
            "adapter", "This is no speech model's configuration.", "Choose another folder.", str(error)
        ) from error
    numbers = [*config.audio_rates, *config.video_rates, config.hidden]
    if (
        not all(type(number) is int and 0 < number <= 1 << 16 for number in numbers)
        or not (config.audio_rates or config.video_rates)
        or config.compression not in ("stack", "pool")
        or type(config.norm) is not bool
        or type(config.eye_hears) is not bool
    ):
        raise StudioError("adapter", "A speech model of these sizes cannot be.", "Choose another folder.")
    return config
