"""Repositories that look like real ones, for the Hub of the tests."""

import json

from engine.supervisor.starter import STARTER

__all__ = ["ADAPTER", "adapter", "adapter_config"]

ADAPTER = STARTER / "adapters" / "sort"


def adapter_config(**fields):
    return json.dumps({"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], **fields})


def adapter(base="org/base"):
    """The files of an adapter, of which only the config is ever read."""
    return {
        "adapter_config.json": adapter_config(base_model_name_or_path=base),
        "adapter_model.safetensors": b"\x02\0\0\0\0\0\0\0{}",
    }
