"""Which faces are known to be masked or bare, cut out once and kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..dataset import Record, read_image
from ..detector.labels import DRAWN, corners, from_drawn, iou
from ..detector.network import MEAN_POINTS
from ..geometry import MASK_SIZE, MASK_TEMPLATE, similarity

# Sources in which every face is bare. Others may show unlabelled masks and are left out.
BARE_FACES = ("ages", "ffhq", "lfw", "london", "selfies", "speakers")
# In this source the two classes are exchanged: of the boxes called mask nearly all are bare, and
# the other way round (seen on contact sheets of both splits).
EXCHANGED = {"web-mixed": {"mask": "no_mask", "no_mask": "mask"}}
CLIP_SCALE = 1.5  # px of a clip per px of the network's input: some detail in reserve
CLIP_MARGIN = 40  # px around the aligned face, for jitter
CLIP_SIDE = round(MASK_SIZE * CLIP_SCALE) + 2 * CLIP_MARGIN


@dataclass(frozen=True)
class Known:
    """A face of which it is known whether it wears a mask."""

    record: Record
    cls: str  # mask, no_mask or mask_worn_wrongly
    box: np.ndarray  # x0, y0, x1, y1 as the reference detector draws it
    points: np.ndarray  # (5, 2)
    drawn_side: float  # longer side of the hand-drawn box, 0 where there is none


def known_faces(record: Record) -> list[Known]:
    if record.source in DRAWN:
        return [_from_drawn(record, b) for b in record.boxes]
    face = record.largest
    if face is None:
        return []
    if record.kind == "masks":
        cls = "mask" if record.label == "masked" else "no_mask"
    elif record.kind == "liveness" or record.source in BARE_FACES:
        cls = "no_mask"
    else:
        return []
    return [Known(record, cls, corners(face.box), face.points, 0.0)]


def _from_drawn(record: Record, drawn) -> Known:
    """Landmarks of the reference detector where it found this face, else where they usually lie."""
    box, side = from_drawn(drawn.box, record.source), float(max(drawn.box[2:]))
    cls = EXCHANGED.get(record.source, {}).get(drawn.cls, drawn.cls)
    if record.faces:
        overlap = iou(box[None], np.stack([corners(f.box) for f in record.faces]))[0]
        best = int(overlap.argmax())
        if overlap[best] > 0.4:
            face = record.faces[best]
            return Known(record, cls, corners(face.box), face.points, side)
    points = box[:2] + np.float32(MEAN_POINTS).reshape(5, 2) * (box[2:] - box[:2])
    return Known(record, cls, box, points, side)


@dataclass(frozen=True)
class Clip:
    """A roughly aligned face with a margin, and one or two opinions where its landmarks are."""

    image: np.ndarray
    points: list[np.ndarray]
    masked: bool
    source: str


def cut_clip(image: np.ndarray, known: Known, detected: np.ndarray | None) -> Clip:
    matrix = similarity(known.points, MASK_TEMPLATE * CLIP_SCALE + CLIP_MARGIN)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 1 / 1.5:
        factor = scale * 1.5
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        warped, source = matrix.copy(), small
        warped[:, :2] /= factor
    else:
        warped, source = matrix, image
    clip = cv2.warpAffine(
        source, warped, (CLIP_SIDE, CLIP_SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    opinions = [known.points] if detected is None else [known.points, detected]
    moved = [(p @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32) for p in opinions]
    return Clip(clip, moved, known.cls == "mask", known.record.source)


def load_clips(
    root: Path, records: list[Record], detect: Callable, smallest: float = 22.0
) -> list[Clip]:
    """Clips of all faces of known class and at least the given size; worn wrongly is neither.

    ``detect`` finds the faces as the library will: its landmarks are the second opinion.
    """
    clips = []
    for record in records:
        faces = [k for k in known_faces(record) if k.cls != "mask_worn_wrongly"]
        faces = [k for k in faces if (k.box[2:] - k.box[:2]).max() >= smallest]
        if not faces:
            continue
        image = read_image(root / record.path)
        found = detect(image)
        for face in faces:
            clips.append(cut_clip(image, face, match(face.box, found)))
    return clips


def match(box: np.ndarray, found: list) -> np.ndarray | None:
    """Landmarks of the found face that covers the box, if one does."""
    if not found:
        return None
    overlap = iou(box[None], np.stack([f.box for f in found]))[0]
    best = int(overlap.argmax())
    return found[best].points if overlap[best] > 0.4 else None
