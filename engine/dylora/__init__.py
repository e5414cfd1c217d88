"""DyLoRA: one adapter that is trained to work at every rank (arXiv 2210.07558).

task = DyloraTask(model, tokenizer, rows, rank=8)
for event in train(task, Settings(steps=600, learning_rate=3e-3)):
    print(event)
task.save(folder)       # PEFT loads it at full rank; every prefix of its columns is an adapter too
"""

from engine.dylora.draw import RankDraw
from engine.dylora.training import DyloraTask

__all__ = ["DyloraTask", "RankDraw"]
