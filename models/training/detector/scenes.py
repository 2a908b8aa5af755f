"""Training scenes: photographs scaled, turned, cut, pasted into others and photographed again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from .. import augment
from ..dataset import Record, read_image
from .labels import Targets, targets

MAX_SIDE = 640
SMALLEST = 11.0  # px of the scene: what is smaller is neither demanded nor forbidden
MIRROR = [1, 0, 2, 4, 3]


@dataclass
class Picture:
    """An image as a pyramid of halves, with what is known about it."""

    levels: list[np.ndarray]
    targets: Targets
    kind: str
    source: str
    framing: str

    @property
    def shape(self) -> tuple[int, int]:
        return self.levels[0].shape[:2]


def picture(image: np.ndarray, known: Targets, record: Record) -> Picture:
    """Reduce to MAX_SIDE, which no scene exceeds in detail, and halve down to 16 px."""
    factor = min(1.0, MAX_SIDE / max(image.shape[:2]))
    if factor < 1.0:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        known = Targets(
            known.boxes * factor, known.points * factor, known.has_points, known.ignored * factor
        )
    levels = [image]
    while min(levels[-1].shape[:2]) >= 64:
        h, w = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (w // 2, h // 2), interpolation=cv2.INTER_AREA))
    return Picture(levels, known, record.kind, record.source, record.framing)


def load_pictures(root: Path, records: list[Record], threads: int = 2) -> list[Picture]:
    """Decode everything into memory: about 1.4 times the size of the raw pixels."""
    known = [(r, targets(r)) for r in records]
    wanted = [(r, t) for r, t in known if t is not None]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda p: picture(read_image(root / p[0].path), p[1], p[0]), wanted))


class Scene:
    """A canvas, and the faces that are on it."""

    def __init__(self, canvas: np.ndarray) -> None:
        self.canvas = canvas
        self.boxes: list[np.ndarray] = []
        self.points: list[np.ndarray] = []
        self.known: list[bool] = []
        self.ignored: list[np.ndarray] = []

    def paste(self, shown: Picture, matrix: np.ndarray, flip: bool) -> None:
        """Draw a picture through a 2x3 map from its pixels to the canvas, with its labels.

        Coordinates are continuous: pixel i covers i to i + 1.
        """
        height, width = shown.shape
        if flip:
            matrix = matrix @ np.float32([[-1, 0, width], [0, 1, 0], [0, 0, 1]])
        _warp(shown, matrix, self.canvas)
        self._cover(matrix, width, height)
        t = shown.targets
        for box, points, known in zip(t.boxes, t.points, t.has_points, strict=True):
            moved = _move_box(matrix, box)
            place = points @ matrix[:, :2].T + matrix[:, 2]
            self._add(moved, place[MIRROR] if flip else place, known, matrix, width, height)
        self.ignored += [_move_box(matrix, box) for box in t.ignored]

    def _cover(self, matrix: np.ndarray, width: int, height: int) -> None:
        """What lay under the new picture is gone, or half gone."""
        frame = _move_box(matrix, np.float32([0, 0, width, height]))
        keep = []
        for i, box in enumerate(self.boxes):
            hidden = _overlap(box, frame)
            if hidden < 0.15:
                keep.append(i)
            elif hidden < 0.85:
                self.ignored.append(box)
        self.boxes = [self.boxes[i] for i in keep]
        self.points = [self.points[i] for i in keep]
        self.known = [self.known[i] for i in keep]

    def _add(self, box, points, known, matrix, width, height) -> None:
        side = max(box[2] - box[0], box[3] - box[1])
        frame = _move_box(matrix, np.float32([0, 0, width, height]))
        frame[:2] = np.maximum(frame[:2], 0)
        frame[2:] = np.minimum(frame[2:], self.canvas.shape[0])
        visible = _overlap(box, frame)
        if visible < 0.05:
            return
        cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        inside = frame[0] <= cx <= frame[2] and frame[1] <= cy <= frame[3]
        if side < SMALLEST or visible < 0.4 or not inside:
            self.ignored.append(box)
            return
        self.boxes.append(box)
        self.points.append(points)
        self.known.append(bool(known))


def _overlap(box: np.ndarray, frame: np.ndarray) -> float:
    """Share of the box that lies in the frame."""
    size = np.minimum(box[2:], frame[2:]) - np.maximum(box[:2], frame[:2])
    return float(np.clip(size, 0, None).prod() / max((box[2:] - box[:2]).prod(), 1e-6))


def _move_box(matrix: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The upright box of a turned face: the bounds of the turned ellipse that fills the box."""
    centre = matrix[:, :2] @ ((box[:2] + box[2:]) / 2) + matrix[:, 2]
    half = np.abs(box[2:] - box[:2]) / 2
    reach = np.sqrt(((matrix[:, :2] * half) ** 2).sum(1))
    return np.concatenate([centre - reach, centre + reach]).astype(np.float32)


