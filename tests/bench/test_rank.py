"""Ranks: sliding one, ordering an adapter, and a whole curve, beside what there is instead."""

from __future__ import annotations

import json

import pytest
from transformers import AutoTokenizer

from engine.formats.dataset import read_rows
from engine.lora import attach, read_adapter, svd_order, write_adapter
from engine.messages import Generate, MeasureRanks, Part, Score, Work
from engine.runtime.base import Base
from engine.runtime.requests import perform
from engine.runtime.voices import Voices
from tests.bench import contenders

pytestmark = [
    pytest.mark.bench,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def test_changing_rank(device, kind, tmp_path, compare):
    model = contenders.llama(1024, device, kind)
    adapters = {"0": svd_order(contenders.experts(model, 1)["0"])}
    write_adapter(adapters["0"], tmp_path / "0")
    other = contenders.peft(model, adapters, tmp_path / "peft")
    bank = attach(model, {"0": read_adapter(tmp_path / "0")})
    bank.activate({"0": 1.0})
    names = iter(range(10_000))

    def load() -> None:
        name = f"again{next(names)}"
        other.load_adapter(tmp_path / "0", adapter_name=name)
        other.delete_adapter(name)

    arms = {"PEFT load_adapter": lambda: load, "set_rank": lambda: lambda: bank.set_rank("0", 4)}
    timing = compare(arms, device, repeats=9)
    print(timing.table(f"changing the rank of {len(bank.modules)} projections, 1024 wide, {device}"))
    assert timing.ratio("set_rank") < 0.05


@pytest.mark.parametrize(("width", "rows"), [(128, 150), (1024, 24)])
@pytest.mark.parametrize("metric", ["exact", "loss"])
def test_a_curve_of_eight_ranks(width, rows, metric, device, kind, tmp_path, compare):
    """Beside eight scores of the same adapter in the same process, as the command would ask for them.

    "right": every answer is right at every rank, where a score writes least and a curve reads most; "mixed":
    an eighth of the references are what each rank says.
    """
    tokenizer = AutoTokenizer.from_pretrained(contenders.STARTER)
    model = contenders.starter(device, kind) if width == 128 else contenders.llama(width, device, kind)
    if width == 128:
        adapter = svd_order(read_adapter(contenders.STARTER.parent / "adapters" / "reverse"))
    else:
        adapter = svd_order(contenders.experts(model, 1)["0"])
        model.lm_head.weight.data[len(tokenizer) :] = 0
        model.lm_head.weight.data[: tokenizer.convert_tokens_to_ids("a")] = 0
    write_adapter(adapter, tmp_path / "it", rank=8)
    base = Base("it", model, tokenizer, device, frozenset([tokenizer.eos_token_id]))
    voices = Voices(base)
    sets = {"right": contenders.STARTER.parent / "data" / "reverse.heldout.jsonl"}
    paths = {"adapter:it": str(tmp_path / "it")}

    def answer(request, data):
        work = perform(Work(request=request, paths=paths | {"data": str(data)}), voices, {})
        while True:
            try:
                next(work)
            except StopIteration as end:
                return end.value

    sets["mixed"] = tmp_path / "mixed.jsonl"
    lines = []
    for number, row in enumerate(read_rows(sets["right"], rows)):
        part = Part(name="it", rank=1 + number % 8)
        asked = Generate(base="it", prompt=row.prompt, parts=[part], max_new_tokens=len(row.completion))
        lines.append(json.dumps({"prompt": row.prompt, "completion": answer(asked, "").text}))
    sets["mixed"].write_text("\n".join(lines))
    for name in sets if width == 128 else ["mixed"]:
        options = {"base": "it", "data": str(sets[name]), "metric": metric, "limit": rows}
        asked = [Score(parts=[Part(name="it", rank=rank)], **options) for rank in range(1, 9)]
        whole = MeasureRanks(adapter="it", ranks=list(range(1, 9)), **options)
        separate = [answer(request, sets[name]).value for request in asked]
        assert [point.value for point in answer(whole, sets[name]).points] == pytest.approx(
            separate, rel=1e-5
        )

        def separately(asked=asked, data=sets[name]):
            for request in asked:
                answer(request, data)

        arms = {
            "eight scores": lambda run=separately: run,
            "one curve": lambda whole=whole, data=sets[name]: lambda: answer(whole, data),
        }
        timing = compare(arms, device, repeats=3, warmups=0)
        print(timing.table(f"{metric} at 8 ranks ({name}), {width} wide, {rows} rows, {device}"))
        assert timing.ratio("one curve") < 1.05
    voices.close()
