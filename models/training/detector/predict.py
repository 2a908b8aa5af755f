"""The detector as the library runs it: resize, pad, decode, non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from ..export import read_manifest
from ..geometry import to_input
from .network import MULTIPLE, STRIDE

SECOND_FACE = 0.3  # of the height of the main face: what is smaller is a passer-by
SMALLEST = 40.0  # px of the height of the smallest face that is judged, as in src/detect.rs


@dataclass(frozen=True)
class Found:
    box: np.ndarray  # x0, y0, x1, y1 in pixels of the image
    points: np.ndarray  # (5, 2)
    score: float
    certain: bool = True  # enough to be judged where it is the face of the selfie

    @property
    def height(self) -> float:
        return float(self.box[3] - self.box[1])


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    """One thread, as the library runs it; the answers are then the same on every machine."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def prepare(image: np.ndarray, long_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Network input [1,3,h,w] and the ratio image / input per axis."""
    height, width = image.shape[:2]
    factor = long_side / max(height, width)
    # Halves go up, as in src/detect.rs; ``round`` takes them to the even number.
    size = (max(1, int(width * factor + 0.5)), max(1, int(height * factor + 0.5)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.BILINEAR))
    padded = [-(-s // MULTIPLE) * MULTIPLE for s in size]
    x = np.zeros((1, 3, padded[1], padded[0]), np.float32)
    x[:, :, : size[1], : size[0]] = to_input(small[None])
    return x, np.float32([width / size[0], height / size[1]])


def decode(
    score: np.ndarray, box: np.ndarray, points: np.ndarray, threshold: float
) -> list[Found]:
    """Every cell at or over the threshold, best first, in px of the network's input."""
    rows, columns = np.nonzero(score[0, 0] >= threshold)
    order = np.argsort(-score[0, 0, rows, columns], kind="stable")
    found = []
    for r, c in zip(rows[order], columns[order], strict=True):
        x, y = (c + 0.5) * STRIDE, (r + 0.5) * STRIDE
        left, top, right, bottom = box[0, :, r, c]
        corners = np.float32([x - left, y - top, x + right, y + bottom])
        size = corners[2:] - corners[:2]
        marks = corners[:2] + points[0, :, r, c].reshape(5, 2) * size
        found.append(Found(corners, marks, float(score[0, 0, r, c])))
    return found


def suppress(found: list[Found], nms_iou: float) -> list[Found]:
    """Greedy non-maximum suppression."""
    kept: list[Found] = []
    for face in found:
        if not any(_same(face.box, other.box, nms_iou) for other in kept):
            kept.append(face)
    return kept


def _same(a: np.ndarray, b: np.ndarray, nms_iou: float) -> bool:
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inter = float(np.clip(size, 0, None).prod())
    first, second = float((a[2:] - a[:2]).prod()), float((b[2:] - b[:2]).prod())
    return inter > nms_iou * (first + second - inter)


class Predictor:
    """Finds faces in images of any size with a detector.onnx."""

    def __init__(
        self, path: Path, long_side: int, threshold: float, nms_iou: float, judged: dict[str, float] | None = None
    ) -> None:
        self.session = open_session(path)
        self.long_side, self.threshold, self.nms_iou = long_side, threshold, nms_iou
        self._judged = judged or {"score": 0.0, "slope": 0.0}

    @classmethod
    def shipped(cls, models: Path, long_side: int | None = None, threshold: float | None = None) -> Predictor:
        """That of a folder with a manifest.json."""
        entry = read_manifest(models)["detector"]
        limits = long_side or entry["long_side"], threshold or entry["score_threshold"], entry["nms_iou"]
        return cls(models / entry["file"], *limits, entry.get("judged"))

    def __call__(self, image: np.ndarray) -> list[Found]:
        x, ratio = prepare(image, self.long_side)
        score, box, points = self.session.run(["score", "box", "points"], {"input": x})
        found = suppress(decode(score, box, points, self.threshold), self.nms_iou)
        whole = [Found(f.box * np.tile(ratio, 2), f.points * ratio, f.score) for f in found]
        return [replace(f, certain=self._certain(f, max(image.shape[:2]))) for f in whole]

    def _certain(self, face: Found, long_side: int) -> bool:
        return face.score >= self._judged["score"] - self._judged["slope"] * face.height / long_side


def count(faces: list[Found], second_face: float = SECOND_FACE) -> int:
    """Faces that matter: at least second_face of the height of the tallest; none where that one is alone and
    not certain. One that is too small to be judged counts, as the library says of it that there is one face."""
    tallest = max(faces, key=lambda f: f.height, default=None)
    if tallest is None:
        return 0
    matter = sum(f.height >= second_face * tallest.height for f in faces)
    return 0 if matter == 1 and not tallest.certain else matter


def refusal(faces: list[Found]) -> str:
    """The library's reason to judge none of the faces, as in src/detect.rs; empty where it judges the tallest."""
    counted = count(faces)
    if counted != 1:
        return "several_faces" if counted > 1 else "no_face"
    return "face_too_small" if max(f.height for f in faces) < SMALLEST else ""
