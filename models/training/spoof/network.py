"""The liveness network: dense 3x3 convolutions with ReLU, as the embedded engine runs them best."""

from __future__ import annotations

import torch
from torch import nn


# How far the live logit follows what the teachers would answer. More of it helps on sources that were
# left out and costs on those that were not (MODEL_CARD.md has the figures for 0, 0.5, 1, 2 and 4).
IMITATION_SHARE = 0.5


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
    """RGB in -1..1, n x 3 x 128 x 128, to n x 3 logits: live; print and replay given an attack.

    ``blocks`` counts the residual blocks at 32, 16 and 8 px of side.
    """

    def __init__(self, blocks: tuple[int, int, int] = (1, 1, 1), dropout: float = 0.15):
        super().__init__()
        widths = (16, 32, 64, 128)
        layers: list[nn.Module] = [*_conv(3, widths[0], 2), nn.ReLU(inplace=True)]
        for before, width, count in zip(widths, widths[1:], blocks, strict=False):
            layers += [*_conv(before, width, 2), nn.ReLU(inplace=True), *(Residual(width) for _ in range(count))]
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

    @torch.no_grad()
    def fold_imitation(self) -> LivenessNet:
        """Adds the mean of the imitated answers to the live logit, as the library is to see it.

        Both are linear in the same features, so this changes the weights of the head and nothing else.
        """
        self.head.weight[0] += IMITATION_SHARE * self.imitation.weight.mean(0)
        self.head.bias[0] += IMITATION_SHARE * self.imitation.bias.mean(0)
        return self
