"""What a person brings for the speech shelf: looked into without opening it, and made ready for its place."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from engine.formats.base_config import WHISPER, check_whisper, read_object
from engine.formats.errors import StudioError
from engine.formats.files import explain_os_error
from engine.formats.plain import refuse_link
from engine.formats.sizes import as_size
from engine.hub.plan import selection
from engine.messages import ImportSpeech, SpeechInspection
from engine.speech import convert
from engine.speech.card import CARD, Part, write_card
from engine.speech.config import SpeechConfig, parse_speech_config
from engine.speech.widths import encoder_width
from engine.supervisor.speech_cards import Sense, card_of, encoder_of

__all__ = ["inspect", "make_ready"]

SPEECH, LIPS = "speech.json", "lips"
Kind = Literal["model", "bridges", "whisper", "encoder", "checkpoint"]

_NOTHING = (
    "Give a checkpoint of AV-HuBERT or Llama-AVSR, a Whisper's folder, or the folder of a speech model."
)
_OF_SOUND = "Rates of sound"
_UNKNOWN = (_OF_SOUND, "told by the Whisper that it was trained with, which has to be named")
_ENDINGS = {".json", ".safetensors", ".txt", ".jinja", ".model"}
_IN_WORDS = {"ear": "what it hears with", "eye": "what it sees with", "llm": "its language model"}


def inspect(path: str) -> SpeechInspection:
    """What lies at ``path``; what is wrong with it is told in the answer."""
    source = Path(path).expanduser().absolute()
    try:
        return _inspect(source)
    except StudioError as error:
        return SpeechInspection(kind="", problem=error.message, hint=error.hint)
    except OSError as error:
        return SpeechInspection(kind="", problem=f"{source} cannot be read: {error.strerror}.")


def make_ready(request: ImportSpeech, parts: Mapping[Sense, str], target: Path) -> None:
    """Make the new folder ``target`` of what ``request`` names; ``parts`` are the folders that it names as
    ear, eye and language model. StudioError when it cannot be used, or its licence was not accepted."""
    source = Path(request.path).expanduser().absolute()
    kind, asked = _kind(source), _asked(request, parts)
    if missing := [sense for sense in _needs(source, kind, asked) if sense not in parts]:
        words = " and ".join(_IN_WORDS[sense] for sense in missing)
        options = " ".join(f"--{sense} NAME" for sense in missing)
        raise StudioError("usage", f"{source.name} does not bring {words}.", f"Name it with {options}.")
    try:
        match kind:
            case "checkpoint":
                convert.convert(source, target, accepted=request.accepted, asked=asked)
            case "whisper":
                _copy(
                    source, target, [n for n, note in selection("speech", _names(source)).items() if not note]
                )
            case "encoder":
                _copy(source, target, ["config.json", "model.safetensors"])
            case "bridges" | "model":
                _copy(source, target, _below(source))
    except OSError as error:
        raise explain_os_error(error, f"importing {source.name}") from error
    if (target / SPEECH).exists():
        _write_card(target, request.out, parts)
    if problem := card_of(request.out, target).problem:
        raise StudioError("adapter", f"{source.name} cannot be used. {problem}", _NOTHING)


# --- looking ---


def _inspect(source: Path) -> SpeechInspection:
    kind = _kind(source)
    needs: list[str] = list(_needs(source, kind, convert.Asked()))
    if kind == "checkpoint":
        found = convert.inspect(source)
        facts = [("Format", "a pickle, made into safetensors without opening it"), *_sizes(found)]
        terms = "\n".join([*found.licence.terms, f"The whole text: {found.licence.where}."])
        return SpeechInspection(
            kind=found.kind,
            facts=facts,
            license_name=found.licence.name,
            license=terms,
            needs=needs,
            bytes=found.bytes,
        )
    names = {"whisper": "Whisper", "encoder": "AV-HuBERT", "model": "Speech model", "bridges": "Llama-AVSR"}
    size = sum((source / name).stat().st_size for name in _below(source))
    if kind == "bridges":
        return SpeechInspection(kind=names[kind], facts=_rates(_bridges(source)), needs=needs, bytes=size)
    card = card_of(source.name, source)
    facts = [(sense.capitalize(), what) for sense, what in card.parts.items() if kind == "model"]
    facts += [("Numbers", f"{card.parameters:,}"), ("Weights", as_size(card.bytes))]
    return SpeechInspection(
        kind=names[kind], facts=facts, license_name=card.license, bytes=size, problem=card.problem
    )


def _kind(source: Path) -> Kind:
    if source.is_file():
        return "checkpoint"
    if not source.is_dir():
        raise StudioError("missing", f"There is no {source}.", _NOTHING)
    if (source / CARD).is_file():
        return "model"
    if (source / SPEECH).is_file():
        return "bridges"
    if encoder_of(source):
        return "encoder"
    if (source / "config.json").is_file():
        config = read_object(source / "config.json")
        if config.get("model_type") == WHISPER:
            check_whisper(config, source.name)
            return "whisper"
    raise StudioError("adapter", f"{source.name} is no model of speech.", _NOTHING)


def _needs(source: Path, kind: Kind, asked: convert.Asked) -> list[Sense]:
    """The parts that something does not bring itself."""
    if kind == "checkpoint":
        found = convert.inspect(source, asked)
        return _missing(found.speech, found.encoder is not None) if found.speech else []
    return _missing(_bridges(source), (source / LIPS).is_dir()) if kind == "bridges" else []


def _missing(config: SpeechConfig, lips: bool) -> list[Sense]:
    ear: list[Sense] = ["ear"] if config.audio_rates else []
    eye: list[Sense] = ["eye"] if config.video_rates and not lips else []
    return [*ear, *eye, "llm"]


def _bridges(folder: Path) -> SpeechConfig:
    raw = read_object(folder / SPEECH).get("speech")
    return parse_speech_config(raw if isinstance(raw, dict) else {})


def _sizes(found: convert.Found) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if found.encoder:
        facts.append(("Encoder", f"{found.encoder.layers} layers, {found.encoder.width} wide"))
    if found.speech:
        unknown = bool(found.speech.audio_rates) and not found.audio_width
        rates = [_UNKNOWN if unknown and what == _OF_SOUND else (what, n) for what, n in _rates(found.speech)]
        facts += [*rates, ("Language model", f"{found.llm_width} wide")]
        facts += [("Whisper", f"{found.audio_width} wide")] if found.audio_width else []
    return facts


def _rates(config: SpeechConfig) -> list[tuple[str, str]]:
    rates = {_OF_SOUND: config.audio_rates, "Rates of lips": config.video_rates}
    return [(what, ", ".join(map(str, numbers))) for what, numbers in rates.items() if numbers]


# --- making ready ---


def _asked(request: ImportSpeech, parts: Mapping[Sense, str]) -> convert.Asked:
    """What the checkpoint does not say: the width of the ear named with it, a rate that was pooled."""
    width = encoder_width(read_object(Path(parts["ear"], "config.json"))) if "ear" in parts else 0
    pooled = max(request.rates) if request.rates else None
    return convert.Asked(audio_width=width or None, pooled_rate=pooled)


def _write_card(target: Path, name: str, parts: Mapping[Sense, str]) -> None:
    """A model.json for what was trained, its encoders and language model where they lie."""
    made: dict[str, Part] = {sense: Part(path=path, what=Path(path).name) for sense, path in parts.items()}
    if (target / LIPS).is_dir() and "eye" not in made:
        made["eye"] = Part(path=LIPS, what="the AV-HuBERT that came with it")
    write_card(target, "llama-avsr", {**made, "speech": Part(path=".")}, name=name)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _below(folder: Path) -> list[str]:
    """The files below a folder that models are made of, by their paths in it."""
    files = (path for path in sorted(folder.rglob("*")) if path.suffix in _ENDINGS and path.is_file())
    return [path.relative_to(folder).as_posix() for path in files]


def _copy(source: Path, target: Path, names: list[str]) -> None:
    for name in names:
        refuse_link(source / name)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
