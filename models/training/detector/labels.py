"""What the detector is to find in an image: faces, and regions where nothing is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dataset import Record

SURE = 0.7
# Median position and size of hand-drawn boxes relative to the reference detector's box of the
# same face (x, y, width, height as fractions of that box): people draw the whole head or less.
DRAWN = {"news": (-0.03, 0.18, 1.06, 0.90), "web-mixed": (-0.13, -0.14, 1.29, 1.21)}


@dataclass(frozen=True)
class Targets:
    """Boxes are x0, y0, x1, y1 in pixels; has_points says whose landmarks are known."""

    boxes: np.ndarray  # (n, 4)
    points: np.ndarray  # (n, 5, 2)
    has_points: np.ndarray  # (n,)
    ignored: np.ndarray  # (m, 4)


def corners(box: np.ndarray) -> np.ndarray:
    return np.float32([box[0], box[1], box[0] + box[2], box[1] + box[3]])


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every row of a (n, 4) with every row of b (m, 4)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.clip(high - low, 0, None).prod(2)
    area = lambda r: (r[:, 2:] - r[:, :2]).prod(1)
    return inter / np.maximum(area(a)[:, None] + area(b)[None] - inter, 1e-6)


def from_drawn(box: np.ndarray, source: str) -> np.ndarray:
    """A hand-drawn box moved to where the reference detector would put it."""
    fx, fy, fw, fh = DRAWN[source]
    w, h = box[2] / fw, box[3] / fh
    return corners((box[0] - fx * w, box[1] - fy * h, w, h))


def targets(record: Record) -> Targets | None:
    """None where the image teaches nothing reliable."""
    boxes, points, known, ignored = [], [], [], []
    for face in record.faces:
        # Pets and dolls pass for faces at a low score: certain only where a person was expected.
        sure = SURE if record.kind != "none" or record.source == "hair" else 0.8
        if face.score >= sure and record.source != "pets":
            boxes.append(corners(face.box))
            points.append(face.points)
            known.append(True)
        else:
            ignored.append(corners(face.box))
    found = np.float32(boxes + ignored).reshape(-1, 4)
    for drawn in record.boxes:
        box = from_drawn(drawn.box, record.source)
        if len(found) and iou(box[None], found).max() > 0.4:
            continue
        boxes.append(box)
        points.append(np.zeros((5, 2), np.float32))
        known.append(False)
    if not boxes and record.kind != "none":
        return None
    return Targets(
        np.float32(boxes).reshape(-1, 4),
        np.float32(points).reshape(-1, 5, 2),
        np.array(known, bool),
        np.float32(ignored).reshape(-1, 4),
    )
