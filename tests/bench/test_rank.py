"""Ranks: sliding one, ordering an adapter, and a whole curve, beside what there is instead."""

from __future__ import annotations

import json
import statistics
import time
import tracemalloc
from collections import OrderedDict

import psutil
import pytest
import torch
from torch.profiler import ProfilerActivity, profile
from transformers import AutoTokenizer

from engine.client import Client, start_engine, wait_for_end
from engine.formats.dataset import read_rows
from engine.lora import attach, read_adapter, svd_order, write_adapter
from engine.messages import (
    AddBase,
    Generate,
    ImportAdapter,
    MeasureRanks,
    Part,
    Score,
    Shutdown,
    Status,
    WarmUp,
    Work,
)
from engine.runtime.base import Base
from engine.runtime.requests import perform
from engine.runtime.voices import Voices
from engine.supervisor.home import Home
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
    assert timing.ratio("set_rank") < 0.01
    # A burst of slides, each a number written in place.
    seconds = []
    for rank in [1 + number % 8 for number in range(1000)]:
        began = time.perf_counter()
        bank.set_rank("0", rank)
        seconds.append(time.perf_counter() - began)
    slowest = sorted(seconds)[989] * 1e3
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        for rank in range(1, 9):
            bank.set_rank("0", rank)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    taken = sum(max(0, event.self_cpu_memory_usage) for event in seen.key_averages())
    print(f"  p99 of 1000 slides {slowest:.3f} ms; torch took {taken} bytes")
    assert slowest < 1.0 and taken == 0 and grown < 1_000_000  # the profiler's own notes


def test_decoding_after_a_slide(device, kind, compare):
    """The pass after a slide costs what the pass before it did: nothing is copied for it."""
    model = contenders.llama(1024, device, kind)
    bank = attach(model, {"0": svd_order(contenders.experts(model, 1)["0"])})
    bank.activate({"0": 1.0})
    token = torch.zeros(1, 1, dtype=torch.long, device=device)

    def still():
        bank.set_rank("0", 4)
        decode()
        return decode

    def slid():
        bank.set_rank("0", 8)
        decode()
        bank.set_rank("0", 4)
        return decode

    @torch.no_grad()
    def decode():
        model(token, use_cache=False)

    timing = compare({"after another token": still, "after a slide": slid}, device, repeats=15)
    print(timing.table(f"one token at rank 4 of 16, 1024 wide, {device}"))
    assert timing.ratio("after a slide") < 1.04


def test_ordering(tmp_path, compare):
    """Rank 16 on Linears 2048 wide, beside PEFT's conversion to a LoRA: an SVD of each dense update."""
    peft = pytest.importorskip("peft")
    from peft.tuners.lora.conversion import _convert_module_to_lora

    torch.manual_seed(0)
    layers = {f"layer{number}": torch.nn.Linear(2048, 2048, bias=False) for number in range(2)}
    model = torch.nn.Sequential(OrderedDict(layers))
    config = peft.LoraConfig(r=16, lora_alpha=32, target_modules=list(layers), init_lora_weights=False)
    wrapped = peft.get_peft_model(model, config)
    wrapped.peft_config["default"].auto_mapping = None  # that of a bare Sequential
    wrapped.save_pretrained(tmp_path / "it")
    card = tmp_path / "it" / "adapter_config.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"auto_mapping": None}))
    adapter = read_adapter(tmp_path / "it")
    modules = [wrapped.base_model.model.get_submodule(path) for path in layers]
    ours = {}

    def dense():
        return [_convert_module_to_lora(module, 16) for module in modules]

    def qr():
        ours["it"] = svd_order(adapter)

    arms = {"PEFT, dense SVD": lambda: dense, "svd_order": lambda: qr}
    timing = compare(arms, torch.device("cpu"), repeats=3, warmups=1)
    print(timing.table("ordering rank 16 on two Linears 2048 wide"))
    for path, (A, B, _) in zip(layers, dense(), strict=True):
        mine, old = ours["it"].factors[path], adapter.factors[path]
        whole = old.scale * old.B @ old.A
        assert torch.linalg.norm(mine.scale * mine.B @ mine.A - whole) < 1e-6 * torch.linalg.norm(whole)
        assert torch.linalg.norm(B @ A - whole) < 1e-4 * torch.linalg.norm(whole)
    assert timing.ratio("svd_order") < 1 / 50


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
        # Tokens are what a narrow base computes, and a score reads as many: only a wide one, whose single
        # tokens cost as much as many together, gains more than the passes that are left out.
        aims = {("exact", 1024): 1 / 3, ("exact", 128): 0.55, ("loss", 1024): 0.85, ("loss", 128): 1.0}
        assert timing.ratio("one curve") < aims[metric, width]
    voices.close()


def test_a_curve_through_a_runtime(tmp_path):
    """The starter's, as a person asks for it: processor time of the real runtime process."""
    adapter = svd_order(read_adapter(contenders.STARTER.parent / "adapters" / "reverse"))
    write_adapter(adapter, tmp_path / "it", rank=8)
    data = str(contenders.STARTER.parent / "data" / "reverse.heldout.jsonl")
    ranks = list(range(1, 9))
    engine = start_engine(Home(tmp_path / "home"), detach=True)
    with Client(engine) as client:
        client.call(AddBase(path=str(contenders.STARTER), name="starter"))
        client.call(ImportAdapter(path=str(tmp_path / "it"), name="it"))
        client.call(WarmUp(base="starter"))
        runtime = psutil.Process(client.call(Status()).runtimes[0].pid)
        for metric, aim in {"exact": 0.44, "loss": 0.9}.items():
            options = {"base": "starter", "data": data, "metric": metric, "limit": 150}
            scores = [Score(parts=[Part(name="it", rank=rank)], **options) for rank in ranks]
            asked = {"scores": scores, "curve": [MeasureRanks(adapter="it", ranks=ranks, **options)]}
            seconds = {arm: [] for arm in asked}
            for turn in range(6):
                for arm in sorted(asked, reverse=bool(turn % 2)):
                    before = sum(runtime.cpu_times()[:2])
                    for request in asked[arm]:
                        client.call(request)
                    seconds[arm].append(sum(runtime.cpu_times()[:2]) - before)
            both = zip(*(seconds[arm][1:] for arm in ("curve", "scores")), strict=True)
            ratios = sorted(curve / score for curve, score in both)
            print(
                f"\n{metric} at 8 ranks through a runtime, 128 wide, 150 rows: "
                f"{statistics.median(ratios):.3f} of eight scores ({ratios[0]:.3f} to {ratios[-1]:.3f}); "
                f"{runtime.memory_info().rss >> 20} MiB"
            )
            assert statistics.median(ratios) < aim
        client.call(Shutdown())
    assert wait_for_end(engine.pid, 20)
