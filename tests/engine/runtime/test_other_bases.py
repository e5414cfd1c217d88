"""State-space bases and bfloat16 ones: loaded as strangers' folders, played, compared, routed and scored."""

import dataclasses
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM

from engine.lora import attach, new_adapter, write_adapter
from engine.lora.adapter import Factors
from engine.messages import Ask, Compare, Generate, Mixing, Part, Route, Score, Work
from engine.mixer import Router, save_mix
from engine.runtime.base import load_base
from engine.runtime.requests import perform
from engine.runtime.voices import Voices


def loud(model, name, seed):
    """A fresh adapter that is clearly heard."""
    fresh = new_adapter(model, 4, seed=seed, name=name)
    chance = torch.Generator().manual_seed(seed)
    factors = {
        path: Factors(old.A, torch.randn(old.B.shape, generator=chance) * 0.3, old.scale)
        for path, old in fresh.factors.items()
    }
    return dataclasses.replace(fresh, factors=factors)


def furnish(base, folder):
    """Two adapters and a mix of them under a loud context router, as paths."""
    adapters = {name: loud(base.model, name, seed) for seed, name in enumerate(("left", "right"))}
    paths = {}
    for name, adapter in adapters.items():
        write_adapter(adapter, folder / name)
        paths[f"adapter:{name}"] = str(folder / name)
    bank = attach(base.model, adapters)
    router = Router(bank.layout(), tuple(adapters), seed=3)
    for V in router.V:
        V.data *= 50
    (folder / "both").mkdir()
    save_mix(folder / "both", router, bank, name="both", base=base.name)
    bank.detach()
    return paths | {"mix:both": str(folder / "both")}


def ask(voices, request, paths):
    steps = perform(Work(request=request, paths=paths), voices, {})
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def mamba(tmp_path_factory, tiny_tokenizer):
    folder = tmp_path_factory.mktemp("mamba") / "tiny-mamba"
    config = MambaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        state_size=8,
        num_hidden_layers=2,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MambaForCausalLM(config)
    model.lm_head.weight.data[:4] = 0
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    base = load_base(folder, "tiny-mamba", "cpu")
    voices = Voices(base)
    yield voices, furnish(base, tmp_path_factory.mktemp("paths"))
    voices.close()


VOICES = [
    Ask(),
    Ask(parts=[Part(name="left")]),
    Ask(mixing=Mixing(name="both"), record=True),
    Ask(mixing=Mixing(name="both", mode="hard")),
]


def test_mamba_answers_as_if_it_read_everything_anew_for_each_token(mamba):
    voices, paths = mamba
    model, tokenizer = voices.base.model, voices.base.tokenizer
    said = set()
    for voice in VOICES:
        fields = {"parts": voice.parts, "mixing": voice.mixing}
        answer = ask(voices, Generate(base="", prompt="ab:", max_new_tokens=12, **fields), paths)
        ids = tokenizer("ab:").input_ids
        with voices.hold(voice.parts, voice.mixing, paths) as heard, torch.no_grad():
            while len(ids) < 4 + 12 and ids[-1] != 2:
                with heard.playing():
                    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
                ids.append(int(logits[0, -1].argmax()))
        assert answer.text == tokenizer.decode(ids[4:], skip_special_tokens=True)
        said.add(answer.text)
    assert len(said) == len(VOICES)


def test_voices_on_mamba_are_compared_in_one_batch(mamba):
    voices, paths = mamba
    compared = ask(voices, Compare(base="", prompt="ab:", voices=VOICES, max_new_tokens=12), paths)
    for voice, together in zip(VOICES, compared.answers, strict=True):
        fields = {"parts": voice.parts, "mixing": voice.mixing, "record": voice.record}
        alone = ask(voices, Generate(base="", prompt="ab:", max_new_tokens=12, **fields), paths)
        assert together.text == alone.text
        if alone.routing is not None:
            difference = torch.tensor(together.routing.gates) - torch.tensor(alone.routing.gates)
            assert difference.abs().max() < 1e-4
    routing = ask(voices, Route(mixing=Mixing(name="both"), prompt="ab:"), paths)
    assert torch.allclose(
        torch.tensor(routing.gates), torch.tensor(compared.answers[2].routing.gates[:4]), atol=1e-4
    )


@pytest.mark.parametrize("metric", ["exact", "loss"])
def test_a_mix_on_mamba_is_scored_alike_in_batches_and_alone(mamba, copy_task, metric):
    """Rows of different lengths in one batch: the padding on the left leaves no trace."""
    voices, paths = mamba
    request = {"base": "", "data": "", "mixing": Mixing(name="both"), "metric": metric, "limit": 12}
    scored = [
        ask(voices, Score(batch_size=size, **request), paths | {"data": str(copy_task)}) for size in (1, 12)
    ]
    assert scored[0].n == 12 and scored[0].value == pytest.approx(scored[1].value, rel=1e-4)


@pytest.fixture(scope="module")
def half(tmp_path_factory, tiny_base_folder):
    """The tiny base as it would be published in bfloat16."""
    folder = tmp_path_factory.mktemp("half") / "tiny-half"
    AutoModelForCausalLM.from_pretrained(tiny_base_folder, dtype=torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base_folder).save_pretrained(folder)
    base = load_base(folder, "tiny-half", "cpu")
    voices = Voices(base)
    yield voices, furnish(base, tmp_path_factory.mktemp("paths"))
    voices.close()


def test_a_half_precision_base_plays_its_experts_in_its_own_format(half):
    """No product is cast up: what experts add is bfloat16, as all of the base but its positions is."""
    voices, paths = half
    assert voices.base.model.dtype == torch.bfloat16
    with voices.hold([], None, paths) as silence:
        alone = products(voices, silence)
    for mixing, parts in ((None, [Part(name="left")]), (Mixing(name="both"), [])):
        with voices.hold(parts, mixing, paths) as voice:
            seen = products(voices, voice)
        assert seen[torch.float32] == alone[torch.float32]
        assert seen[torch.bfloat16] > alone[torch.bfloat16] + 10
    answer = ask(voices, Generate(base="", prompt="ab:", mixing=Mixing(name="both")), paths)
    assert answer.tokens > 0


def products(voices, voice):
    """How many matrix products of each format one forward pass makes."""
    seen = Counter()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, arguments=(), options=None):
            if "mm" in function.overloadpacket.__name__:
                seen[arguments[-1].dtype] += 1
            return function(*arguments, **(options or {}))

    with torch.no_grad(), voice.playing(), Watch():
        voices.base.model(torch.tensor([[1, 5, 6]]))
    return seen
