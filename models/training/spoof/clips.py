"""Endless training samples: a face with its surroundings, filmed by a random camera, cut twice.

One *clip* is photographed anew (camera.py) and then cut ``CUTS`` times with jittered boxes, so that the networks
learn not to depend on where exactly the box lies.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import cv2
import numpy as np

from .. import dataset
from ..geometry import clip_box, crop_rect, cut
from .camera import Camera

SIZE = 128
CROPS = {"tight": ("square", 1.5), "context": ("box", 3.2)}
TRUNCATED = 0.65  # share of the images whose surroundings are cut away: where a face stands in its frame tells the source
CUT_OFF, CUT_OFF_MOST = 0.14, 0.3  # share of those that end within the face, at one side; how much of it is gone at most
SMALLEST, LARGEST = 40, 200  # px of a face; the library judges no smaller one
ENLARGED = 0.3  # share of the images that were smaller
# What the third teacher is shown instead of the tight crop: the square at the place and in the size that the face asks
# for, mirrored where the image ends.
MIRRORED = "mirrored"
# Where the tight crop lies in that one: left, top, width and height, as shares of its side.
WITHIN = "within"
CUTS = 2
PRINT, REPLAY, UNKNOWN = 0, 1, -1
SPECIES = {"print": PRINT, "screen": REPLAY, "replay": REPLAY, "spoof": UNKNOWN}

BONA_FIDE_WEB = ("ffhq", "lfw", "london", "people", "selfies", "speakers", "web-groups", "ages", "beards")
# Share of samples per source and class; each half (bona fide, attack) is normalised to one.
# Small home-made sets stay small; simulated attacks carry the variety that real ones lack.
BONA_FIDE_SHARE = {
    "nuaa": 3, "office-phones": 13, "webcam-replay": 3, "ffhq": 9, "lfw": 9, "london": 7, "people": 7,
    "selfies": 11, "speakers": 10, "web-groups": 6, "ages": 4, "beards": 4,
}  # fmt: skip
ATTACK_SHARE = {"nuaa": 4, "office-phones": 15, "phone-recapture": 11, "webcam-replay": 5, "simulated": 60}
# Photographs that nobody labelled for liveness, many of masked faces: what the teachers answer is learned from them and
# nothing else. "street" and "mixed-crops" stay out, so that they tell how well the teachers are imitated elsewhere; not
# wholly elsewhere: 38 of the 524 images of "street" and 6 of the 616 of "mixed-crops" are copies of training images of
# these three.
UNLABELLED = ("news", "stock", "web-mixed")
UNLABELLED_SHARE = 0.2  # of all samples
# How far the label, not the teachers, decides the target.
LABEL_TRUST = {"camera": 0.65, "crop": 0.8, "web": 0.6, "simulated": 0.85}
# Sources that differ from that: these classes differ in exposure and sharpness too, which the labels would teach.
SOURCE_TRUST = {"webcam-replay": 0.35, "office-phones": 0.6}


def is_usable(record: dataset.Record) -> bool:
    """One clear face: the label of the image is then the label of that face."""
    return record.largest is not None and record.largest.score >= 0.65 and record.largest.size >= 32


def _is_shown(record: dataset.Record) -> bool:
    """Known, and large enough for the library: smaller faces are nearly all bona fide, which would be learned."""
    return _is_known(record) and is_usable(record) and record.largest.size >= SMALLEST


def taught_faces(record: dataset.Record) -> list[dataset.Face]:
    """The faces of an image that training shows: every clear one where no label of the image is at stake."""
    if record.source in UNLABELLED:
        return [face for face in record.faces if face.score >= 0.8 and face.size >= SMALLEST]
    return [record.largest] if _is_shown(record) else []


@dataclass(frozen=True)
class Source:
    """Clips of one source and class, the share of samples it gets, and how its label is used."""

    name: str
    live: bool | None  # None where nobody says
    species: tuple[int, ...]
    trust: float
    clips: tuple[tuple[np.ndarray, np.ndarray], ...]  # image, box
    share: float
    origins: tuple[str, ...]  # of each clip, the source that its person comes from


def wide_clip(image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The image within 4.6 times the face box, and the box in it."""
    x, y, w, h = crop_rect(box, image.shape[1], image.shape[0], "box", 4.6)
    x0, y0 = int(x), int(y)
    clip = np.ascontiguousarray(image[y0 : int(y + h + 1), x0 : int(x + w + 1)])
    return clip, (box - np.float32([x0, y0, 0, 0])).astype(np.float32)


