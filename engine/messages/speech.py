"""Speech: models that hear and read lips, clips, and what is understood of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.messages.common import Struct

__all__ = [
    "AddNoise",
    "ClipCard",
    "ErrorStep",
    "ExampleClip",
    "Heard",
    "ImportSpeech",
    "InspectSpeech",
    "ListSpeech",
    "LookAtClip",
    "MouthPlace",
    "NoisySound",
    "RemoveSpeech",
    "RestoreSpeech",
    "SpeechCard",
    "SpeechInspection",
    "SpeechMode",
    "SpeechModels",
    "SpokenWord",
    "TrainSpeech",
    "Transcribe",
    "Transcript",
    "WarmUpSpeech",
]

SpeechMode = Literal["audio", "video", "both"]


class MouthPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where a person says that the mouth is: the middle and the side of a square, in shares of the picture's
    width (``y`` too)."""

    x: float
    y: float
    side: float


class SpeechCard(Struct, frozen=True):
    """A model that transcribes. ``kind`` "demo" is the studio's own, of synthetic voices and faces; an
    "av-hubert" hears and sees for others that name it, and has no ``modes`` of its own.

    ``audio_rates`` and ``video_rates`` are those that were trained, the finest first; empty where the model
    has no choice. ``tokens_per_second``: what the language model reads of a second of sound at audio rate 1,
    and of lips at video rate 1. ``parts`` says in words what ear, eye and llm are. ``problem`` is "" when it
    can be used, else a sentence.
    """

    name: str
    kind: Literal["demo", "whisper", "llama-avsr", "av-hubert"]
    path: str
    modes: list[SpeechMode]
    audio_rates: list[int] = []
    video_rates: list[int] = []
    tokens_per_second: tuple[float, float] = (0.0, 0.0)
    parameters: int = 0
    bytes: int = 0
    parts: dict[str, str] = {}
    license: str = ""
    note: str = ""
    problem: str = ""
    created: float = 0.0


