"""Crops and alignment where the library makes them (src/spoof, src/mask, src/detect).

The rectangles of the crops are those of the library to 0.0003 px. Up to 18 % of the samples in them differ by 1: the
library resamples vertically first, Pillow horizontally first, and both round to 8 bits in between.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

MASK_SIZE = 96
MASK_TEMPLATE = np.float32([(36.6, 34.5), (59.3, 34.5), (48.0, 47.4), (38.7, 60.6), (57.4, 60.6)])


def clip_box(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """The part of x, y, w, h that lies inside the image, at least one pixel wide and high."""
    x0, y0 = np.clip(box[0], 0, width - 1), np.clip(box[1], 0, height - 1)
    x1, y1 = np.clip(box[0] + box[2], x0 + 1, width), np.clip(box[1] + box[3], y0 + 1, height)
    return np.float32([x0, y0, x1 - x0, y1 - y0])


def crop_rect(box: np.ndarray, width: int, height: int, kind: str, scale: float) -> np.ndarray:
    """Fractional crop rectangle x, y, w, h inside the image around a face box.

    ``square``: side ``scale`` times the longer side of the box, at most the image's shorter side.
    ``box``: the box enlarged ``scale`` times, less where the image ends sooner, aspect kept.
    Both are centred on the box and then shifted to lie inside the image, so nothing is padded.
    """
    x, y, w, h = clip_box(box, width, height)
    if kind == "square":
        cw = ch = min(scale * max(w, h), width, height)
    elif kind == "box":
        factor = min(scale, width / w, height / h)
        cw, ch = w * factor, h * factor
    else:
        raise ValueError(f"unknown crop kind {kind!r}: use 'square' or 'box'")
    left = min(max(x + w / 2 - cw / 2, 0), width - cw)
    top = min(max(y + h / 2 - ch / 2, 0), height - ch)
    return np.float32([left, top, cw, ch])


def cut(image: np.ndarray, rect: np.ndarray, size: int) -> np.ndarray:
    """Resample a fractional rectangle to size x size with an antialiased bilinear filter."""
    x, y, w, h = (float(v) for v in rect)
    height, width = image.shape[:2]
    region = (max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height))
    return np.asarray(Image.fromarray(image).resize((size, size), Image.BILINEAR, box=region))


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """2x3 least-squares similarity (rotation, scale, translation) from source to target points.

    Umeyama, IEEE TPAMI 13(4), 1991, without reflection.
    """
    s, t = np.asarray(source, np.float64), np.asarray(target, np.float64)
    sc, tc = s - s.mean(0), t - t.mean(0)
    norm = max((sc**2).sum(), 1e-9)
    a = (sc * tc).sum() / norm
    b = (sc[:, 0] * tc[:, 1] - sc[:, 1] * tc[:, 0]).sum() / norm
    m = np.array([[a, -b], [b, a]])
    return np.hstack([m, (t.mean(0) - m @ s.mean(0))[:, None]]).astype(np.float32)


def align(image: np.ndarray, points: np.ndarray, size: int = MASK_SIZE) -> np.ndarray:
    """The face turned upright and scaled so that its five landmarks meet MASK_TEMPLATE."""
    matrix = similarity(points, MASK_TEMPLATE * (size / MASK_SIZE))
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1 / 1.5:
        factor = scale * 1.5
        h, w = image.shape[:2]
        small = (max(1, round(w * factor)), max(1, round(h * factor)))
        image = np.asarray(Image.fromarray(image).resize(small, Image.BILINEAR))
        ratio = np.float32([small[0] / w, small[1] / h])
        points = (points + 0.5) * ratio - 0.5
        matrix = similarity(points, MASK_TEMPLATE * (size / MASK_SIZE))
    return cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def to_input(images: np.ndarray) -> np.ndarray:
    """uint8 NHWC RGB to the networks' float32 NCHW in -1..1."""
    x = np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32)
    x /= 127.5
    x -= 1.0
    return x
