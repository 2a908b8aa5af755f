"""The detector: one output level of stride 8 that also sees the strides 16 and 32."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from ..layers import Residual, conv

STRIDE = 8
MULTIPLE = 32
# Where the landmarks of an upright face lie, as fractions of its box: the start of training.
MEAN_POINTS = (0.31, 0.41, 0.69, 0.41, 0.5, 0.60, 0.35, 0.78, 0.65, 0.78)


class Detector(nn.Module):
    """Input [n,3,h,w] in -1..1, h and w multiples of 32; see forward for the outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.to8 = nn.Sequential(conv(3, 16, 2), conv(16, 24, 2), conv(24, 48, 2))
        self.to16 = nn.Sequential(conv(48, 64, 2), Residual(64))
        self.to32 = nn.Sequential(conv(64, 96, 2), Residual(96), Residual(96), Residual(96))
        self.from32 = conv(96, 64, kernel=1)
        self.from16 = conv(64, 48, kernel=1)
        self.fuse = conv(48, 48)
        self.head = nn.Conv2d(48, 15, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            # A face is rare among the cells: begin at 1 %, or the negatives swamp the first steps.
            self.head.bias[:1] = -4.6
            self.head.bias[1:5] = 1.5
            self.head.bias[5:] = torch.tensor(MEAN_POINTS) - 0.5

    def raw(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Score logits, box distances and landmark fractions."""
        s8 = self.to8(x)
        s16 = self.to16(s8)
        s32 = self.to32(s16)
        s16 = s16 + F.interpolate(self.from32(s32), scale_factor=2.0, mode="nearest")
        s8 = s8 + F.interpolate(self.from16(s16), scale_factor=2.0, mode="nearest")
        out = self.head(self.fuse(s8))
        # The clamp keeps a wild early step from overflowing; 8 * e^5 px is larger than any input.
        box = torch.exp(out[:, 1:5].clamp(-5.0, 5.0)) * STRIDE
        return out[:, :1], box, out[:, 5:] + 0.5

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """score [n,1,h/8,w/8] 0..1; box [n,4,..] left, top, right, bottom from the cell centre, px;

        points [n,10,..] x,y of five landmarks as fractions of the box from its top left corner.
        """
        logit, box, points = self.raw(x)
        return torch.sigmoid(logit), box, points
