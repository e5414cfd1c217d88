"""Gates that experts bring along: each trained on its expert's own data, nobody else present.

    y = W x + sigmoid(v . x + u . mean(x)) s B A x          per projection; v and u alone train

after PHATGOOSE (arXiv 2402.05859). Gates that never met are made comparable as there: each half is
standardised over its entries and the input by its spread, here its mean over the experts' data, so that a
router stays a linear map. The paper's gates read the token alone; these also read the text so far.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as to_bytes
from torch import Tensor

from engine.formats.adapter_file import GATE
from engine.formats.dataset import Row
from engine.formats.errors import StudioError
from engine.formats.files import atomic_folder
from engine.formats.safetensors_file import read_header
from engine.lora import Adapter, Bank, attach
from engine.lora.write import save_adapter
from engine.messages import RouterInput, RouterShare
from engine.mixer.router import Router
from engine.training import Loss
from engine.training.play import play
from engine.training.text import collate, completion_logits, completion_loss, encode, shuffled

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["GATE", "Gate", "GateTask", "read_gate", "router_of_gates"]

SPREAD_EXAMPLES = 64


@dataclass(frozen=True)
class Gate:
    """What one expert brings: ``directions`` [1 or 2, d_in] by projection (the second half reads the running
    mean), and ``spreads``, the standard deviation over the entries of that projection's input."""

    directions: Mapping[str, Tensor]
    spreads: Mapping[str, float]

    @property
    def input(self) -> RouterInput:
        return "context" if next(iter(self.directions.values())).shape[0] == 2 else "local"


