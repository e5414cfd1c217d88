"""Folders of speech models with random weights, as they lie on disk."""

from __future__ import annotations

import torch
from transformers import (
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

from engine.speech.avhubert.file import write_avhubert
from engine.speech.card import Part, write_card
from engine.speech.config import SpeechConfig
from engine.speech.encoders import AvHubertEar, AvHubertEye
from engine.speech.file import write_speech_model
from engine.speech.model import LoraSize, SpeechModel

CONFIG = SpeechConfig(audio_rates=(2, 5), video_rates=(2, 5), hidden=24)


def write_reader(folder, encoder, base, kind="llama-avsr"):
    """A model with ears and eyes around the base in the folder ``base``."""
    folder.mkdir()
    write_avhubert(encoder, folder / "encoder")
    llm = LlamaForCausalLM.from_pretrained(base)
    llm.save_pretrained(folder / "llm")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    tokenizer.save_pretrained(folder / "llm")
    parts = {"ear": AvHubertEar(encoder), "eye": AvHubertEye(encoder)}
    model = SpeechModel(llm, tokenizer, CONFIG, lora=LoraSize(rank=2), trainable=True, **parts)
    for factor in model.bank.parameters():
        factor.data.add_(0.05)  # one that was never trained is refused
    write_speech_model(model, folder / "speech")
    model.close()
    ear = Part(path="encoder", what="a tiny AV-HuBERT")
    write_card(
        folder, kind, {"ear": ear, "eye": ear, "llm": Part(path="llm", what="a tiny Llama")}, license="MIT"
    )
    return folder


def write_whisper(folder):
    """A Whisper of English letters."""
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|transcribe|>",
               "<|nospeech|>", "<|notimestamps|>"]  # fmt: skip
    letters = [*"abcdefghijklmnopqrstuvwxyz", "Ġ"]
    tokenizer = WhisperTokenizer(
        vocab={piece: number for number, piece in enumerate([*letters, *special])},
        merges=[],
        eos_token=special[0],
        bos_token=special[0],
        unk_token=special[0],
        additional_special_tokens=special[1:],
    )
    config = WhisperConfig(
        d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=24, num_mel_bins=80,
        max_source_positions=1500, vocab_size=len(letters) + len(special), decoder_layers=2,
        decoder_attention_heads=2, decoder_ffn_dim=24, max_target_positions=64, pad_token_id=27,
        bos_token_id=27, eos_token_id=27, decoder_start_token_id=28, init_std=0.3,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        whole = WhisperForConditionalGeneration(config)
    own = whole.generation_config
    own.is_multilingual, own.lang_to_id = True, {"<|en|>": 29, "<|de|>": 30}
    own.suppress_tokens, own._from_model_config = [28, 31, 32, 33], False
    whole.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
