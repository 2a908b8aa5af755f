"""How light a face looks: the individual typology angle (ITA) of its forehead.

For tables only, and no measure of skin alone: it tells the light that falls on the face as much.
Bounds after Chardon et al., Int. J. Cosmetic Science 13, 1991, six classes merged into three.
"""

from __future__ import annotations

import cv2
import numpy as np

from ..geometry import align

TONES = ("light (over 41)", "intermediate (10 to 41)", "dark (under 10)")
# Above the eyes of the aligned face (geometry.MASK_TEMPLATE): free of masks and beards.
FOREHEAD = (slice(18, 27), slice(40, 57))


def ita(image: np.ndarray, points: np.ndarray) -> float:
    """Degrees, from the median CIE L* and b* of the forehead; RGB image, five landmarks."""
    patch = align(image, points)[FOREHEAD].reshape(1, -1, 3).astype(np.float32) / 255
    lightness, _, yellow = np.median(cv2.cvtColor(patch, cv2.COLOR_RGB2LAB)[0], axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, max(yellow, 1e-3))))


def tone_of(image: np.ndarray, points: np.ndarray) -> str:
    angle = ita(image, points)
    return TONES[0] if angle > 41 else TONES[1] if angle >= 10 else TONES[2]
