"""A base of two layers with one token per character, made in a moment; the same everywhere."""

import json
import string

import pytest

CHARACTERS = string.ascii_lowercase + string.digits + " :,é"


@pytest.fixture(scope="session")
def tiny_tokenizer():
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from tokenizers.decoders import Fuse
    from transformers import PreTrainedTokenizerFast

    words = {token: number for number, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory, tiny_tokenizer):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("base") / "tiny"
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
        # Wide enough that a LoRA can move the answer of a base that was never trained.
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    # It never says <pad>, <s> or <unk>, which would not survive being read as text again.
    model.lm_head.weight.data[[0, 1, 3]] = 0
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def copy_task(tmp_path_factory):
    """60 examples of a task that a small LoRA learns: say a word twice."""
    import random

    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh", k=chance.randint(2, 4))) for _ in range(60)]
    path = tmp_path_factory.mktemp("data") / "copy.jsonl"
    lines = [json.dumps({"prompt": f"{word}:", "completion": word[0] * 2}) for word in words]
    path.write_text("\n".join(lines) + "\n")
    return path
