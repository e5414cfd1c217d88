"""DoRA in rank space (arXiv 2402.09353): what each row is scaled by, for every prefix of the columns.

    y = c * (W x + s B A x) + b,     c_r = m / |W + s B_r A_r|      norms by row, B_r the first r columns

The norm is summed up without forming B A:  |W|^2 + 2 s sum_k B_k (W A_k) + s^2 sum_kl B_k B_l (A_k . A_l).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from engine.formats.errors import AdapterError
from engine.lora.adapter import Factors
from engine.lora.landing import linear_shape

__all__ = ["row_scales"]

_CHUNK = 1024
_FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@torch.no_grad()
def row_scales(module: nn.Module, factors: Factors) -> Tensor:
    """c [r + 1, d_out] in float64: row ``k`` is the scale with the first k columns. Worked in float64 over
    pieces of W; a packed W is read by feeding the identity through its module.

    AdapterError where a row is zero and so has no direction.
    """
    assert factors.magnitude is not None
    d_in, _ = linear_shape(module)
    device = next(module.parameters()).device
    A, B, m = (tensor.to(device, torch.float64) for tensor in (factors.A, factors.B, factors.magnitude))
    square = torch.zeros_like(m)
    WA = torch.zeros_like(B)
    for start in range(0, d_in, _CHUNK):
        W = _columns(module, start, min(d_in, start + _CHUNK)).double()
        square += W.square().sum(1)
        WA += W @ A[:, start : start + _CHUNK].t()
    s, G = factors.scale, A @ A.t()
    grown = 2 * s * B * WA + s * s * B * (2 * B @ G.triu(1) + B * G.diagonal())
    squares = torch.cat([square[:, None], grown], 1).cumsum(1)
    norm = squares.clamp(min=0).sqrt()
    scales = m[:, None] / norm
    if not bool(scales[:, 1:].isfinite().all()):
        raise AdapterError("A DoRA's rows have no length on this base.", "Choose the base it was trained on.")
    scales[:, 0].nan_to_num_(0, 0)  # a row of the base that is zero says nothing
    return scales.t().contiguous()


def _columns(module: nn.Module, start: int, stop: int) -> Tensor:
    """W[:, start:stop] as [d_out, stop - start]."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    d_in, d_out = linear_shape(module)
    if type(weight) in (Tensor, nn.Parameter) and weight.dtype in _FLOATS:
        turned = isinstance(module, (Conv1D, nn.Embedding))
        if weight.shape == ((d_in, d_out) if turned else (d_out, d_in)):
            return weight[start:stop].t() if turned else weight[:, start:stop]
    bias = getattr(module, "bias", None)
    kinds = [tensor.dtype for tensor in (bias, weight) if tensor is not None and tensor.dtype in _FLOATS]
    eye = torch.zeros(stop - start, d_in, dtype=kinds[0] if kinds else torch.float32, device=weight.device)
    eye[:, start:stop].fill_diagonal_(1)
    out = module.forward(eye)
    assert isinstance(out, Tensor)
    return (out if bias is None else out - bias).t()
