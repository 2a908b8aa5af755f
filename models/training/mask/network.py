"""The mask classifier: a small convolution stack on the aligned face."""

from __future__ import annotations

import torch
from torch import nn

from ..layers import Residual, conv


class MaskClassifier(nn.Module):
    """Input [n,3,96,96] in -1..1; output logit [n,1], sigmoid = P(masked)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 16, 2),
            conv(16, 32, 2),
            Residual(32),
            conv(32, 64, 2),
            Residual(64),
            conv(64, 80, 2),
            Residual(80),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(80, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.pool(self.features(x)).flatten(1)))