def _warp(shown: Picture, matrix: np.ndarray, canvas: np.ndarray) -> None:
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    level = int(np.clip(np.floor(np.log2(1 / max(scale, 1e-6)) + 0.3), 0, len(shown.levels) - 1))
    source = shown.levels[level]
    ratio = np.float32([shown.shape[1] / source.shape[1], shown.shape[0] / source.shape[0]])
    linear = matrix[:, :2] * ratio
    # OpenCV counts from the centre of the first pixel.
    shift = matrix[:, 2] + linear @ np.float32([0.5, 0.5]) - 0.5
    cv2.warpAffine(
        source,
        np.hstack([linear, shift[:, None]]),
        canvas.shape[1::-1],
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def _place(centre: np.ndarray, scale: np.ndarray, angle: float, target: np.ndarray) -> np.ndarray:
    """Map that turns and scales about a point of the picture and brings it to the target."""
    c, s = np.cos(angle), np.sin(angle)
    linear = np.float32([[c, -s], [s, c]]) * scale
    return np.hstack([linear, (target - linear @ centre)[:, None]]).astype(np.float32)


class SceneMaker:
    """Draws scenes from pictures; the same generator state gives the same scene."""

    def __init__(self, pictures: list[Picture]) -> None:
        self.pictures = pictures
        empty = [i for i, p in enumerate(pictures) if p.kind == "none" and not len(p.targets.boxes)]
        self.empty = [i for i in empty if not len(pictures[i].targets.ignored)]
        by_source: dict[tuple[str, str], list[int]] = {}
        for i, p in enumerate(pictures):
            by_source.setdefault((p.kind, p.source), []).append(i)
        self.sources = list(by_source.values())
        weights = np.array([len(v) ** 0.5 for v in self.sources])
        kinds = [k for k, _ in by_source]
        weights *= np.array([3.0 if k == "none" else 1.0 for k in kinds])
        weights *= np.array([1.6 if k == ("masks", "news") else 1.0 for k in by_source])
        self.chances = weights / weights.sum()

    def draw(self, rng: np.random.Generator, size: int = 256) -> Scene:
        """A square scene of the given side, a multiple of 32."""
        if self.empty and rng.random() < 0.06:
            scene = self._mosaic(rng, size)
        else:
            scene = Scene(self._background(rng, size))
            self._fill(scene, rng, np.float32([0, 0, size, size]))
            if rng.random() < 0.12:
                self._guest(scene, rng)
        if rng.random() < 0.2:
            self._occlude(scene, rng)
        scene.canvas = augment.camera(scene.canvas, rng)
        return scene

    def _pick(self, rng: np.random.Generator) -> Picture:
        source = self.sources[rng.choice(len(self.sources), p=self.chances)]
        return self.pictures[source[rng.integers(len(source))]]

    def _background(self, rng: np.random.Generator, side: int) -> np.ndarray:
        canvas = np.full((side, side, 3), 127, np.uint8)
        kind = rng.random()
        if kind < 0.45:
            return canvas  # grey: what the library pads with
        if kind < 0.6:
            canvas[:] = 0
        elif kind < 0.7 or not self.empty:
            canvas[:] = rng.integers(0, 256, 3)
        else:
            self._crop_of_empty(canvas, rng)
        return canvas

    def _crop_of_empty(self, canvas: np.ndarray, rng: np.random.Generator) -> None:
        p = self.pictures[self.empty[rng.integers(len(self.empty))]]
        h, w = p.shape
        side = canvas.shape[0]
        scale = side / min(w, h) * rng.uniform(1.0, 2.0)
        spare = np.float32([w * scale - side, h * scale - side])
        shift = -spare * rng.random(2)
        _warp(p, np.float32([[scale, 0, shift[0]], [0, scale, shift[1]]]), canvas)

    def _fill(self, scene: Scene, rng: np.random.Generator, area: np.ndarray) -> None:
        """A picture in an area of the canvas: as the library sees it, or around one face."""
        shown = self._pick(rng)
        height, width = shown.shape
        size = area[2:] - area[:2]
        angle = np.radians(np.clip(rng.normal(0, 11), -32, 32)) if rng.random() < 0.6 else 0.0
        aspect = np.exp(rng.normal(0, 0.05) * np.float32([1, -1]))
        boxes = shown.targets.boxes
        if len(boxes) and rng.random() < 0.65:
            sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
            chosen = rng.choice(len(boxes), p=sides / sides.sum())
            wanted = np.exp(rng.uniform(np.log(0.055), np.log(1.3))) * size.max()
            if shown.framing == "frame" and len(boxes) > 3:
                # Faces too small to be labelled must not grow into faces that count.
                wanted = min(wanted, sides[chosen] * 1.6 * size.max() / max(width, height))
            scale = np.clip(wanted / sides[chosen], 0.05, 4.0)
            centre = (boxes[chosen, :2] + boxes[chosen, 2:]) / 2
            room = np.clip(0.5 - 0.35 * wanted / size.max(), 0.12, 0.5)
            target = area[:2] + size * (0.5 + rng.uniform(-1, 1, 2) * room)
        else:
            scale = size.max() / max(width, height)
            centre = np.float32([width, height]) / 2
            target = area[:2] + centre * scale
            if rng.random() < 0.5:
                scale *= np.exp(rng.normal(0, 0.2))
                target = target + rng.normal(0, 0.06, 2) * size
            elif rng.random() < 0.6:
                angle = 0.0
            if shown.kind == "none":
                scale *= np.exp(rng.uniform(-0.3, 0.7))
        matrix = _place(centre, scale * aspect, angle, target.astype(np.float32))
        scene.paste(shown, matrix, rng.random() < 0.5)

    def _guest(self, scene: Scene, rng: np.random.Generator) -> None:
        """A second, smaller picture on top: more faces, and pictures within pictures."""
        shown = self._pick(rng)
        height, width = shown.shape
        side = scene.canvas.shape[0]
        scale = rng.uniform(0.15, 0.5) * side / max(width, height)
        target = rng.uniform(0.1, 0.9, 2) * side
        centre = np.float32([width, height]) / 2
        angle = rng.normal(0, 0.12)
        matrix = _place(centre, np.float32([scale, scale]), angle, target.astype(np.float32))
        scene.paste(shown, matrix, rng.random() < 0.5)

    def _mosaic(self, rng: np.random.Generator, size: int) -> Scene:
        whole = Scene(np.full((size, size, 3), 127, np.uint8))
        cut = (rng.uniform(0.35, 0.65, 2) * size).astype(int)
        for x0, x1 in ((0, cut[0]), (cut[0], size)):
            for y0, y1 in ((0, cut[1]), (cut[1], size)):
                part = Scene(self._background(rng, size))
                self._fill(part, rng, np.float32([0, 0, x1 - x0, y1 - y0]))
                whole.canvas[y0:y1, x0:x1] = part.canvas[: y1 - y0, : x1 - x0]
                shift = np.float32([x0, y0])
                frame = np.float32([x0, y0, x1, y1])
                for box, points, known in zip(part.boxes, part.points, part.known, strict=True):
                    box = box + np.tile(shift, 2)
                    centre = (box[:2] + box[2:]) / 2
                    inside = np.all((centre > frame[:2]) & (centre < frame[2:]))
                    if inside and _overlap(box, frame) >= 0.5:
                        whole.boxes.append(box)
                        whole.points.append(points + shift)
                        whole.known.append(known)
                    else:
                        whole.ignored.append(box)
                whole.ignored += [b + np.tile(shift, 2) for b in part.ignored]
        return whole

    def _occlude(self, scene: Scene, rng: np.random.Generator) -> None:
        """Hands, hair, phones, sunglasses: a patch over a part of a face."""
        if not scene.boxes:
            return
        box = scene.boxes[rng.integers(len(scene.boxes))]
        size = box[2:] - box[:2]
        centre = box[:2] + size * rng.uniform(0.0, 1.0, 2)
        half = size * rng.uniform(0.08, 0.3, 2)
        shape = np.zeros(scene.canvas.shape[:2], np.uint8)
        place = (tuple(float(v) for v in centre), tuple(float(2 * v) for v in half), rng.uniform(0, 90))
        if rng.random() < 0.5:
            cv2.ellipse(shape, place, 255, -1)
        else:
            cv2.fillPoly(shape, [cv2.boxPoints(place).astype(np.int32)], 255)
        filler = np.zeros_like(scene.canvas)
        if self.empty and rng.random() < 0.5:
            self._crop_of_empty(filler, rng)
        else:
            filler[:] = rng.integers(0, 256, 3)
        cv2.copyTo(filler, shape, scene.canvas)
