"""AV-HuBERT written a second time, in float64 and numpy alone, sums and windows spelled out."""

from __future__ import annotations

import math

import numpy
from numpy.lib.stride_tricks import sliding_window_view

EPS = 1e-5
_erf = numpy.vectorize(math.erf)


class Named:
    """The tensors of a state dict below a prefix, as float64 arrays."""

    def __init__(self, state, prefix=""):
        self.state, self.prefix = state, prefix

    def __getitem__(self, name):
        return self.state[self.prefix + name].double().numpy()

    def below(self, prefix):
        return Named(self.state, f"{self.prefix}{prefix}.")

    def has(self, name):
        return self.prefix + name in self.state


def convolve(x, weight, stride, pad):
    """x [channels, *sizes], weight [out, channels, *kernel]: cross-correlation over all of the sizes."""
    x = numpy.pad(x, [(0, 0), *((p, p) for p in pad)])
    axes = tuple(range(1, x.ndim))
    windows = sliding_window_view(x, weight.shape[2:], axes)
    windows = windows[(slice(None), *(slice(None, None, s) for s in stride))]
    kernel = tuple(range(1 + len(axes), 1 + 2 * len(axes)))
    return numpy.tensordot(weight, windows, axes=((1, *range(2, weight.ndim)), (0, *kernel)))


def batch_norm(x, w):
    shape = (-1, *[1] * (x.ndim - 1))
    scale = w["weight"] / numpy.sqrt(w["running_var"] + EPS)
    return x * scale.reshape(shape) + (w["bias"] - w["running_mean"] * scale).reshape(shape)


def prelu(x, slope):
    return numpy.where(x > 0, x, x * slope.reshape(-1, *[1] * (x.ndim - 1)))


def gelu(x):
    return x * 0.5 * (1 + _erf(x / math.sqrt(2)))


def layer_norm(x, w):
    centred = x - x.mean(-1, keepdims=True)
    return centred / numpy.sqrt((centred**2).mean(-1, keepdims=True) + EPS) * w["weight"] + w["bias"]


def linear(x, w):
    return x @ w["weight"].T + w["bias"]


def frontend(frames, w):
    """frames [T, H, W] to [T, channels]."""
    stem = w.below("frontend3D")
    x = convolve(frames[None], stem["0.weight"], (1, 2, 2), (2, 3, 3))
    x = prelu(batch_norm(x, stem.below("1")), stem["2.weight"])
    x = numpy.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=-numpy.inf)
    x = sliding_window_view(x, (3, 3), (2, 3))[:, :, ::2, ::2].max((-2, -1))
    return numpy.stack([_trunk(x[:, t], w.below("trunk")) for t in range(x.shape[1])])


def _trunk(x, w):
    for stage in (1, 2, 3, 4):
        for number in (0, 1):
            block = w.below(f"layer{stage}.{number}")
            stride = 2 if stage > 1 and number == 0 else 1
            shortcut = x
            if block.has("downsample.0.weight"):
                shortcut = convolve(x, block["downsample.0.weight"], (stride, stride), (0, 0))
                shortcut = batch_norm(shortcut, block.below("downsample.1"))
            y = convolve(x, block["conv1.weight"], (stride, stride), (1, 1))
            y = prelu(batch_norm(y, block.below("bn1")), block["relu1.weight"])
            y = batch_norm(convolve(y, block["conv2.weight"], (1, 1), (1, 1)), block.below("bn2"))
            x = prelu(y + shortcut, block["relu2.weight"])
    return x.mean((1, 2))


def fuse(heard, seen, w):
    """Projected sound and lips [T, width] to what the transformer reads."""
    fused = numpy.concatenate([heard, seen], -1)
    return linear(layer_norm(fused, w.below("layer_norm")), w.below("post_extract_proj"))


def positions(x, w, groups):
    """The positional convolution of x [T, width], without the last of its T + 1 frames."""
    v = w["weight_v"]
    weight = w["weight_g"] * v / numpy.sqrt((v**2).sum((0, 1), keepdims=True))
    kernel, size = v.shape[-1], x.shape[-1] // groups
    parts = [
        convolve(x.T[g * size : (g + 1) * size], weight[g * size : (g + 1) * size], (1,), (kernel // 2,))
        for g in range(groups)
    ]
    return gelu((numpy.concatenate(parts) + w["bias"][:, None]).T[: len(x)])


def layer(x, w, heads, pre_norm=True):
    first, last = w.below("self_attn_layer_norm"), w.below("final_layer_norm")
    if pre_norm:
        x = x + _attention(layer_norm(x, first), w.below("self_attn"), heads)
        return x + _feed(layer_norm(x, last), w)
    x = layer_norm(x + _attention(x, w.below("self_attn"), heads), first)
    return layer_norm(x + _feed(x, w), last)


def _feed(x, w):
    return linear(gelu(linear(x, w.below("fc1"))), w.below("fc2"))


def _attention(x, w, heads):
    q, k, v = (linear(x, w.below(name)) for name in ("q_proj", "k_proj", "v_proj"))
    size = x.shape[-1] // heads
    heard = []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        scores = q[:, part] @ k[:, part].T / math.sqrt(size)
        weights = numpy.exp(scores - scores.max(-1, keepdims=True))
        heard.append(weights / weights.sum(-1, keepdims=True) @ v[:, part])
    return linear(numpy.concatenate(heard, -1), w.below("out_proj"))
