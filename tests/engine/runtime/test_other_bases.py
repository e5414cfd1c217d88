"""State-space bases and bfloat16 ones: loaded as strangers' folders, played, compared, routed and scored."""

import dataclasses
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
)

from engine.lora import attach, new_adapter, write_adapter
from engine.lora.adapter import Factors
from engine.messages import (
    Ask,
    Compare,
    Domain,
    Generate,
    Mixing,
    Part,
    Route,
    RowDone,
    Score,
    ScoreMix,
    TrainJoint,
    TrainRouter,
    Work,
)
from engine.mixer import Router, save_mix
from engine.runtime.base import load_base
from engine.runtime.comparing import score_mix
from engine.runtime.requests import perform
from engine.runtime.tasks import make_task, settings_of
from engine.runtime.voices import Voices, mixed
from engine.training import Mailbox, StepDone, train


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


def finish(steps, say=lambda said: None):
    while True:
        try:
            say(next(steps))
        except StopIteration as end:
            return end.value


def ask(voices, request, paths, say=lambda said: None):
    return finish(perform(Work(request=request, paths=paths), voices, {}), say)


STATE_SPACES = {
    "mamba": (MambaForCausalLM, MambaConfig, {}),
    "mamba2": (Mamba2ForCausalLM, Mamba2Config, {"num_heads": 4, "head_dim": 16, "n_groups": 1}),
}


@pytest.fixture(scope="module", params=STATE_SPACES)
def mamba(request, tmp_path_factory, tiny_tokenizer):
    folder = tmp_path_factory.mktemp("mamba") / f"tiny-{request.param}"
    kind, config, more = STATE_SPACES[request.param]
    settings = config(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        state_size=8,
        num_hidden_layers=2,
        initializer_range=0.5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
        **more,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(settings)
    model.lm_head.weight.data[:4] = 0
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    base = load_base(folder, folder.name, "cpu")
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
    assert len(said) >= 3


def test_voices_on_mamba_are_compared_in_one_batch(mamba):
    voices, paths = mamba
    said = []
    request = Compare(base="", prompt="ab:", voices=VOICES, max_new_tokens=12)
    compared = ask(voices, request, paths, said.append)
    routings = {each.row: each.answer.routing for each in said if isinstance(each, RowDone)}
    for row, (voice, together) in enumerate(zip(VOICES, compared.answers, strict=True)):
        fields = {"parts": voice.parts, "mixing": voice.mixing, "record": voice.record}
        alone = ask(voices, Generate(base="", prompt="ab:", max_new_tokens=12, **fields), paths)
        assert together.text == alone.text
        if alone.routing is not None:
            difference = torch.tensor(routings[row].gates) - torch.tensor(alone.routing.gates)
            assert difference.abs().max() < 1e-4
    routing = ask(voices, Route(mixing=Mixing(name="both"), prompt="ab:"), paths)
    assert torch.allclose(torch.tensor(routing.gates), torch.tensor(routings[2].gates[:4]), atol=1e-4)


@pytest.mark.parametrize("metric", ["exact", "loss"])
def test_a_mix_on_mamba_is_scored_alike_in_batches_and_alone(mamba, copy_task, metric):
    """Rows of different lengths in one batch: the padding on the left leaves no trace."""
    voices, paths = mamba
    request = {"base": "", "data": "", "mixing": Mixing(name="both"), "metric": metric, "limit": 12}
    scored = [
        ask(voices, Score(batch_size=size, **request), paths | {"data": str(copy_task)}) for size in (1, 12)
    ]
    assert scored[0].n == 12 and scored[0].value == pytest.approx(scored[1].value, rel=1e-4)


@pytest.mark.parametrize("paradigm", ["frozen", "joint"])
def test_a_mix_is_trained_on_mamba_and_played(mamba, copy_task, tmp_path, paradigm):
    voices, paths = mamba
    base = voices.base
    common = {"base": base.name, "out": "new", "batch_size": 16, "steps": 30}
    if paradigm == "frozen":
        spec = TrainRouter(experts=["left", "right"], data="copy", learning_rate=5e-2, **common)
    else:
        domains = [Domain(expert=name, data="copy") for name in ("left", "right")]
        spec = TrainJoint(domains=domains, rank=4, learning_rate=1e-2, **common)
    data = dict.fromkeys(("data", "data:left", "data:right"), str(copy_task))
    if paradigm == "joint":
        del data["data"]
    task = make_task(base, spec, paths | data)
    losses = []
    try:
        assert finish(train(task, settings_of(spec, len(task.examples))), losses.append) == "done"
        task.save(tmp_path / "new")
    finally:
        task.close()
    losses = [event.metrics["task_loss"] for event in losses if isinstance(event, StepDone)]
    assert sum(losses[-10:]) < 0.98 * sum(losses[:10])
    request = Generate(base="", prompt="ab:", mixing=Mixing(name="new"), record=True, max_new_tokens=4)
    answer = ask(voices, request, {"mix:new": str(tmp_path / "new")})
    assert answer.routing.experts == ["left", "right", "null"]


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


def test_on_a_half_precision_base_scores_and_training_hear_what_answers_hear(half, copy_task, tmp_path):
    voices, paths = half
    live = Score(base="", data="", mixing=Mixing(name="both"), metric="loss", limit=12, batch_size=4)
    spec = ScoreMix(
        base="", mix="both", data={"copy": ""}, arms=("soft",), metric="loss", limit=12, batch_size=4
    )
    read = {"mix:both": paths["mix:both"], "data:copy": str(copy_task)}
    _, result = finish(score_mix(voices.base, spec, read, tmp_path, Mailbox(), lambda *said: None))
    assert result["arms"][0]["value"] == ask(voices, live, paths | {"data": str(copy_task)}).value

    training = TrainRouter(base="", experts=["left", "right"], data="copy", out="new", batch_size=8, steps=2)
    task = make_task(voices.base, training, paths | {"data": str(copy_task)})
    try:
        with voices.hold([], Mixing(name="both"), paths) as voice:
            heard = products(voices, voice)
        assert products(voices, mixed(task.bank, task.router, [], Mixing())) == heard
        finish(train(task, settings_of(training, len(task.examples))))
        assert {V.dtype for V in task.router.V} == {torch.float32}
    finally:
        task.close()


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
