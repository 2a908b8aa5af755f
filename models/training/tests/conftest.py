import csv
import json
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.dataset import Record
from training.detector.labels import Targets
from training.detector.scenes import picture
from training.export import MODELS
from training.geometry import MASK_TEMPLATE

PORTRAIT = MODELS.parent / "tests" / "fixtures" / "astronaut.png"


def drawn_face(side: int, box: tuple[int, int, int, int], seed: int) -> np.ndarray:
    """Something face-like enough to learn: a bright oval with three dark spots."""
    rng = np.random.default_rng(seed)
    image = rng.integers(30, 110, (side, side, 3), np.uint8)
    x, y, w, h = box
    cv2.ellipse(image, ((x + w / 2, y + h / 2), (w, h), 0), (200, 170, 150), -1)
    for fx, fy in ((0.31, 0.41), (0.69, 0.41), (0.5, 0.78)):
        cv2.circle(image, (int(x + fx * w), int(y + fy * h)), max(2, w // 12), (20, 20, 20), -1)
    return image


def record(**values) -> Record:
    base = {
        "path": "a.png", "kind": "faces", "source": "lfw", "label": "face", "group": "a",
        "split": "train", "framing": "frame", "width": 128, "height": 128, "n_faces": 1,
        "faces": (), "boxes": (), "ref_live": None,
    }
    return Record(**(base | values))


def write_portraits(folder: Path, pictures: Iterable[tuple[dict[str, str], np.ndarray]]) -> None:
    """Pictures made from the portrait, as BGR with their kind, source, label and split, in the layout of labels.csv.

    On one of kind "none" is no face.
    """
    face = {"box": [166, 66, 118, 146], "points": (MASK_TEMPLATE * 1.5 + (153, 60)).ravel().tolist(), "score": 0.9}
    rows = []
    for known, image in pictures:
        name = f"{known['source']}-{known['label']}-{known['split']}.png"
        cv2.imwrite(str(folder / name), image.clip(0, 255).astype(np.uint8))
        faces = [] if known["kind"] == "none" else [face]
        place = {"path": name, "group": name, "framing": "frame", "width": 512, "height": 512}
        rows.append(known | place | {"n_faces": len(faces), "faces": json.dumps(faces)})
    with open(folder / "labels.csv", "w", newline="", encoding="utf-8") as handle:
        writer = csv.DictWriter(handle, [*rows[0], "boxes", "ref_live"])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def pictures():
    """Four pictures with a face each and two without."""
    out = []
    for seed in range(4):
        box = (20 + 8 * seed, 24, 56, 72)
        corner = np.float32([[box[0], box[1], box[0] + box[2], box[1] + box[3]]])
        mean = np.float32([(0.31, 0.41), (0.69, 0.41), (0.5, 0.6), (0.35, 0.78), (0.65, 0.78)])
        points = corner[:, None, :2] + mean * np.float32([box[2], box[3]])
        known = Targets(corner, points, np.array([True]), np.zeros((0, 4), np.float32))
        out.append(picture(drawn_face(128, box, seed), known, record()))
    empty = Targets(
        np.zeros((0, 4), np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, bool),
        np.zeros((0, 4), np.float32),
    )
    for seed in (8, 9):
        image = np.random.default_rng(seed).integers(0, 255, (96, 128, 3), np.uint8)
        out.append(picture(image, empty, record(kind="none", source="rooms")))
    return out