class ExampleClip(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that comes with the studio. ``text`` is what is said in it."""

    path: str
    title: str
    text: str


class ListSpeech(Struct, frozen=True):
    """All models that transcribe, as SpeechModels."""


class SpeechModels(Struct, frozen=True):
    """``clips`` is the folder where recordings are kept."""

    models: list[SpeechCard]
    examples: list[ExampleClip]
    clips: str


class LookAtClip(Struct, frozen=True):
    """What is in the file ``clip``: a ClipCard. Said on the way. ``place`` as in Transcribe."""

    clip: str
    place: MouthPlace | None = None


class ClipCard(Struct, frozen=True):
    """A clip as it can be shown. ``seconds`` of its longer part.

    ``peaks``: the greatest loudness (0 to 1) of each of so many equal parts of the clip. ``strip`` is a PNG
    of grey mouths side by side, each ``side`` pixels wide, one every ``every`` seconds; empty without a face.
    ``place`` is where the mouth was found in the first picture that has one. ``speech``: [start, end] in
    seconds where somebody speaks. ``notes``: what a person should know (no face, a camera that stood still,
    a mouth that does not move), each a sentence.
    """

    path: str
    seconds: float
    sound: bool
    pictures: bool
    face_found: bool
    frames: int = 0
    width: int = 0
    height: int = 0
    fps: float = 0.0
    rate: int = 0
    channels: int = 0
    gaps: int = 0
    peaks: list[float] = []
    strip: bytes = b""
    side: int = 0
    every: float = 0.0
    place: MouthPlace | None = None
    speech: list[tuple[float, float]] = []
    notes: list[str] = []


class Transcribe(Struct, frozen=True):
    """What ``model`` understands of the file ``clip`` in ``mode``: a Transcript; Heard on the way.

    ``audio_rate`` and ``video_rate`` None: the finest. ``snr`` in dB puts babble under the sound first, the
    same for the same ``seed``; None leaves it. ``shift`` moves the sound by so many seconds against the lips
    (what the clip's own sidecar says is done before). ``start`` and ``end`` (None: to its end) cut a part
    out. ``place`` is where the mouth is, else a face is searched. ``reference`` is what was said, for an
    error rate. ``beams`` 1 is greedy; nothing is ever drawn by chance.
    """

    model: str
    clip: str
    mode: SpeechMode = "both"
    audio_rate: int | None = None
    video_rate: int | None = None
    snr: float | None = None
    seed: int = 0
    shift: float = 0.0
    start: float = 0.0
    end: float | None = None
    place: MouthPlace | None = None
    reference: str = ""
    beams: int = 1


class WarmUpSpeech(Struct, frozen=True):
    """Open ``model`` ahead of need, so that the first words are understood at once: Done when it is."""

    model: str


class SpokenWord(msgspec.Struct, frozen=True, kw_only=True):
    """``start`` and ``end`` in seconds of the clip; ``confidence`` the model's probability of the word."""

    text: str
    start: float
    end: float
    confidence: float


class ErrorStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the alignment with the reference: ``said`` is "" for a word that is missing, ``meant`` for
    one too many."""

    op: Literal["equal", "substitute", "delete", "insert"]
    said: str
    meant: str


class Heard(Struct, frozen=True):
    """Progress: the words of the clip as far as ``until`` seconds, of ``seconds``."""

    words: list[SpokenWord]
    until: float
    seconds: float


class Transcript(Struct, frozen=True):
    """What was understood. ``mode`` is what was asked for, ``read_as`` what the clip allowed.

    ``speech`` False: nobody spoke, and no words were asked for. ``face_found`` False: no lips were to be
    had. ``wer`` is the word error rate against the reference (None without one), ``steps`` the alignment.
    ``whole`` False: the text was cut, since it grew longer than speech can be. ``took`` and ``looking``: the
    seconds of it all, and those of finding the mouth. ``tokens``: what the language model read. ``srt`` and
    ``vtt`` are the words as subtitles, ready to be saved.
    """

    text: str
    words: list[SpokenWord]
    mode: SpeechMode
    read_as: SpeechMode
    model: str
    speech: bool
    face_found: bool
    whole: bool = True
    wer: float | None = None
    steps: list[ErrorStep] = []
    snr: float | None = None
    audio_rate: int = 0
    video_rate: int = 0
    seconds: float = 0.0
    took: float = 0.0
    looking: float = 0.0
    tokens: int = 0
    notes: list[str] = []
    srt: str = ""
    vtt: str = ""


class AddNoise(Struct, frozen=True):
    """The sound of ``clip`` as Transcribe with ``snr`` and ``seed`` hears it, for the ear: a NoisySound."""

    clip: str
    snr: float | None
    seed: int = 0
    shift: float = 0.0


class NoisySound(Struct, frozen=True):
    """A WAV file at 16 kHz, which may be removed once it was played."""

    path: str
    seconds: float


class InspectSpeech(Struct, frozen=True):
    """What the checkpoint or folder at ``path`` is: a SpeechInspection. Nothing is made or opened."""

    path: str


class SpeechInspection(Struct, frozen=True):
    """``kind`` in words ("AV-HuBERT", "Llama-AVSR", "Whisper"), ``facts`` label and value in order,
    ``license`` its whole text where it has to be accepted first, ``needs`` the parts ("ear", "eye", "llm")
    that must be named with it. ``problem`` is "" when it can be imported."""

    kind: str
    facts: list[tuple[str, str]] = []
    license_name: str = ""
    license: str = ""
    needs: list[str] = []
    bytes: int = 0
    problem: str = ""
    hint: str = ""


class ImportSpeech(Struct, frozen=True):
    """Take a checkpoint, a speech model's folder or a Whisper's folder into the library as ``out``; answered
    with its SpeechCard. ``ear``, ``eye`` and ``llm`` name parts that it needs: a SpeechCard that has one, a
    base, or a folder. ``accepted``: a person has read and accepted its licence. ``rates`` is for checkpoints
    that do not say theirs (audio, video)."""

    path: str
    out: str
    ear: str = ""
    eye: str = ""
    llm: str = ""
    accepted: bool = False
    rates: tuple[int, int] | None = None


class RemoveSpeech(Struct, frozen=True):
    """Move a speech model into the trash: Done with ``path``, by which RestoreSpeech brings it back."""

    name: str


class RestoreSpeech(Struct, frozen=True):
    """Undo a RemoveSpeech."""

    path: str


class TrainSpeech(Struct, frozen=True):
    """Train one model that hears, reads lips and does both, on ``data``: JSON lines with "clip" (a path,
    relative to the file) and "text".

    ``ear``, ``eye`` and ``llm`` as in ImportSpeech; "" for ``ear`` or ``eye`` leaves that sense out.
    ``model`` starts from a speech model of the library, with its parts and rates. ``heldout`` is the share
    of the clips that is not trained on; word error rates are measured on it, as metrics "wer audio", "wer
    video" and "wer both", at the start, every ``score_every`` steps and at the end.
    """

    data: str
    out: str
    model: str = ""
    ear: str = ""
    eye: str = ""
    llm: str = ""
    audio_rates: tuple[int, ...] = (4, 16)
    video_rates: tuple[int, ...] = (2, 5)
    compression: Literal["stack", "pool"] = "stack"
    hidden: int = 2048
    rank: int = 64
    alpha: float = 8.0
    steps: int = 1000
    batch_size: int = 8
    learning_rate: float = 1e-3
    warmup: float = 0.0
    weight_decay: float = 0.1
    noisy: bool = True
    heldout: float = 0.1
    score_every: int = 100
    seed: int = 0
    checkpoint_seconds: float = 30.0
