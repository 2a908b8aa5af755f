"""What each output cell should say about a scene, and how wrong the network is."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from .network import STRIDE
from .scenes import Scene

# Channels of the target map.
SCORE, WEIGHT, FIT, BOX, POINTS, KNOWN, CHANNELS = 0, 1, 2, slice(3, 7), slice(7, 17), 17, 18


def target_map(scene: Scene) -> np.ndarray:
    """(CHANNELS, h/8, w/8) float32.

    SCORE 1 near the centre of a face, else 0; WEIGHT of that statement, 0 where nothing is known;
    FIT the weight of box and landmarks, also a little around the centre, so that whatever cell
    fires has a good box; BOX distances in px; POINTS fractions of the box, valid where KNOWN.
    """
    rows, columns = (s // STRIDE for s in scene.canvas.shape[:2])
    ys, xs = ((np.mgrid[:rows, :columns] + 0.5) * STRIDE).astype(np.float32)
    out = np.zeros((CHANNELS, rows, columns), np.float32)
    out[WEIGHT] = 1.0
    for x0, y0, x1, y1 in scene.ignored:
        out[WEIGHT][(xs > x0) & (xs < x1) & (ys > y0) & (ys < y1)] = 0.0
    order = sorted(range(len(scene.boxes)), key=lambda i: -_area(scene.boxes[i]))
    for i in order:  # small faces last: they own the cells they share with large ones
        x0, y0, x1, y1 = (float(v) for v in scene.boxes[i])
        w, h = x1 - x0, y1 - y0
        dx, dy = np.abs(xs - (x0 + x1) / 2), np.abs(ys - (y0 + y1) / 2)
        core = _ellipse(dx, dy, max(0.14 * w, 0.6 * STRIDE), max(0.14 * h, 0.6 * STRIDE))
        ring = _ellipse(dx, dy, max(0.32 * w, STRIDE), max(0.32 * h, STRIDE)) & ~core
        core_weight = 2.0 / np.sqrt(max(core.sum(), 1))
        out[WEIGHT][ring] = 0.0
        out[SCORE][ring] = 0.0
        out[WEIGHT][core] = core_weight
        out[SCORE][core] = 1.0
        near = core | ring
        out[FIT][core] = core_weight
        out[FIT][ring] = 0.25 * core_weight
        distances = np.stack([xs - x0, ys - y0, x1 - xs, y1 - ys])
        out[BOX][:, near] = np.maximum(distances[:, near], 0.5)
        relative = (scene.points[i] - np.float32([x0, y0])) / np.float32([w, h])
        out[POINTS][:, near] = relative.reshape(10, 1)
        out[KNOWN][near] = float(scene.known[i])
    return out


def _area(box: np.ndarray) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _ellipse(dx: np.ndarray, dy: np.ndarray, rx: float, ry: float) -> np.ndarray:
    return (dx / rx) ** 2 + (dy / ry) ** 2 <= 1.0


def giou_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """1 - generalised IoU of two (n, 4) sets of distances from a common cell centre."""
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    inter = (low[:, 0] + low[:, 2]) * (low[:, 1] + low[:, 3])
    hull = (high[:, 0] + high[:, 2]) * (high[:, 1] + high[:, 3])
    area = lambda d: (d[:, 0] + d[:, 2]) * (d[:, 1] + d[:, 3])
    union = area(a) + area(b) - inter
    return 1 - inter / union + (hull - union) / hull


def losses(
    raw: tuple[torch.Tensor, torch.Tensor, torch.Tensor], target: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Focal loss of the score, GIoU of the box, smooth L1 of the landmarks; target (n, C, h, w)."""
    logit, box, points = raw
    truth, weight = target[:, SCORE], target[:, WEIGHT]
    logit = logit[:, 0]
    p = torch.sigmoid(logit)
    surprise = torch.where(truth > 0, 1 - p, p)
    cross = F.binary_cross_entropy_with_logits(logit, truth, reduction="none")
    total = (weight * truth).sum().clamp(min=1.0)
    score = (weight * surprise**2 * cross).sum() / total
    fit = target[:, FIT]
    chosen = fit > 0
    fit = fit[chosen]
    pick = lambda t: t.permute(0, 2, 3, 1)[chosen]
    scale = fit.sum().clamp(min=1.0)
    boxes = (fit * giou_loss(pick(box), pick(target[:, BOX]))).sum() / scale
    known = fit * target[:, KNOWN][chosen]
    distance = F.smooth_l1_loss(
        pick(points), pick(target[:, POINTS]), reduction="none", beta=0.05
    ).sum(1)
    marks = (known * distance).sum() / known.sum().clamp(min=1.0)
    return {"score": score, "box": boxes, "points": marks}
