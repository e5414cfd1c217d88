"""The transformer over fused features: a convolution that tells positions apart, then layers of attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.speech.avhubert.config import AvHubertConfig

__all__ = ["Layer", "PositionalConv", "Transformer"]


class PositionalConv(nn.Module):
    """A grouped convolution over time with weight norm (arXiv 1602.07868), then GELU.

    weight[:, :, k] = g[k] v[:, :, k] / |v[:, :, k]|. A kernel of even size gives one frame too many; the
    last is dropped.
    """

    def __init__(self, width: int, kernel: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.bias = nn.Parameter(torch.zeros(width))
        v = torch.randn(width, width // groups, kernel) * math.sqrt(4 / (kernel * width))
        self.weight_g = nn.Parameter(v.norm(dim=(0, 1), keepdim=True))
        self.weight_v = nn.Parameter(v)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] to the same."""
        weight = self.weight_v * (self.weight_g / self.weight_v.norm(dim=(0, 1), keepdim=True))
        kernel = weight.shape[-1]
        y = functional.conv1d(x.transpose(1, 2), weight, self.bias, padding=kernel // 2, groups=self.groups)
        return functional.gelu(y[..., : x.shape[1]]).transpose(1, 2)


class Attention(nn.Module):
    """Scaled dot-product attention of several heads over [B, T, width]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor, attended: Tensor | None) -> Tensor:
        q, k, v = (
            proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = functional.scaled_dot_product_attention(q, k, v, attended)
        out: Tensor = self.out_proj(y.transpose(1, 2).flatten(2))
        return out


class Layer(nn.Module):
    """Attention and feed-forward, with layer norms before (``pre_norm``) or after them."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.self_attn = Attention(config.width, config.heads)
        self.self_attn_layer_norm = nn.LayerNorm(config.width)
        self.fc1 = nn.Linear(config.width, config.feedforward)
        self.fc2 = nn.Linear(config.feedforward, config.width)
        self.final_layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        if self.pre_norm:
            x = x + self.self_attn(self.self_attn_layer_norm(x), attended)
            return x + self._feed(self.final_layer_norm(x))
        x = self.self_attn_layer_norm(x + self.self_attn(x, attended))
        last: Tensor = self.final_layer_norm(x + self._feed(x))
        return last

    def _feed(self, x: Tensor) -> Tensor:
        fed: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return fed


class Transformer(nn.Module):
    """[B, T, width] to the same; ``real`` [B, T] is false where a row is padded, whose frames nobody sees."""

    def __init__(self, config: AvHubertConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        position = PositionalConv(config.width, config.position_kernel, config.position_groups)
        self.pos_conv = nn.Sequential(position)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        attended = None
        if real is not None:
            x = x * real[..., None]
            attended = real[:, None, None]
        x = x + self.pos_conv(x)
        if not self.pre_norm:
            x = self.layer_norm(x)
        for layer in self.layers:
            x = layer(x, attended)
        return self.layer_norm(x) if self.pre_norm else x
