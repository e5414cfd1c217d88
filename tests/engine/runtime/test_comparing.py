"""A mix beside every alternative: each number computed again in another way, and a comparison cut short."""

import gc
import json
import random

import msgspec
import peft  # noqa: F401 - what its first import logs is kept, with the frames of whoever imported it
import pytest
import torch

from engine.formats.dataset import Row, read_rows
from engine.lora import attach
from engine.messages import ArmScore, ScoreMix
from engine.mixer import Router, load_mix, save_mix
from engine.mixer.training import RouterTask
from engine.runtime.arms import LEARNING
from engine.runtime.comparing import score_mix, training_rows
from engine.runtime.intervals import wilson
from engine.training import LoraTask, Mailbox, Settings, train
from engine.training.play import play
from engine.training.text import encode

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:transformers")

SETS = ("first", "last")
KINDS = (-1.0, 0.0, 1.0)
UNTRAINED = ("base", "experts", "oracle", "uniform", "soft", "topk", "hard")


@pytest.fixture(scope="module")
def paths(base, tmp_path_factory):
    """Two tasks, an expert for each, and a mix of both whose router was never trained; paths as a job has
    them."""
    room = tmp_path_factory.mktemp("comparing")
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefgh", k=3)) for _ in range(40)]
    tasks = {
        "first": [Row(f"1{word}:", word[0] * 2) for word in words],
        "last": [Row(f"2{word}:", word[-1] * 3) for word in words],
    }
    experts, found = {}, {}
    for name, rows in tasks.items():
        task = LoraTask(base.model, base.tokenizer, rows, rank=6, batch_size=20, name=name)
        for _ in train(task, Settings(steps=110, learning_rate=0.02)):
            pass
        experts[name] = task.bank.read(name)
        task.close()
        lines = [json.dumps({"prompt": row.prompt, "completion": row.completion}) for row in rows[:20]]
        found[f"data:{name}"] = found["train"] = str(room / f"{name}.jsonl")
        (room / f"{name}.jsonl").write_text("\n".join(lines))
    bank = attach(base.model, experts)
    router = Router(bank.layout(), tuple(experts), seed=3)
    for V in router.V:
        V.data *= 5
    (room / "mix").mkdir()
    save_mix(room / "mix", router, bank, name="both", base="tiny")
    bank.detach()
    return found | {"mix:both": str(room / "mix")}


def alone(base, bank, gates, prompt, length):
    """An answer by transformers' own greedy search, one prompt at a time."""
    ids = base.tokenizer(prompt, return_tensors="pt").input_ids
    with torch.no_grad(), play(bank, gates):
        out = base.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=length, do_sample=False
        )
    return base.tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True).strip()


def spec_of(**fields):
    data = {"first": "first", "last": "last"}
    return ScoreMix(**({"base": "tiny", "mix": "both", "data": data, "batch_size": 5} | fields))


def run(base, paths, folder, spec, mailbox=None, after=None, action="pause"):
    """The job to its end, or until ``action`` is posted ``after`` some turns: outcome, arms, progress."""
    said = []
    mailbox = mailbox or Mailbox()
    steps = score_mix(base, spec, paths, folder, mailbox, lambda *progress: said.append(progress))
    turns = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcome, result = end.value
            arms = {arm["name"]: ArmScore(**arm) for arm in result.get("arms", ())}
            return outcome, arms, said
        turns += 1
        if turns == after:
            mailbox.post(action)


def test_every_value_is_that_of_answers_given_one_by_one(base, paths, tmp_path):
    outcome, arms, said = run(base, paths, tmp_path, spec_of(arms=UNTRAINED))
    assert outcome == "done"
    bank, router, _ = load_mix(paths["mix:both"], base.model)
    whole = dict.fromkeys(SETS, 1.0)
    played = {
        "base": None,
        "expert:first": bank.new_gates({"first": 1.0}),
        "expert:last": bank.new_gates({"last": 1.0}),
        "uniform": bank.new_gates(whole),
        "soft": bank.new_gates(whole, router=router.play("soft")),
        "topk": bank.new_gates(whole, router=router.play("topk", 3)),
        "hard": bank.new_gates(whole, router=router.play("hard")),
    }
    assert list(arms) == ["base", "expert:first", "expert:last", "oracle", "uniform", "soft", "topk", "hard"]
    for name, gates in played.items():
        for test in SETS:
            rows = read_rows(paths[f"data:{test}"])
            hits = [alone(base, bank, gates, row.prompt, 11) == row.completion for row in rows]
            assert arms[name].sets[test] == pytest.approx(
                (sum(hits) / len(hits), *wilson(sum(hits), len(hits)))
            ), (name, test)
    bank.detach()
    assert [arms[f"expert:{name}"].sets[name][0] > 0.7 for name in SETS] == [True, True]
    assert arms["base"].value < 0.1
    for test in SETS:
        assert arms["oracle"].sets[test] == max(arms[f"expert:{name}"].sets[test] for name in SETS)
    for arm in arms.values():
        assert arm.value == pytest.approx(sum(value for value, _, _ in arm.sets.values()) / 2)
        assert arm.interval[0] <= arm.value <= arm.interval[1]
    assert arms["soft"].parameters == router.size
    assert all(0 <= done <= total for done, total, _ in said)
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)


