"""Training a LoRA: it learns, survives kills to the same bits, and matches PEFT step by step."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import pytest
import torch

from engine.formats.checkpoint_folder import newest_checkpoint
from engine.formats.dataset import read_rows
from engine.lora import read_adapter
from engine.training import LoraTask, Settings, StepDone, train


@pytest.fixture
def model(tiny_base_folder):
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    return LlamaForCausalLM.from_pretrained(tiny_base_folder)


def losses(events):
    return [event.metrics["loss"] for event in events if isinstance(event, StepDone)]


def test_it_learns_and_writes_what_it_learned(model, tiny_tokenizer, copy_task, tmp_path):
    rows = read_rows(copy_task)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    task = LoraTask(model, tiny_tokenizer, rows, rank=8, batch_size=20, name="copy", base="tiny")
    seen = losses(train(task, Settings(steps=150, learning_rate=0.02, seed=1)))
    assert seen[0] > 3.5
    assert seen[-1] < 0.1
    result = task.save(tmp_path / "copy")
    adapter = read_adapter(tmp_path / "copy")
    assert result["rank"] == adapter.rank == 8
    assert adapter.config.base == "tiny"
    task.close()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_the_curve_is_pefts(model, tiny_base_folder, tiny_tokenizer, copy_task, labelled):
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaForCausalLM

    settings = Settings(steps=10, learning_rate=0.01, warmup=0.0, weight_decay=0.01, decay="linear", seed=5)
    targets = ["q_proj", "v_proj", "down_proj"]
    task = LoraTask(
        model, tiny_tokenizer, read_rows(copy_task), rank=4, alpha=8, targets=targets, batch_size=16
    )
    theirs = get_peft_model(
        LlamaForCausalLM.from_pretrained(tiny_base_folder),
        LoraConfig(r=4, lora_alpha=8, target_modules=targets, lora_dropout=0.0),
    )
    started = task.bank.read("new").factors
    for path, module in theirs.named_modules():
        if path.endswith("lora_A.default"):
            name = path.removeprefix("base_model.model.").removesuffix(".lora_A.default")
            module.weight.data.copy_(started[name].A)
    parameters = [parameter for parameter in theirs.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, weight_decay=0.01)
    order = torch.Generator().manual_seed(5)
    batches = [batch for _ in range(3) for batch in task.batches(order)]
    expected = []
    for step in range(10):
        loss = theirs(**labelled([task.examples[number] for number in batches[step]])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 10)
        optimizer.step()
        optimizer.zero_grad()
        expected.append(loss.item())
    assert losses(train(task, settings)) == pytest.approx(expected, abs=1e-4)
    assert expected[-1] < expected[0] - 0.1


CHILD = """
    import sys, torch
    from pathlib import Path
    from safetensors.torch import save_file
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
    from engine.formats.dataset import read_rows
    from engine.training import Checkpoints, LoraTask, Settings, train

    base, data, folder = sys.argv[1:]
    folder = Path(folder)
    torch.set_num_threads(1)
    model = LlamaForCausalLM.from_pretrained(base)
    rows = read_rows(data)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    settings = Settings(steps=60, learning_rate=0.01, accumulation=2, seed=7, checkpoint_seconds=0.0)
    print("ready", flush=True)
    for line in sys.stdin:
        # Each start is a fresh process: the loaded base is shared by forking, nothing else is.
        import os
        child = os.fork()
        if child:
            print(child, flush=True)
            print(os.waitpid(child, 0)[1], flush=True)
            continue
        run = folder / line.split()[0]
        checkpoints = Checkpoints(run, epoch=int(line.split()[1]))
        found = checkpoints.newest()
        task = LoraTask(model, tokenizer, rows, rank=4, batch_size=16, seed=2)
        for event in train(task, settings, checkpoints, resume=found.tensors if found else None):
            pass
        save_file({n: t.detach() for n, t in task.parameters().items()}, run / "result.safetensors")
        os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_twenty_kills_change_no_bit(tiny_base_folder, copy_task, tmp_path):
    from safetensors.torch import load_file

    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), tiny_base_folder, copy_task, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def start(run, epoch, kill_after=None):
        child.stdin.write(f"{run} {epoch}\n")
        child.stdin.flush()
        process = int(child.stdout.readline())
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):  # it was faster, and has ended
                os.kill(process, signal.SIGKILL)
        return int(child.stdout.readline())

    try:
        assert child.stdout.readline() == "ready\n"
        began = time.monotonic()
        assert start("whole", 0) == 0
        whole_seconds = time.monotonic() - began
        chance, steps, kills, epoch = random.Random(3), [], 0, 0
        while kills < 20:
            # A run that was fast enough to end is begun again under another name.
            name = f"killed-{len(steps)}"
            epoch += 1
            if start(name, epoch, chance.uniform(0.02, 0.25) * whole_seconds) == 0:
                steps.append(name)
                continue
            kills += 1
        name = f"killed-{len(steps)}"
        found = newest_checkpoint(tmp_path / name, epoch)
        assert start(name, epoch + 1) == 0
        expected = load_file(tmp_path / "whole" / "result.safetensors")
        for run in [*steps, name]:
            result = load_file(tmp_path / run / "result.safetensors")
            assert all(torch.equal(tensor, expected[key]) for key, tensor in result.items())
        assert steps or found is not None
    finally:
        child.stdin.close()
        child.wait(timeout=60)
        child.stdout.close()
