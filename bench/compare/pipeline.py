"""The library's pipeline with the usual Python tools: OpenCV, Pillow, ONNX Runtime.

The networks and their inputs are the same, so the answers are too, but for rounding. It refuses
nothing: neither masks nor second faces.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from PIL import Image

from places import ROOT
from training.geometry import MASK_SIZE, MASK_TEMPLATE, crop_rect, similarity, to_input

STRIDE = 8
MULTIPLE = 32
MAX_DOWNSAMPLING = 1.5


class Pipeline:
    """From the bytes of an image file to the probability that a live person is shown."""

    def __init__(self, models: Path = ROOT / "models") -> None:
        manifest = json.loads((models / "manifest.json").read_text())
        self.detector, self.mask = manifest["detector"], manifest["mask"]
        self.spoof = manifest["spoof"]
        entries = [self.detector, self.mask, *self.spoof["networks"]]
        self.sessions = {entry["file"]: _session(models / entry["file"]) for entry in entries}

    def __call__(self, data: bytes) -> float:
        # Kept as a picture of Pillow: a copy of it for every crop would cost more than the crops.
        image = Image.open(io.BytesIO(data)).convert("RGB")
        box, points = self._face(image)
        self._run(self.mask, to_input(aligned(image, points, self.mask["size"])[None]))
        return 1 / (1 + math.exp(-self._logit(image, box)))

    def _logit(self, image: Image.Image, box: np.ndarray) -> float:
        """After one look of the networks, and others where that leaves doubt, as the library takes them."""
        seen: dict[str, list[float]] = {network["name"]: [] for network in self.spoof["networks"]}
        found, doubt = 0.0, 1.0
        for number, look in enumerate(self.spoof["looks"]):
            if number > 0:
                limits = look.get("doubt", {})
                attack, live = (limits.get(side, math.inf) for side in ("attack", "live"))
                doubt = min(1.0, found + attack, live - found)
            if doubt <= 0:
                break
            after = look["bias"]
            for network in self.spoof["networks"]:
                logits = seen[network["name"]]
                if network["views"][number]:
                    logits.append(float(self._run(network, view(image, box, network, number))[0][0, 0]))
                after += network["weights"][number] * sum(logits) / max(1, len(logits))
            found += doubt * (after - found)
        return found

    def networks_alone(self, data: bytes) -> Callable[[], None]:
        """All networks once, on the inputs that this image gives."""
        inputs: list[tuple[dict, np.ndarray]] = []

        class Recorder(Pipeline):
            def _run(self, entry: dict, x: np.ndarray) -> list[np.ndarray]:
                inputs.append((entry, x))
                return super()._run(entry, x)

        Recorder()(data)

        def work() -> None:
            for entry, x in inputs:
                self._run(entry, x)

        return work

    def _run(self, entry: dict, x: np.ndarray) -> list[np.ndarray]:
        return self.sessions[entry["file"]].run(None, {"input": x})

    def _face(self, image: Image.Image) -> tuple[np.ndarray, np.ndarray]:
        """Box as x, y, width, height and landmarks of the largest face."""
        width, height = image.size
        factor = self.detector["long_side"] / max(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = np.asarray(image.resize(size, Image.BILINEAR))
        padded = [-(-side // MULTIPLE) * MULTIPLE for side in size]
        x = np.zeros((1, 3, padded[1], padded[0]), np.float32)
        x[:, :, : size[1], : size[0]] = to_input(small[None])
        names = [output.name for output in self.sessions[self.detector["file"]].get_outputs()]
        outputs = dict(zip(names, self._run(self.detector, x), strict=True))
        faces = found(outputs, self.detector["score_threshold"])
        faces = suppressed(faces, self.detector["nms_iou"])
        if not faces:
            raise ValueError("no face")
        corners, points = max(faces, key=lambda face: face[0][3] - face[0][1])
        ratio = np.float32([width / size[0], height / size[1]])
        corners = corners * np.tile(ratio, 2)
        return np.concatenate([corners[:2], corners[2:] - corners[:2]]), points * ratio


def view(image: Image.Image, box: np.ndarray, network: dict, number: int) -> np.ndarray:
    """What a liveness network sees at one of its views."""
    width, height = image.size
    spec, size = network["views"][number], (network["size"],) * 2
    x, y, w, h = map(float, crop_rect(box, width, height, network["crop"], spec["scale"]))
    region = (max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height))
    crop = np.asarray(image.resize(size, Image.BILINEAR, box=region))
    return to_input((crop[:, ::-1] if spec["mirror"] else crop)[None])


def aligned(image: Image.Image, points: np.ndarray, size: int) -> np.ndarray:
    """What the mask classifier sees; of a large face a smaller copy is made first."""
    target = MASK_TEMPLATE * (size / MASK_SIZE)
    matrix = similarity(points, target)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    inverse = cv2.invertAffineTransform(matrix)
    frame = np.float32([[0, 0], [size, 0], [0, size], [size, size]])
    corners = frame @ inverse[:, :2].T + inverse[:, 2]
    margin = 2 / scale
    left, top = np.maximum(corners.min(0) - margin, 0)
    right, bottom = np.minimum(corners.max(0) + margin, image.size)
    factor = min(scale * MAX_DOWNSAMPLING, 1.0)
    shape = np.maximum(np.round(np.float32([right - left, bottom - top]) * factor), 1)
    region = (float(left), float(top), float(right), float(bottom))
    part = image.resize(tuple(map(int, shape)), Image.BILINEAR, box=region)
    ratio = shape / (right - left, bottom - top)
    matrix = similarity((points + 0.5 - (left, top)) * ratio - 0.5, target)
    flags = {"flags": cv2.INTER_LINEAR, "borderMode": cv2.BORDER_REPLICATE}
    return cv2.warpAffine(np.asarray(part), matrix, (size, size), **flags)


Face = tuple[np.ndarray, np.ndarray]


def found(outputs: dict[str, np.ndarray], threshold: float) -> list[Face]:
    """Corners and landmarks of every cell that is certain enough, the most certain first."""
    score = outputs["score"][0, 0]
    rows, columns = np.nonzero(score >= threshold)
    order = np.argsort(-score[rows, columns], kind="stable")
    faces = []
    for row, column in zip(rows[order], columns[order], strict=True):
        x, y = (column + 0.5) * STRIDE, (row + 0.5) * STRIDE
        left, top, right, bottom = outputs["box"][0, :, row, column]
        corners = np.float32([x - left, y - top, x + right, y + bottom])
        points = outputs["points"][0, :, row, column].reshape(5, 2)
        faces.append((corners, corners[:2] + points * (corners[2:] - corners[:2])))
    return faces


def suppressed(faces: list[Face], iou: float) -> list[Face]:
    """Of overlapping boxes the first."""
    kept: list[Face] = []
    for face in faces:
        if not any(_same(face[0], other[0], iou) for other in kept):
            kept.append(face)
    return kept


def _same(a: np.ndarray, b: np.ndarray, iou: float) -> bool:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.clip(sides, 0, None).prod())
    first, second = float((a[2:] - a[:2]).prod()), float((b[2:] - b[:2]).prod())
    return shared > iou * (first + second - shared)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