class GateTask:
    """A Task: the gate that one expert ships with, trained on rows of its own task.

    The expert is frozen. The bank stays on the model, silent, until ``close``. AdapterError when the expert
    does not fit, DataError for a row of more than ``max_length`` tokens.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[Row],
        adapter: Adapter,
        *,
        router_input: RouterInput = "context",
        batch_size: int = 32,
        max_length: int = 256,
        seed: int = 0,
        name: str = "expert",
        base: str = "",
    ) -> None:
        model.requires_grad_(False).eval()
        self.model = model
        self.name = name
        self.base = base
        self.batch_size = batch_size
        self.examples = encode(tokenizer, rows, max_length)
        self.bank = attach(model, {name: adapter}, dtype=model.dtype)
        self.router = Router(self.bank.layout(), (name,), router_input, null=False, activation="sigmoid")
        self.router.to(model.device)
        self.gates = self.bank.new_gates({name: 1.0}, router=self.router)

    def parameters(self) -> dict[str, Tensor]:
        return dict(zip(self.router.paths, self.router.V, strict=True))

    def batches(self, order: torch.Generator) -> list[list[int]]:
        return shuffled(len(self.examples), self.batch_size, order)

    def loss(self, numbers: Sequence[int]) -> Loss:
        batch = collate([self.examples[number] for number in numbers], self.model.device)
        with play(self.bank, self.gates):
            logits = completion_logits(self.model, batch)
        return Loss(completion_loss(logits, batch), batch.read)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write a copy of the adapter, an ordinary PEFT folder, with its gate beside it."""
        adapter = self.bank.read(self.name)
        named = dataclasses.replace(
            adapter, config=dataclasses.replace(adapter.config, base=self.base or adapter.config.base)
        )
        gate = Gate({path: V[:, 0] for path, V in self.parameters().items()}, self._spreads())
        with atomic_folder(folder, doing="saving the adapter with its gate") as work:
            save_adapter(named, work)
            (work / GATE).write_bytes(_encode(gate))
        return {"rank": adapter.rank, "gate_parameters": self.router.size}

    def close(self) -> None:
        """Take the bank off the model."""
        self.bank.detach()

    @torch.no_grad()
    def _spreads(self) -> dict[str, float]:
        """The spread of every projection's input over real tokens of the first examples, the expert at
        work."""
        batch = collate(self.examples[:SPREAD_EXAMPLES], self.model.device)
        spreads: dict[str, float] = {}

        def watch(path: str) -> Any:
            def hook(module: torch.nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
                x = output if isinstance(module, torch.nn.Embedding) else args[0]
                x = x.reshape(*batch.real.shape, -1)[batch.real].float()
                spreads[path] = float(x.var(-1, unbiased=False).mean().sqrt())

            return hook

        handles = [
            self.model.get_submodule(path).register_forward_hook(watch(path)) for path in self.router.paths
        ]
        try:
            with play(self.bank, self.bank.new_gates({self.name: 1.0})):
                self.model(input_ids=batch.ids, use_cache=False)
        finally:
            for handle in handles:
                handle.remove()
        return spreads


def read_gate(folder: str | Path) -> Gate:
    """The gate beside the adapter in ``folder``. StudioError when there is none, or it is damaged."""
    path = Path(folder) / GATE
    if not path.is_file():
        raise StudioError(
            "missing", f"{path.parent.name} brings no gate along.", "Train its gate on data of its own task."
        )
    read_header(path)
    tensors = parse_tensors(path.read_bytes())
    directions = {name.removesuffix(".gate"): t for name, t in tensors.items() if name.endswith(".gate")}
    spreads = {name.removesuffix(".spread"): t for name, t in tensors.items() if name.endswith(".spread")}
    whole = (
        directions
        and len(tensors) == 2 * len(directions)
        and directions.keys() == spreads.keys()
        and len({t.shape[0] if t.dim() == 2 else 0 for t in directions.values()} | {0}) == 2
        and all(
            t.dim() == 2 and t.shape[0] in (1, 2) and bool(t.isfinite().all()) for t in directions.values()
        )
        and all(t.numel() == 1 and 0 < float(t) < float("inf") for t in spreads.values())
    )
    if not whole:
        raise StudioError("failed", f"The gate of {path.parent.name} is damaged.", "Train its gate again.")
    return Gate(directions, {name: float(t) for name, t in spreads.items()})


def router_of_gates(
    bank: Bank,
    gates: Mapping[str, Gate],
    input: RouterInput = "context",
    null: bool = False,
    temperature: float = 1.0,
    share: RouterShare = "projection",
) -> Router:
    """A router over the experts of ``bank`` from the gates that they bring; nothing is trained.

    StudioError where an expert has no gate here, or its gate reads another input or is of another base.
    """
    router = Router(bank.layout(), bank.experts, input, null, temperature, share=share, groups=bank.groups())
    with torch.no_grad():
        for path, V in zip(router.paths, router.V, strict=True):
            here = {name: gates[name] for name in bank.experts if path in gates[name].directions}
            spread = sum(gate.spreads[path] for gate in here.values()) / max(1, len(here))
            for column, name in enumerate(router.experts):
                if name in here:
                    V[:, column] = _comparable(here[name], name, path, V) / spread
    return router


def _comparable(gate: Gate, name: str, path: str, V: Tensor) -> Tensor:
    """[halves, d_in]: each half with mean 0 and length 1."""
    direction = gate.directions[path]
    if direction.shape != (V.shape[0], V.shape[2]):
        raise StudioError(
            "usage",
            f"The gate of {name} was trained for another base or another router input.",
            f"Use {gate.input} input, or train its gate again on this base.",
            f"{path}: {tuple(direction.shape)} for {(V.shape[0], V.shape[2])}",
        )
    centred = direction - direction.mean(-1, keepdim=True)
    standard: Tensor = centred / centred.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(centred.dtype).tiny)
    return standard


def _encode(gate: Gate) -> bytes:
    tensors = {f"{path}.gate": V.detach().cpu().contiguous() for path, V in gate.directions.items()}
    tensors |= {f"{path}.spread": torch.tensor([spread]) for path, spread in gate.spreads.items()}
    data: bytes = to_bytes(tensors, {"format": "pt"})
    return data