def _is_known(record: dataset.Record) -> bool:
    """Whether somebody says if it is live, or it is assumed."""
    return record.kind == "liveness" or record.source in BONA_FIDE_WEB


def _trust(record: dataset.Record) -> float:
    if record.kind != "liveness":
        return LABEL_TRUST["web"]
    general = LABEL_TRUST["crop" if record.framing == "crop" else "camera"]
    return SOURCE_TRUST.get(record.source, general)


def real_sources(root: str | Path) -> list[Source]:
    """Sources of the training split."""
    groups: dict[tuple[str, bool], list[dataset.Record]] = {}
    for record in dataset.load(root, split="train"):
        if _is_shown(record):
            groups.setdefault((record.source, record.live), []).append(record)
    sources = []
    for (name, live), records in sorted(groups.items()):
        share = (BONA_FIDE_SHARE if live else ATTACK_SHARE).get(name, 8)
        clips = [wide_clip(dataset.read_image(Path(root) / r.path), r.largest.box) for r in records]
        species = tuple(SPECIES.get(r.label, UNKNOWN) for r in records)
        sources.append(Source(name, live, species, _trust(records[0]), tuple(clips), share, (name,) * len(clips)))
    return sources


def simulated_source(folder: str | Path) -> Source:
    """The frames that ``python -m training.spoof.render`` wrote, mapped and not loaded."""
    index = json.loads((Path(folder) / "index.json").read_text())
    data = np.memmap(Path(folder) / "frames.bin", np.uint8, "r")
    clips = []
    for item in index:
        end = item["offset"] + int(np.prod(item["shape"]))
        clips.append((data[item["offset"] : end].reshape(item["shape"]), np.float32(item["box"])))
    species = tuple(SPECIES[item["species"]] for item in index)
    trust, share = LABEL_TRUST["simulated"], ATTACK_SHARE["simulated"]
    origins = tuple(item["origin"] for item in index)
    return Source("simulated", False, species, trust, tuple(clips), share, origins)


def unlabelled_sources(root: str | Path) -> list[Source]:
    """Every clear face of the training split's images without a label of liveness; only teachers can teach with them."""
    sources = []
    for name in UNLABELLED:
        clips = []
        for record in dataset.load(root, source=name, split="train"):
            if faces := taught_faces(record):
                image = dataset.read_image(Path(root) / record.path)
                clips += [wide_clip(image, face.box) for face in faces]
        if clips:
            unknown = (UNKNOWN,) * len(clips)
            sources.append(Source(name, None, unknown, 0.0, tuple(clips), len(clips) ** 0.5, (name,) * len(clips)))
    return sources


@dataclass
class Clip:
    """One photographed face: what the networks see of it, cut several times, and what is known."""

    crops: dict[str, np.ndarray]  # uint8 RGB, CUTS x SIZE x SIZE x 3: one per network, and MIRRORED; float WITHIN, CUTS x 4
    trust: float  # how far the label, not the teachers, decides the target
    live: bool | None  # None where nobody says
    species: int
    origin: str