def test_slid_experts_are_scored_at_their_ranks_in_every_arm(base, paths, tmp_path):
    ranks = {"first": 2}
    bank, router, _ = load_mix(paths["mix:both"], base.model, ranks=ranks)
    (tmp_path / "cut").mkdir()
    save_mix(tmp_path / "cut", router, bank, name="both", base="tiny")
    bank.detach()
    spec = spec_of(arms=("experts", "uniform", "arrow", "soft"), metric="loss", limit=8)
    _, slid, _ = run(base, paths, tmp_path / "slid", msgspec.structs.replace(spec, ranks=ranks))
    _, cut, _ = run(base, paths | {"mix:both": str(tmp_path / "cut")}, tmp_path / "other", spec)
    _, whole, _ = run(base, paths, tmp_path / "whole", spec)
    assert {name: arm.value for name, arm in slid.items()} == pytest.approx(
        {name: arm.value for name, arm in cut.items()}, abs=1e-5
    )
    assert [name for name in whole if whole[name].value != pytest.approx(slid[name].value, abs=1e-3)] == [
        "expert:first",
        "uniform",
        "arrow",
        "soft",
    ]
    assert [arm.label for arm in slid.values()][:2] == ["first at rank 2 alone", "last alone"]


def test_a_difference_to_the_mix_is_that_of_the_same_rows(base, paths, tmp_path):
    spec = spec_of(arms=("oracle", "uniform", "hard", "topk"))
    _, arms, _ = run(base, paths, tmp_path, spec)
    assert arms["topk"].beside_mix is None, "the first of soft, topk and hard that was scored"

    def hits(*names):
        kept = [json.loads((tmp_path / "arms" / f"{name}.json").read_bytes())["rows"] for name in names]
        return {test: max((each[test][0] for each in kept), key=sum) for test in SETS}

    mix, chance = hits("topk"), random.Random(1)
    others = {"hard": hits("hard"), "uniform": hits("uniform"), "oracle": hits("expert-first", "expert-last")}
    for name, other in others.items():
        gaps = {test: [a - b for a, b in zip(other[test], mix[test], strict=True)] for test in SETS}
        # Rows fall into three kinds; half a row of -1 and of +1 is shared by the sets, here about alike.
        drawn = []
        for _ in range(4000):
            weights = {
                test: [chance.gammavariate(gap.count(kind) + 0.25 * (kind != 0) + 1e-9, 1) for kind in KINDS]
                for test, gap in gaps.items()
            }
            drawn.append(sum((up - down) / (down + same + up) for down, same, up in weights.values()) / 2)
        drawn.sort()
        value, low, high = arms[name].beside_mix
        assert value == pytest.approx(arms[name].value - arms["topk"].value)
        assert value == pytest.approx(sum(sum(gap) / len(gap) for gap in gaps.values()) / 2)
        assert (low, high) == pytest.approx((drawn[100], drawn[-101]), abs=0.02), "a row is 0.025"
    assert any(gap != 0 for gap in gaps["first"] + gaps["last"])
    _, alone, _ = run(base, paths, tmp_path / "without", spec_of(arms=("base", "uniform"), limit=2))
    assert [arm.beside_mix for arm in alone.values()] == [None, None]


def test_the_oracle_without_its_experts_beside_it(base, paths, tmp_path):
    spec = spec_of(arms=("oracle", "base"), limit=4)
    _, arms, said = run(base, paths, tmp_path, spec)
    assert list(arms) == ["oracle", "base"]
    _, experts, _ = run(base, paths, tmp_path / "experts", spec_of(arms=("experts",), limit=4))
    for test in SETS:
        assert arms["oracle"].sets[test] == max(arm.sets[test] for arm in experts.values())
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)


def test_loss_is_that_of_each_row_alone(base, paths, tmp_path):
    _, arms, _ = run(base, paths, tmp_path, spec_of(arms=("experts", "oracle", "soft"), metric="loss"))
    bank, router, _ = load_mix(paths["mix:both"], base.model)
    played = {
        "expert:first": bank.new_gates({"first": 1.0}),
        "soft": bank.new_gates(dict.fromkeys(SETS, 1.0), router=router),
    }
    for name, gates in played.items():
        for test in SETS:
            nats, tokens = 0.0, 0
            for example in encode(base.tokenizer, read_rows(paths[f"data:{test}"])):
                ids = torch.tensor([example.ids])
                with torch.no_grad(), play(bank, gates):
                    odds = base.model(input_ids=ids).logits[0].log_softmax(-1)
                learned = range(example.asked, len(example.ids))
                nats -= sum(float(odds[place - 1, example.ids[place]]) for place in learned)
                tokens += len(learned)
            assert arms[name].sets[test][0] == pytest.approx(nats / tokens, rel=1e-5)
    bank.detach()
    for test in SETS:
        losses = [arms[f"expert:{name}"].sets[test][0] for name in SETS]
        assert arms["oracle"].sets[test][0] == min(losses)


