"""The lips' front-end: a spatio-temporal stem and a ResNet-18 with PReLU, one vector for each frame."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Frontend"]

PIECE = 250
"""Frames that go through at a time: 10 s of video, so that memory does not grow with the clip."""
REACH = 2
"""Frames to either side that the stem's kernel of 5 sees."""


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut (arXiv 1512.03385), PReLU after each."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.PReLU(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.PReLU(channels)
        self.downsample = (
            nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
            if stride > 1 or before != channels
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        result: Tensor = self.relu2(self.bn2(self.conv2(x)) + shortcut)
        return result


class Trunk(nn.Module):
    """Four stages of two blocks, each but the first at half the size, and the mean over what is left."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        one, two, three, four = channels
        self.layer1 = nn.Sequential(Block(one, one, 1), Block(one, one, 1))
        self.layer2 = nn.Sequential(Block(one, two, 2), Block(two, two, 1))
        self.layer3 = nn.Sequential(Block(two, three, 2), Block(three, three, 1))
        self.layer4 = nn.Sequential(Block(three, four, 2), Block(four, four, 1))

    def forward(self, x: Tensor) -> Tensor:
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean((-2, -1))


class Frontend(nn.Module):
    """Frames [B, T, H, W], normalised, to [B, T, channels[-1]].

    Long clips go through in pieces; each frame's result is the same as in one piece.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, channels[0], (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(channels[0]),
            nn.PReLU(channels[0]),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = Trunk(channels)

    def forward(self, frames: Tensor) -> Tensor:
        pieces = [self._piece(frames, first) for first in range(0, frames.shape[1], PIECE)]
        return torch.cat(pieces, 1)

    def _piece(self, frames: Tensor, first: int) -> Tensor:
        begin = max(0, first - REACH)
        stem = self.frontend3D(frames[:, None, begin : first + PIECE + REACH])
        stem = stem[:, :, first - begin :][:, :, :PIECE].transpose(1, 2)
        vectors: Tensor = self.trunk(stem.flatten(0, 1))
        return vectors.reshape(*stem.shape[:2], -1)
