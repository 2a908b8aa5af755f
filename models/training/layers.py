"""Building blocks of the networks: dense convolutions and ReLU only.

The embedded inference engine runs dense convolutions at the speed of ONNX Runtime, depthwise ones
much more slowly, and ReLU costs least in every engine.
"""

from __future__ import annotations

import torch
from torch import nn


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalisation (folded into it by the export) and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """One 3x3 convolution added to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = conv(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)
