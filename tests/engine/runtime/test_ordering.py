"""Moments gathered over calibration rows, between which others have their turn."""

import pytest
import torch

from engine.formats.errors import DataError
from engine.lora import new_adapter, read_adapter, svd_order, write_adapter
from engine.lora.weighing import Moments
from engine.messages import Done, OrderRanks, Part, Said, Work
from engine.runtime import ordering
from engine.runtime.requests import perform
from engine.runtime.scoring import read_examples
from engine.training.play import play


@pytest.fixture
def folder(base, tmp_path):
    adapter = new_adapter(base.model, 3, targets=["q_proj", "down_proj"])
    for number, item in enumerate(adapter.factors.values()):
        item.B.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(number))
    write_adapter(svd_order(adapter), tmp_path / "it")
    return tmp_path / "it"


def gather(voices, folder, data, out):
    request = OrderRanks(adapter="it", out="other", base="tiny", data=str(data))
    paths = {"adapter:it": str(folder), "data": str(data), "out": str(out)}
    return perform(Work(request=request, paths=paths), voices, {})


def test_moments_are_those_of_the_rows_alone(voices, folder, base, copy_task, tmp_path, monkeypatch):
    monkeypatch.setattr(ordering, "ROWS", 7)
    steps, said = gather(voices, folder, copy_task, tmp_path / "moments"), []
    while True:
        try:
            said.append(next(steps))
        except StopIteration as end:
            assert end.value == Done(path=str(tmp_path / "moments"))
            break
        base.model(torch.tensor([[5, 6, 7]]))  # somebody else's turn
    assert said[-1] == Said(text="Listening to it: row 7 of 7")
    moments = Moments.load(tmp_path / "moments")
    assert (moments.rows, moments.of) == (7, 60)
    assert not base.model.get_submodule("model.layers.0.mlp.down_proj")._forward_pre_hooks

    adapter, examples = read_adapter(folder), read_examples(base, copy_task)
    path, read = "model.layers.0.mlp.down_proj", []
    hook = base.model.get_submodule(path).register_forward_pre_hook(lambda _, args: read.append(args[0][0]))
    with voices.hold([Part(name="it")], None, {"adapter:it": str(folder)}) as voice, torch.no_grad():
        for number in range(7):
            with play(voice.bank, voice.gates):
                base.model(torch.tensor([examples[number * 60 // 7].ids]))
    hook.remove()
    said_there = torch.cat(read).double() @ adapter.factors[path].A.double().t()
    assert torch.allclose(moments.sums[path], said_there.t() @ said_there, rtol=1e-5)


def test_data_that_cannot_be_read_leaves_nothing_behind(voices, folder, base, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"prompt": "x"}\n')
    with pytest.raises(DataError):
        next(gather(voices, folder, tmp_path / "bad.jsonl", tmp_path / "moments"))
    assert not (tmp_path / "moments").exists()
