"""Gates that experts bring along: trained alone, at home in a PEFT folder, comparable when they meet."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.formats.errors import StudioError
from engine.lora import Tape, attach, read_adapter
from engine.mixer import load_mix
from engine.mixer.own_gate import GATE, Gate, GateTask, read_gate, router_of_gates
from engine.mixer.training import RouterTask
from engine.training import Settings, StepDone, train


@pytest.fixture(scope="module")
def home(setting, tiny_tokenizer, tmp_path_factory):
    """A base, two tasks, for each a folder with an expert and its gate, and the gates' losses."""
    model, tasks, experts = setting
    folder, losses = tmp_path_factory.mktemp("gates"), {}
    for name, rows in tasks.items():
        task = GateTask(model, tiny_tokenizer, rows, experts[name], batch_size=20, name=name, base="tiny")
        settings = Settings(steps=60, learning_rate=0.02)
        losses[name] = [e.metrics["loss"] for e in train(task, settings) if isinstance(e, StepDone)]
        assert task.save(folder / name)["gate_parameters"] == task.router.size
        task.close()
    return model, tasks, folder, losses


def test_a_gate_opens_for_its_own_task(home):
    model, tasks, folder, losses = home
    assert not model._forward_hooks
    for name in tasks:
        assert losses[name][-1] < 0.8 * losses[name][0]
        gate = read_gate(folder / name)
        assert gate.input == "context" and len(gate.directions) == 14
        assert all(0 < spread < 100 for spread in gate.spreads.values())


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_the_folder_is_an_ordinary_adapter(home, tiny_base_folder):
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    model, _, folder, _ = home
    ids = torch.tensor([[1, 7, 9, 11, 6]])
    peft = PeftModel.from_pretrained(
        LlamaForCausalLM.from_pretrained(tiny_base_folder), folder / "first"
    ).eval()
    bank = attach(model, {"first": read_adapter(folder / "first")})
    bank.activate({"first": 1.0})
    with torch.no_grad():
        assert torch.allclose(model(ids).logits, peft(ids).logits, atol=1e-4)
    bank.detach()


def test_gates_that_never_met_make_a_mix(home, tiny_tokenizer, tmp_path):
    """Each task's tokens are led by its own expert, and nothing was trained together."""
    model, tasks, folder, _ = home
    experts = {name: read_adapter(folder / name) for name in tasks}
    folders = {name: folder / name for name in tasks}
    task = RouterTask(model, tiny_tokenizer, [], experts, start="gates", gate_folders=folders)
    task.save(tmp_path / "mix")
    task.close()
    bank, router, mix = load_mix(tmp_path / "mix", model)
    assert mix.made == "gates"
    gates = bank.new_gates(dict.fromkeys(tasks, 1.0), router=router)
    gates.tape = Tape()
    bank.gates = gates
    for column, (name, rows) in enumerate(tasks.items()):
        ids = torch.tensor(tiny_tokenizer([row.prompt for row in rows]).input_ids)
        with torch.no_grad():
            model(ids)
        weights = gates.tape.gates.pop()[..., :2].mean((0, 1, 2))
        assert int(weights.argmax()) == column, name
    bank.detach()


def test_gates_are_standardised(home):
    model, tasks, folder, _ = home
    bank = attach(model, {name: read_adapter(folder / name) for name in tasks})
    gates = {name: read_gate(folder / name) for name in tasks}
    router = router_of_gates(bank, gates, share="group")
    bank.detach()
    for path, V in zip(router.paths, router.V, strict=True):
        spread = sum(gate.spreads[path] for gate in gates.values()) / 2
        assert torch.allclose(V.mean(-1), torch.zeros(2, 2), atol=1e-6)
        assert torch.allclose(V.norm(dim=-1), torch.full((2, 2), 1 / spread), rtol=1e-4)
    scaled = {name: Gate({p: 7 * d for p, d in g.directions.items()}, g.spreads) for name, g in gates.items()}
    bank = attach(model, {name: read_adapter(folder / name) for name in tasks})
    again = router_of_gates(bank, scaled, share="group")
    bank.detach()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(router.V, again.V, strict=True))


def test_what_does_not_fit_is_refused(home, tiny_tokenizer, tmp_path):
    model, tasks, folder, _ = home
    experts = {name: read_adapter(folder / name) for name in tasks}
    folders = {name: folder / name for name in tasks}
    with pytest.raises(StudioError, match="another router input") as caught:
        RouterTask(
            model, tiny_tokenizer, [], experts, start="gates", gate_folders=folders, router_input="local"
        )
    assert "context" in caught.value.hint
    shutil.copytree(folder / "first", tmp_path / "first")
    (tmp_path / "first" / GATE).unlink()
    with pytest.raises(StudioError, match="brings no gate"):
        read_gate(tmp_path / "first")
    whole = load_file(folder / "first" / GATE)
    one = next(name for name in whole if name.endswith(".gate"))
    for damage in (
        {one: torch.full_like(whole[one], float("nan"))},
        {one: torch.zeros(3, 32)},
        {one: torch.zeros(32)},
        {one.replace(".gate", ".spread"): torch.tensor([0.0])},
        {"other.gate": torch.zeros(2, 32)},
    ):
        save_file(whole | damage, tmp_path / "first" / GATE)
        with pytest.raises(StudioError, match="damaged"):
            read_gate(tmp_path / "first")
    (tmp_path / "first" / GATE).write_bytes(b"PK\x03\x04")
    with pytest.raises(StudioError):
        read_gate(tmp_path / "first")
    assert not model._forward_hooks
