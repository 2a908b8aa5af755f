"""What a teacher sees on the way to its answer, learned from too.

Romero et al., "FitNets: hints for thin deep nets", ICLR 2015. An answer is one number for a picture; the maps before it
say where the teacher saw what, so that fewer pictures tell how it decides.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .clips import WITHIN

# The teachers whose maps and embeddings a network guesses. The first two are asked about its own pixels, the third one about
# those of MIRRORED, in which the tight crop lies at WITHIN.
HINTED = {"tight": (2,), "context": (0, 1)}
MIRRORED_TEACHER = 2
MAP, EMBEDDING = "map", "embedding"  # of a batch, with the teacher's number after it
HINTED_SAMPLE = "hinted"  # which samples of a batch look as they did when the teachers saw them
TEACHER_CHANNELS = 128  # of their last map, and of what their answer is linear in


def as_samples(maps: list[torch.Tensor], embeddings: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """What goes into a batch of all teachers' maps n x 128 x h x w and embeddings n x 128."""
    named = {MAP: maps, EMBEDDING: embeddings}
    samples = {f"{name}{number}": value.half() for name, values in named.items() for number, value in enumerate(values)}
    return samples | {HINTED_SAMPLE: torch.ones(len(maps[0]), dtype=torch.bool, device=maps[0].device)}


class Hints(nn.Module):
    """Guesses from a network's last maps and features what its teachers saw; for training only."""

    def __init__(self, name: str, channels: int):
        super().__init__()
        self._teachers = HINTED[name]
        self.maps = nn.ModuleList(nn.Conv2d(channels, TEACHER_CHANNELS, 1) for _ in self._teachers)
        self.embeddings = nn.ModuleList(nn.Linear(2 * channels, TEACHER_CHANNELS) for _ in self._teachers)

    def forward(self, maps: torch.Tensor, features: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Share of the variance left unexplained, 0 to about 1 each, of maps and of embeddings, added; 0 without hints."""
        known = batch[HINTED_SAMPLE].nonzero().flatten() if HINTED_SAMPLE in batch else ()
        if len(known) < 2:
            return maps.new_zeros(())
        maps, features = maps[known], features[known]
        losses = []
        for teacher, to_map, to_embedding in zip(self._teachers, self.maps, self.embeddings, strict=True):
            seen = _standardised(batch[f"{MAP}{teacher}"][known].float())
            guessed = to_map(F.adaptive_avg_pool2d(maps, seen.shape[2:]))
            places = batch[WITHIN][known] if teacher == MIRRORED_TEACHER else None
            losses.append(F.mse_loss(guessed, seen) if places is None else moved_loss(guessed, seen, places))
            losses.append(F.mse_loss(to_embedding(features), _standardised(batch[f"{EMBEDDING}{teacher}"][known].float())))
        return torch.stack(losses).sum() / len(self._teachers)


def moved_loss(guessed: torch.Tensor, seen: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Mean squared error to maps of other crops, in which the guessed ones lie at ``places``, left, top, width and height
    as shares of them; where they show nothing of it nothing is compared."""
    known = ~places.isnan().any(1)
    if not known.any():
        return guessed.new_zeros(())
    guessed, seen, places = guessed[known], seen[known], places[known]
    scale = torch.diag_embed(places[:, 2:])
    middle = 2 * places[:, :2] + places[:, 2:] - 1
    grid = F.affine_grid(torch.cat([scale, middle[..., None]], 2), list(guessed.shape), align_corners=False)
    inside = (grid.abs() < 1).all(-1)[:, None]
    errors = (guessed - F.grid_sample(seen, grid, align_corners=False, padding_mode="border")).square()
    return (errors * inside).sum() / (inside.sum() * errors.shape[1]).clamp(min=1)


def _standardised(values: torch.Tensor) -> torch.Tensor:
    """Every channel n x c ... with the batch's mean and deviation taken out, so that all count alike."""
    over = [axis for axis in range(values.ndim) if axis != 1]
    variance, mean = torch.var_mean(values, over, keepdim=True)
    return (values - mean) * (variance + 1e-4).rsqrt()
