"""Mixtures of two clips, which no label fits and only teachers judge.

Between two faces lies much that no clip shows; what the teachers answer there tells more of how they decide
(Beyer et al., "Knowledge distillation: a good teacher is patient and consistent", CVPR 2022). A third of the mixtures are
weighted means (Zhang et al., "mixup", ICLR 2018), a third show a window of one clip inside the other (Yun et al.,
"CutMix", ICCV 2019), a third have the coarse shapes of one and the texture of the other.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from .clips import CUTS, UNKNOWN, WITHIN

COARSENESS = 2, 4  # px that a texture is finer than, at most

Batch = dict[str, torch.Tensor]


def with_mixtures(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """The batch and ``share`` times as many mixtures of two of its clips."""
    if share == 0:
        return batch  # a copy would not lie in pinned memory, from where it goes to a GPU without waiting
    clips = len(batch["live"])
    first, second = (torch.randperm(clips, generator=generator)[: round(share * clips)] for _ in range(2))
    mixture = Mixture(len(first), generator)

    def mixed(values: torch.Tensor) -> torch.Tensor:
        cuts = values.unflatten(0, (clips, CUTS))
        return mixture(cuts[first].float(), cuts[second].float()).clamp(0, 255).round().to(values.dtype).flatten(0, 1)

    out = {key: torch.cat([v, mixed(v)]) for key, v in batch.items() if v.dtype == torch.uint8}
    # Two clips lie in two places: what is to be seen where is not known of their mixture.
    out[WITHIN] = torch.cat([batch[WITHIN], torch.full((CUTS * len(first), 4), torch.nan)])
    out["live"] = torch.cat([batch["live"], torch.full((len(first),), torch.nan)])
    out["trust"] = torch.cat([batch["trust"], torch.zeros(len(first))])
    out["species"] = torch.cat([batch["species"], torch.full((len(first),), UNKNOWN)])
    # Both, as a pair of networks that a source is left out of must not see half of its faces either.
    both = [batch["origin"].expand(-1, 2), torch.cat([batch["origin"][first], batch["origin"][second]], 1)]
    out["origin"] = torch.cat(both)
    return out


class Mixture:
    """How each of ``count`` pairs of images is mixed, alike in whatever crop they are shown."""

    def __init__(self, count: int, generator: torch.Generator):
        third = count // 3
        self._means, self._windows = third, 2 * third  # where each kind ends
        self._weights = torch.rand(third, generator=generator)
        self._spans = torch.rand(2, 2, third, generator=generator).sort(1).values  # down and across, from and to, of each pair
        self._coarse = int(torch.randint(COARSENESS[0], COARSENESS[1] + 1, (1,), generator=generator))

    def __call__(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Float images, pairs x cuts x height x width x 3; texture may reach beyond the range of both."""
        pairs = list(zip(*(x.tensor_split((self._means, self._windows)) for x in (a, b)), strict=True))
        return torch.cat([self._mean(*pairs[0]), self._window(*pairs[1]), self._texture(*pairs[2])])

    def _mean(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.lerp(b, a, self._weights.view(-1, 1, 1, 1, 1))

    def _window(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        down, across = (
            (place >= low[:, None]) & (place < high[:, None])
            for (low, high), place in zip(self._spans, (torch.linspace(0, 1, side) for side in a.shape[2:4]), strict=True)
        )
        return torch.where(down[:, None, :, None, None] & across[:, None, None, :, None], a, b)

    def _texture(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return b + self._shapes(a) - self._shapes(b)

    def _shapes(self, images: torch.Tensor) -> torch.Tensor:
        planes = images.flatten(0, 1).permute(0, 3, 1, 2)
        small = [side // self._coarse for side in planes.shape[2:]]
        coarse = F.interpolate(planes, small, mode="bilinear", antialias=True)
        shapes = F.interpolate(coarse, planes.shape[2:], mode="bilinear")
        return shapes.permute(0, 2, 3, 1).unflatten(0, images.shape[:2])