def test_arms_that_learn_are_trained_on_the_rows_and_take_no_place_afterwards(base, paths, tmp_path):
    ids = torch.arange(8).view(1, 8)
    before = base.model(input_ids=ids).logits
    hooks = sum(len(module._forward_hooks) for module in base.model.modules())
    gc.collect()
    tensors = sum(issubclass(type(each), torch.nn.Parameter) for each in gc.get_objects())
    spec = spec_of(arms=LEARNING, train="last", max_examples=16, batch_size=8, limit=4)
    _, arms, said = run(base, paths, tmp_path, spec)
    gc.collect()
    assert sum(issubclass(type(each), torch.nn.Parameter) for each in gc.get_objects()) == tensors
    assert {name: arm.missing for name, arm in arms.items()} == dict.fromkeys(LEARNING, "")
    projections = 14
    assert arms["learned"].parameters == 2 * projections
    assert arms["xlora"].parameters == (32 + 1) * 2 * projections
    widths = [(32, 32), (32, 16), (32, 16), (32, 32), (32, 64), (32, 64), (64, 32)]
    assert arms["lora"].parameters >= 8 * 2 * sum(d_out for _, d_out in widths)
    assert {arm.trained for arm in arms.values()} == {16}
    assert any("step 6 of 6" in message for _, _, message in said)
    assert torch.equal(base.model(input_ids=ids).logits, before)
    assert sum(len(module._forward_hooks) for module in base.model.modules()) == hooks


def test_the_rows_to_learn_from_are_those_of_a_router(base, paths):
    rows = read_rows(paths["train"])
    experts = load_mix(paths["mix:both"], base.model)[0]
    adapters = {name: experts.read(name) for name in experts.experts}
    experts.detach()
    task = RouterTask(base.model, base.tokenizer, rows, adapters, max_examples=7, seed=4)
    task.close()
    drawn = training_rows(spec_of(train="last", max_examples=7, seed=4), paths)
    assert task.examples == encode(base.tokenizer, drawn)


def test_what_was_finished_is_not_run_again(base, paths, tmp_path):
    spec = spec_of(arms=("base", "uniform", "oracle", "soft"), limit=6)
    _, undisturbed, _ = run(base, paths, tmp_path / "whole", spec)
    outcome, none, _ = run(base, paths, tmp_path / "cut", spec, after=60)
    finished = {file.name: file.read_bytes() for file in (tmp_path / "cut" / "arms").iterdir()}
    assert outcome == "paused"
    assert none == {}
    assert 0 < len(finished) < 5
    outcome, arms, _ = run(base, paths, tmp_path / "cut", spec)
    assert outcome == "done"
    for name, content in finished.items():
        assert (tmp_path / "cut" / "arms" / name).read_bytes() == content
    for name, arm in arms.items():
        assert (arm.sets, arm.interval) == (undisturbed[name].sets, undisturbed[name].interval)


def test_another_data_set_makes_the_arms_anew(base, paths, tmp_path):
    spec = spec_of(arms=("base", "soft"), limit=6)
    _, first, _ = run(base, paths, tmp_path, spec)
    _, swapped, _ = run(base, paths | {"data:last": paths["data:first"]}, tmp_path, spec)
    assert swapped["soft"].sets["last"] == swapped["soft"].sets["first"] == first["soft"].sets["first"]


@pytest.mark.parametrize("action", ["cancel", "keep"])
def test_ended_early(base, paths, tmp_path, action):
    spec = spec_of(arms=("base", "uniform", "soft"), limit=6)
    hooks = sum(len(module._forward_hooks) for module in base.model.modules())
    outcome, arms, _ = run(base, paths, tmp_path, spec, after=45, action=action)
    assert sum(len(module._forward_hooks) for module in base.model.modules()) == hooks
    if action == "cancel":
        assert (outcome, arms) == ("cancelled", {})
    else:
        assert outcome == "done"
        assert arms["base"].missing == ""
        assert "ended before its turn" in arms["soft"].missing
        assert arms["soft"].sets == {}


def test_what_cannot_be_had_says_why(base, paths, tmp_path):
    _, arms, _ = run(base, paths, tmp_path, spec_of(arms=("base", *LEARNING), limit=2))
    assert arms["base"].missing == ""
    for name in LEARNING:
        assert "Choose a training set" in arms[name].missing
