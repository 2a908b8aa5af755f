"""What a check answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Point(NamedTuple):
    """A place in pixels; the centre of the top left pixel is (0, 0)."""

    x: float
    y: float


class Box(NamedTuple):
    """A rectangle in pixels. It may reach beyond the image."""

    x: float
    y: float
    width: float
    height: float


class Landmarks(NamedTuple):
    """Places in the face; right is the subject's right, the left side of the image."""

    right_eye: Point
    left_eye: Point
    nose: Point
    mouth_right: Point
    mouth_left: Point


@dataclass(frozen=True)
class Face:
    """A face that was found, in pixels of the upright image."""

    box: Box
    landmarks: Landmarks
    score: float
    """Confidence of the face detector, 0..1."""


@dataclass(frozen=True)
class AttackType:
    """Probabilities of the attack presentations; with ``live_probability`` they sum to 1."""

    print: float
    """A printed photo, 0..1."""
    replay: float
    """A photo or video on a screen, 0..1."""


@dataclass(frozen=True)
class Quality:
    """Measured quality of the image of the face."""

    face_size: float
    """Height of the face box in pixels."""
    face_share: float
    """Height of the face box as a share of the image's long side."""
    outside: float
    """Share of the face box that lies outside the image, 0..1."""
    yaw: float
    """Turn of the head in degrees, positive towards the subject's left."""
    pitch: float
    """Nod of the head in degrees, positive upwards."""
    roll: float
    """Tilt of the head in the image plane in degrees, positive clockwise."""
    brightness: float
    """Mean luma of the face, 0..1."""
    contrast: float
    """Standard deviation of the luma of the face, 0..0.5."""
    clipped: float
    """Share of the face's pixels that are black or white, 0..1."""
    sharpness: float
    """Variance of the Laplacian of the face scaled to a fixed size; small is blurred."""


@dataclass(frozen=True)
class Timings:
    """Milliseconds per stage."""

    decode: float
    """Reading, decoding and turning upright."""
    detect: float
    """Finding faces."""
    mask: float
    """Looking for a mask and measuring the quality."""
    spoof: float
    """Telling live from attack."""
    total: float
    """All of it."""


@dataclass(frozen=True)
class Details:
    """What a verdict rests on, rounded as in the JSON. Pixels are those of the upright image."""

    live_probability: float
    """Calibrated probability of a bona fide presentation, 0..1."""
    threshold: float
    """``live_probability`` from which on the face counts as live."""
    attack_type: AttackType
    mask_probability: float
    """Probability that a mask covers mouth or nose, 0..1."""
    faces: int
    """Number of faces that count: 1."""
    face: Face
    quality: Quality
    reasons: tuple[str, ...]
    """What is wrong with the quality, such as ``"too_dark"``; empty for a good selfie."""
    models: str
    """Version and digest of the models."""
    engine: str
    """Name and version of the inference engine."""
    timings_ms: Timings = field(compare=False)
    """Where the time went; two results are equal whatever time they took."""


@dataclass(frozen=True)
class ErrorDetails:
    """What was found before a check ended in an error; None or empty where it came to nothing."""

    reasons: tuple[str, ...] = ()
    """Why the image was refused, such as ``"several_faces"``."""
    faces: int | None = None
    """Number of faces that count."""
    face: Face | None = None
    """The main face."""
    mask_probability: float | None = None
    quality: Quality | None = None


@dataclass(frozen=True)
class Result:
    """A verdict on an image with exactly one bare face: live, or an attack.

    It has no truth value, because ``if engine.check(image)`` would be true for an attack too. Ask
    for ``result.liveness``.
    """

    liveness: bool
    """Whether a live person is before the camera, rather than a print or a screen."""
    score: float
    """How confident that answer is, 0..1: near 1 for a sure live person and for a sure attack."""
    details: Details
    _answer: str = field(repr=False, compare=False)

    def __bool__(self) -> bool:
        raise TypeError("a result is neither true nor false; ask for its .liveness")

    def to_json(self, *, details: bool = False) -> str:
        """The contract's JSON, exactly as the library made it."""
        return contract_json(self._answer, details)


@dataclass(frozen=True)
class ModelFile:
    """One network of the models."""

    name: str
    """What it does: ``detector``, ``mask``, or the name of a liveness network."""
    file: str
    sha256: str
    """SHA-256 of its bytes in hexadecimal."""


@dataclass(frozen=True)
class Info:
    """What a :class:`Liveness` computes with."""

    version: str
    """Version of the library."""
    engine: str
    """Name and version of the inference engine, such as ``"embedded 2"``."""
    models: str
    """Version and digest of the models."""
    files: tuple[ModelFile, ...]


def contract_json(answer: str, details: bool) -> str:
    """The library's JSON, with or without its last member, ``details``.

    No member before it can contain the text it is recognised by: they are numbers, truth values
    and the contract's messages.
    """
    head, found, _ = answer.partition(',"details":')
    return head + "}" if found and not details else answer
