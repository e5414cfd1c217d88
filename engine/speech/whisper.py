"""A whole Whisper (arXiv 2212.04356) as a listener: it hears, never sees, and tells when nothing was said.

Greedy or by beams, in windows of 30 s, with its own two guards: no text where it takes the sound for no
speech and is unsure of its words, and none beyond the point from which it repeats itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput

from engine.formats.base_config import check_whisper, read_object
from engine.formats.errors import StudioError
from engine.formats.safetensors_file import read_header
from engine.speech.clip import Clip
from engine.speech.config import Mode, Rates
from engine.speech.decoding import TOKENS_BESIDE, Transcript, alone, spelled, unlooped, with_times
from engine.speech.gate import speech_span
from engine.speech.shape import SAMPLE_RATE, WHISPER_RATE
from engine.speech.timing import GRID, attention_kept, spread, token_times

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["WhisperListener", "load_whisper"]

NO_SPEECH, UNSURE = 0.6, -1.0
"""The probability of no speech, and the mean logarithm of the tokens', at which there are no words (both)."""
MULTILINGUAL = 51_865
"""The least vocabulary of a Whisper that knows more languages than English."""
FASTEST = 16
"""Tokens a second, in the languages that need most of them."""
_LARGEST_TOKENIZER = 64 << 20
_HINT = "Choose the folder of a Whisper: config.json, tokenizer.json and .safetensors weights."


