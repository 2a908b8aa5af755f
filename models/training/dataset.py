"""The folder-and-CSV layout that every training and evaluation command reads.

A data set is a folder with a ``labels.csv``; README.md beside this file documents its columns.
Images are RGB ``uint8`` arrays of shape (height, width, 3); boxes are x, y, width, height and
landmarks x, y, both in pixels of the image as stored.
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

LANDMARKS = ("right eye", "left eye", "nose", "right mouth corner", "left mouth corner")


@dataclass(frozen=True)
class Face:
    """A face that a reference detector found."""

    box: np.ndarray  # (4,) x, y, width, height
    points: np.ndarray  # (5, 2), in the order of LANDMARKS
    score: float

    @property
    def size(self) -> float:
        return float(max(self.box[2], self.box[3]))


@dataclass(frozen=True)
class DrawnBox:
    """A face box drawn by a person; cls is mask, no_mask or mask_worn_wrongly."""

    box: np.ndarray
    cls: str


@dataclass(frozen=True)
class Record:
    """One row of labels.csv."""

    path: str
    kind: str
    source: str
    label: str
    group: str
    split: str
    framing: str
    width: int
    height: int
    n_faces: int
    faces: tuple[Face, ...] = field(repr=False)
    boxes: tuple[DrawnBox, ...] = field(repr=False)
    ref_live: float | None

    @property
    def largest(self) -> Face | None:
        return max(self.faces, key=lambda f: f.size, default=None)

    @property
    def live(self) -> bool:
        """Whether it counts as bona fide: any other label of liveness names an attack; of other kinds it is assumed."""
        if self.kind != "liveness":
            return True
        if not self.label:
            raise ValueError(f"{self.path}: an image of kind liveness needs a label: live, or the name of an attack")
        return self.label == "live"


def _face(item: dict) -> Face:
    points = np.asarray(item["points"], np.float32).reshape(5, 2)
    return Face(np.asarray(item["box"], np.float32), points, float(item["score"]))


def _drawn(item: dict) -> DrawnBox:
    return DrawnBox(np.asarray(item["box"], np.float32), item["cls"])


def _record(row: dict) -> Record:
    return Record(
        path=row["path"],
        kind=row["kind"],
        source=row["source"],
        label=row["label"],
        group=row["group"],
        split=row["split"],
        framing=row["framing"],
        width=int(row["width"]),
        height=int(row["height"]),
        n_faces=int(row["n_faces"] or 0),
        faces=tuple(_face(f) for f in json.loads(row["faces"] or "[]")),
        boxes=tuple(_drawn(b) for b in json.loads(row["boxes"] or "[]")),
        ref_live=float(row["ref_live"]) if row["ref_live"] else None,
    )


def load(root: str | Path, **equal: str) -> list[Record]:
    """Rows of ``root/labels.csv`` whose columns equal the given values, e.g. ``split="val"``."""
    with open(Path(root) / "labels.csv", newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    return [_record(r) for r in rows if all(r[k] == v for k, v in equal.items())]


def read_image(path: str | Path) -> np.ndarray:
    """Decode an image file to RGB; raises ValueError naming the file if it cannot be read."""
    # imdecode would turn the picture by its EXIF tag while labels.csv counts stored pixels.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.fromfile(path, np.uint8), flags)
    if image is None:
        raise ValueError(f"{path}: not an image that OpenCV can decode")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
