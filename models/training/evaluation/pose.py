"""Where a head is turned, from five landmarks, as src/quality.rs estimates it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NOSE_BETWEEN, NOSE_DEPTH_VERTICAL, NOSE_DEPTH_HORIZONTAL = 0.572, 0.435, 0.5


class Pose(NamedTuple):
    """Degrees: yaw towards the subject's left, pitch upwards, roll clockwise in the image."""

    yaw: float
    pitch: float
    roll: float


def pose(points: np.ndarray) -> Pose | None:
    """None where landmarks coincide."""
    right_eye, left_eye, nose, right_mouth, left_mouth = np.asarray(points, np.float64)
    axis = left_eye - right_eye
    distance = float(np.hypot(*axis))
    if distance < 1e-6:
        return None
    along = axis / distance
    across = np.array([-along[1], along[0]])
    eyes = (right_eye + left_eye) / 2
    depth = float(((right_mouth + left_mouth) / 2 - eyes) @ across)
    if abs(depth) < 1e-6:
        return None
    sideways, between = (nose - eyes) @ along / distance, (nose - eyes) @ across / depth
    yaw = np.arctan(sideways / NOSE_DEPTH_HORIZONTAL)
    pitch = np.arctan((NOSE_BETWEEN - between) / NOSE_DEPTH_VERTICAL)
    return Pose(*(float(np.degrees(v)) for v in (yaw, pitch, np.arctan2(axis[1], axis[0]))))