class WhisperListener:
    """``whole`` with its ``tokenizer``. The language is the likeliest, where the model knows several."""

    modes: tuple[Mode, ...] = ("audio",)
    audio_rates: tuple[int, ...] = ()
    video_rates: tuple[int, ...] = ()
    pause = math.inf

    def __init__(
        self, whole: WhisperForConditionalGeneration, tokenizer: PreTrainedTokenizerBase, *, name: str = ""
    ) -> None:
        self.whole = whole.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.name = name
        config = whole.config
        self._features = WhisperFeatureExtractor(
            feature_size=config.num_mel_bins, chunk_length=config.max_source_positions // WHISPER_RATE
        )
        self._begin = self._token("<|startoftranscript|>")
        self._silent = self._known("<|nospeech|>") or self._known("<|nocaptions|>")
        own = whole.generation_config
        self._languages: list[int] = sorted((getattr(own, "lang_to_id", None) or {}).values())
        if not getattr(own, "is_multilingual", config.vocab_size >= MULTILINGUAL):
            self._languages = []
        self._suppressed = _ids(own, "suppress_tokens"), _ids(own, "begin_suppress_tokens")

    @torch.no_grad()
    def transcribe(
        self, clips: Sequence[Clip], mode: Mode, rates: Rates | None = None, beams: int = 1
    ) -> list[Transcript]:
        if mode != "audio" or any(clip.sound is None for clip in clips):
            raise StudioError(
                "usage", f"{self.name or 'A Whisper'} hears and cannot see.", "Transcribe the sound."
            )
        if not clips:
            return []
        heard = self._encode([clip.sound for clip in clips])
        first = self._first(heard)
        silence = first[:, self._silent] if self._silent is not None else first.new_zeros(len(clips))
        prompts = self._prompts(first)
        room = self.whole.config.max_target_positions - prompts.shape[1]
        limits = [min(room, math.ceil(FASTEST * clip.seconds) + TOKENS_BESIDE) for clip in clips]
        settings = GenerationConfig(
            do_sample=False,
            num_beams=beams,
            max_new_tokens=max(limits),
            decoder_start_token_id=self._begin,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.eos_token_id,
            suppress_tokens=self._suppressed[0] or None,
            begin_suppress_tokens=self._suppressed[1] or None,
            return_dict_in_generate=True,
            output_scores=True,
        )
        with alone(self.whole, settings):
            # Whisper's own generate looks for timestamps and draws by chance where it is unsure.
            out = GenerationMixin.generate(
                self.whole,
                encoder_outputs=BaseModelOutput(heard),
                attention_mask=heard.new_ones(heard.shape[:2], dtype=torch.long),
                decoder_input_ids=prompts,
            )
        logs = self.whole.compute_transition_scores(
            out.sequences, out.scores, getattr(out, "beam_indices", None), normalize_logits=beams == 1
        )
        written = out.sequences[:, prompts.shape[1] :].tolist()
        return [
            self._transcript(
                clip, heard[i : i + 1], prompts[i], ids[: limits[i]], its.tolist(), float(silence[i])
            )
            for i, (clip, ids, its) in enumerate(zip(clips, written, logs, strict=True))
        ]

    def close(self) -> None:
        """Nothing is held beyond the model itself."""

    def _encode(self, sounds: Sequence[Tensor | None]) -> Tensor:
        features = self._features(
            [sound.cpu().numpy() for sound in sounds if sound is not None],
            sampling_rate=SAMPLE_RATE,
            return_tensors="pt",
        ).input_features
        encoder: Any = self.whole.get_encoder()
        weight = encoder.conv1.weight
        heard: Tensor = encoder(features.to(weight.device, weight.dtype)).last_hidden_state
        return heard

    def _first(self, heard: Tensor) -> Tensor:
        """Probabilities [B, vocabulary] of what follows the very beginning: a language, or no speech."""
        begin = torch.full((len(heard), 1), self._begin, device=heard.device)
        logits = self.whole(encoder_outputs=BaseModelOutput(heard), decoder_input_ids=begin).logits
        first: Tensor = logits[:, 0].float().softmax(-1)
        return first

    def _prompts(self, first: Tensor) -> Tensor:
        """[B, length]: the likeliest language, transcribe, no timestamps."""
        begin = torch.full((len(first), 1), self._begin, device=first.device)
        rest = [self._token("<|notimestamps|>")]
        if not self._languages:
            return torch.cat([begin, begin.new_tensor([rest]).expand(len(first), -1)], 1)
        languages = begin.new_tensor(self._languages)
        spoken = languages[first[:, languages].argmax(1)][:, None]
        rest = [self._token("<|transcribe|>"), *rest]
        return torch.cat([begin, spoken, begin.new_tensor([rest]).expand(len(first), -1)], 1)

    def _transcript(
        self,
        clip: Clip,
        heard: Tensor,
        prompt: Tensor,
        ids: list[int],
        logs: list[float],
        silence: float,
    ) -> Transcript:
        end = self.tokenizer.eos_token_id
        whole = end in ids
        ids = ids[: ids.index(end)] if whole else ids
        sure = sum(logs[: len(ids) + whole]) / max(1, len(ids) + whole)
        if silence > NO_SPEECH and sure < UNSURE:
            return Transcript("", speech=False)
        words, owners = spelled(self.tokenizer, ids, logs)
        words, looped = unlooped(words, whole)
        if words:
            words = with_times(words, owners, self._times(clip, heard, prompt, ids))
        text = " ".join(word.text for word in words)
        return Transcript(text, words, whole and not looped, read=heard.shape[1])

    def _times(
        self, clip: Clip, heard: Tensor, prompt: Tensor, ids: Sequence[int]
    ) -> list[tuple[float, float]]:
        steps = max(1, min(round(clip.seconds * GRID), heard.shape[1] * GRID // WHISPER_RATE))
        positions = range(min(heard.shape[1], math.ceil(clip.seconds * WHISPER_RATE)))
        rows = slice(len(prompt) - 1, None)
        with attention_kept(self.whole, ("encoder_attn",), rows, positions) as kept:
            self.whole(
                encoder_outputs=BaseModelOutput(heard),
                decoder_input_ids=torch.cat([prompt, prompt.new_tensor(ids)])[None],
            )
        first, last = (round(time * GRID) for time in speech_span(clip.sound, clip.seconds))
        attended = torch.cat(kept) @ spread(len(positions), WHISPER_RATE, steps)
        first, last = min(first, steps - 1), max(first + 1, min(last, steps))
        return token_times(attended, first, last, to_the_last=True)

    def _token(self, name: str) -> int:
        found = self._known(name)
        if found is None:
            raise StudioError("adapter", f"This Whisper's tokenizer knows no {name}.", _HINT)
        return found

    def _known(self, name: str) -> int | None:
        found: int | None = self.tokenizer.get_vocab().get(name)
        return found


def load_whisper(
    folder: Path, device: str
) -> tuple[WhisperForConditionalGeneration, PreTrainedTokenizerBase]:
    """The Whisper in a folder of a stranger, on ``device`` (bfloat16 on a GPU), frozen, and its tokenizer.

    StudioError when it is not whole, or asks for code of its own.
    """
    config = read_object(folder / "config.json")
    if "auto_map" in read_object(folder / "tokenizer_config.json", _LARGEST_TOKENIZER):
        config = config | {"auto_map": "the tokenizer's"}
    check_whisper(config, folder.name)
    if not (folder / "tokenizer.json").is_file():
        raise StudioError("base", f"{folder.name} has no tokenizer.json.", _HINT)
    for file in sorted(folder.glob("*.safetensors")):
        read_header(file)
    plain = {key: value for key, value in config.items() if not key.lstrip("_").startswith("attn_")}
    try:
        whole, found = WhisperForConditionalGeneration.from_pretrained(
            folder,
            config=WhisperConfig.from_dict(plain),
            dtype=torch.bfloat16 if device == "cuda" else torch.float32,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        tokenizer = WhisperTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise StudioError("base", f"{folder.name} could not be loaded.", _HINT, str(error)) from error
    missing = sorted(found["missing_keys"]) + sorted(str(key) for key in found["mismatched_keys"])
    if missing:
        raise StudioError(
            "base",
            f"The weights of {folder.name} are not whole: {len(missing)} tensors are missing or misshapen.",
            "Fetch it again.",
            "\n".join(missing[:50]),
        )
    return whole.to(device).requires_grad_(False).eval(), tokenizer


def _ids(own: GenerationConfig | None, name: str) -> list[int]:
    return [one for one in getattr(own, name, None) or [] if one >= 0]
