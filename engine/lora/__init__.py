"""The heart: LoRA adapters read safely, stacked into one bank on any transformers model, ordered and
written back.

adapter = read_adapter(folder)
bank = attach(model, {"a": adapter})
bank.activate({"a": 1.0})       # equals PEFT with that adapter
bank.set_rank("a", 4)           # at the next forward
bank.detach()                   # the model is bit for bit what it was
"""

from engine.formats.errors import AdapterError
from engine.lora.adapter import Adapter, Factors, read_adapter
from engine.lora.bank import Bank, attach
from engine.lora.fresh import new_adapter
from engine.lora.gates import Gates
from engine.lora.order import at_rank, in_order, svd_order
from engine.lora.rows import Rows
from engine.lora.tape import Tape
from engine.lora.write import write_adapter

__all__ = [
    "Adapter",
    "AdapterError",
    "Bank",
    "Factors",
    "Gates",
    "Rows",
    "Tape",
    "at_rank",
    "attach",
    "in_order",
    "new_adapter",
    "read_adapter",
    "svd_order",
    "write_adapter",
]
