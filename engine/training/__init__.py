"""Training as a generator: a loop that yields after every micro-step, and checkpoints that survive a crash.

A method brings a Task; everything else is here. Usable without the studio:

    task = LoraTask(model, tokenizer, rows, rank=8)
    for event in train(task, Settings(steps=300, learning_rate=3e-3)):
        print(event)
    result = task.save(folder)
"""

from engine.training.checkpoint import Checkpoints
from engine.training.loop import CheckpointDone, Mailbox, Measured, MicroStepDone, StepDone, train
from engine.training.lora_task import LoraTask
from engine.training.task import Loss, Settings, Task

__all__ = [
    "CheckpointDone",
    "Checkpoints",
    "LoraTask",
    "Loss",
    "Mailbox",
    "Measured",
    "MicroStepDone",
    "Settings",
    "StepDone",
    "Task",
    "train",
]
