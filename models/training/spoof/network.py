"""The liveness network: dense 3x3 convolutions with ReLU, as the embedded engine runs them best."""

from __future__ import annotations

import torch
from torch import nn


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(*_conv(width, width), nn.ReLU(inplace=True), *_conv(width, width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.body(x))


class LivenessNet(nn.Module):
    """RGB in -1..1, n x 3 x 128 x 128, to n x 3 logits: live; print and replay given an attack."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64, 128), dropout: float = 0.15):
        super().__init__()
        layers: list[nn.Module] = [*_conv(3, widths[0], 2), nn.ReLU(inplace=True)]
        for before, width in zip(widths, widths[1:]):
            layers += [*_conv(before, width, 2), nn.ReLU(inplace=True), Residual(width)]
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * widths[-1], 3)
        # Used while training only: what each teacher answered, which tells more than the target.
        self.imitation = nn.Linear(2 * widths[-1], 3)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.features(x)
        # The maximum keeps a local cue (an edge, a gloss spot, a finger) that the mean would dilute.
        return self.dropout(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(x))