class Stream:
    """Clips of balanced classes for one worker process."""

    def __init__(self, sources: list[Source], seed: int):
        self._rng = np.random.default_rng(seed)
        self._sources, self._camera = sources, Camera(self._rng)
        self._odds = {}
        for live in {s.live for s in sources}:
            shares = np.float64([s.share if s.live is live else 0 for s in sources])
            self._odds[live] = shares / shares.sum()

    def __iter__(self) -> Iterator[Clip]:
        while True:
            yield self._clip()

    def _clip(self) -> Clip:
        live = bool(self._rng.integers(2))
        if None in self._odds and self._rng.random() < UNLABELLED_SHARE:
            live = None
        source = self._sources[int(self._rng.choice(len(self._sources), p=self._odds[live]))]
        pick = int(self._rng.integers(len(source.clips)))
        image, box = self._distance(*truncated(self._rng, *source.clips[pick]))
        image = self._camera.shoot(image)
        cuts = [self._cuts(image, box) for _ in range(CUTS)]
        crops = {name: np.stack([cut[name] for cut in cuts]) for name in cuts[0]}
        return Clip(crops, source.trust, source.live, source.species[pick], source.origins[pick])

    def _distance(self, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Resample as if the face were farther: it becomes 40 to 200 px large where it was as large.

        No image is left as it is, whose JPEG blocks would tell how it came.
        """
        rng, size = self._rng, float(max(box[2:]))
        wanted = float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))
        wanted = min(wanted, size * rng.uniform(0.9, 0.99), 480 * size / max(image.shape[:2]))
        # Sources differ in how large their faces are: enlarged are as many of the large as of the small ones, so that it
        # tells nothing.
        enlarged = float(rng.uniform(1, 1.3)) if rng.random() < ENLARGED else 1.0
        small = resized(image, wanted / size / enlarged, cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR)
        out = resized(small, enlarged, cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC)
        return out, box * np.float32([out.shape[1] / image.shape[1], out.shape[0] / image.shape[0]] * 2)

    def _jittered(self, box: np.ndarray) -> np.ndarray:
        rng = self._rng
        spread = 0.05 if rng.random() < 0.7 else 0.1
        shift = rng.normal(0, spread, 2) * box[2:]
        factor = np.exp(rng.normal(0, spread, 2) * 0.6 + rng.normal(0, spread))
        size = box[2:] * factor
        return np.float32([*(box[:2] + box[2:] / 2 + shift - size / 2), *size])

    def _cuts(self, image: np.ndarray, box: np.ndarray) -> dict[str, np.ndarray]:
        box, flip = self._jittered(box), self._rng.random() < 0.5
        height, width = image.shape[:2]
        rects = {name: crop_rect(box, width, height, *shape) for name, shape in CROPS.items()}
        crops = {name: cut(image, rect, SIZE) for name, rect in rects.items()}
        crops[MIRRORED] = mirrored_cut(image, box)
        crops = {name: crop[:, ::-1] if flip else crop for name, crop in crops.items()}
        left, top, wide, high = within(rects["tight"], mirrored_rect(box, width, height))
        return crops | {WITHIN: np.float32([1 - left - wide if flip else left, top, wide, high])}


def resized(image: np.ndarray, factor: float, mode: int) -> np.ndarray:
    """Larger or smaller by a factor, at least 8 px."""
    size = [max(8, round(side * factor)) for side in image.shape[1::-1]]
    return cv2.resize(np.ascontiguousarray(image), size, interpolation=mode)


def truncated(rng: np.random.Generator, image: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Often cuts surroundings away, now and then a part of the face too, so that what is visible never tells the class."""
    if rng.random() >= TRUNCATED:
        return image, box
    height, width = image.shape[:2]
    x, y, w, h = clip_box(box, width, height)
    margins = rng.uniform(0.05, 1.6, 4) * max(w, h)
    if rng.random() < CUT_OFF:
        side = int(rng.integers(4))
        margins[side] = -rng.uniform(0, CUT_OFF_MOST) * (w, h)[side % 2]
    left, top, right, bottom = margins
    x0, y0 = int(max(0, x - left)), int(max(0, y - top))
    x1, y1 = int(min(width, x + w + right)), int(min(height, y + h + bottom))
    return image[y0:y1, x0:x1], box - np.float32([x0, y0, 0, 0])


def mirrored_rect(box: np.ndarray, width: int, height: int) -> np.ndarray:
    """The square that the tight crop would be if the image did not end."""
    x, y, w, h = clip_box(box, width, height)
    side = CROPS["tight"][1] * max(w, h)
    return np.float32([x + w / 2 - side / 2, y + h / 2 - side / 2, side, side])


def within(inner: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """A rectangle x, y, w, h as shares of another one."""
    return np.float32([*(inner[:2] - outer[:2]), *inner[2:]]) / np.tile(outer[2:], 2)


def mirrored_cut(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The tight crop, but neither moved nor reduced where the image ends: mirrored there."""
    height, width = image.shape[:2]
    left, top, side, _ = mirrored_rect(box, width, height)
    margins = [max(0, int(np.ceil(beyond))) for beyond in (-top, top + side - height, -left, left + side - width)]
    wider = cv2.copyMakeBorder(image, *margins, cv2.BORDER_REFLECT_101) if any(margins) else image
    return cut(wider, np.float32([left + margins[2], top + margins[0], side, side]), SIZE)
