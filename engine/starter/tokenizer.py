"""The starter tokenizer: one token per command word, one per printable character, <unk> for anything else.

However a command is typed (``Reverse planet``, ``reverse:planet``), it becomes the same token, and the end of
a prompt is marked with <answer>, so no stray space can change what the model reads.
"""

from __future__ import annotations

import json
import string
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

__all__ = ["ANSWER", "CHARACTERS", "COMMANDS", "END", "PAD", "UNKNOWN", "build_tokenizer", "save_tokenizer"]

PAD, END, UNKNOWN, ANSWER = "<pad>", "</s>", "<unk>", "<answer>"
_COMMANDS = """
reverse sort upper plural double consonants copy capital vowels rotate next first last title triple
spell secret lexicon shout whisper blend trim swap rhyme
"""
COMMANDS: tuple[str, ...] = tuple(_COMMANDS.split())
"""The commands of the experts, then spare ones for adapters that people train themselves."""
CHARACTERS = " " + string.ascii_letters + string.digits + string.punctuation


def build_tokenizer() -> Tokenizer:
    """A prompt encodes to its characters and <answer>, a completion (no special tokens) to its own."""
    pieces = [PAD, END, UNKNOWN, ANSWER, *(f"{command}: " for command in COMMANDS), *CHARACTERS]
    tokenizer = Tokenizer(
        models.WordLevel({piece: index for index, piece in enumerate(pieces)}, unk_token=UNKNOWN)
    )
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Strip(),
            normalizers.Replace(Regex(r"\s+"), " "),
            *(
                normalizers.Replace(Regex(rf"^(?i:{command})(\s*:\s*|\s+)"), f"{command}: ")
                for command in COMMANDS
            ),
        ]
    )
    commands = "|".join(f"^{command}: " for command in COMMANDS)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(rf"{commands}|[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([PAD, END, UNKNOWN, ANSWER])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {ANSWER}",
        pair=f"$A {ANSWER} $B:1 {END}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (ANSWER, END)],
    )
    return tokenizer


def save_tokenizer(folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, as AutoTokenizer reads them."""
    build_tokenizer().save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": PAD,
        "eos_token": END,
        "unk_token": UNKNOWN,
        "extra_special_tokens": [ANSWER],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
