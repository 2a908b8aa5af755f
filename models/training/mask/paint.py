"""Masks, chin masks and other occlusions painted onto a clip of a bare face."""

from __future__ import annotations

import cv2
import numpy as np

Rng = np.random.Generator
_FINE = 8  # sub-pixel steps of the polygons: 2 ** 3


def _fill(shape: tuple[int, int], outline: np.ndarray, soft: float) -> np.ndarray:
    """Coverage 0..1 of a polygon with slightly soft edges."""
    cover = np.zeros(shape, np.uint8)
    cv2.fillPoly(cover, [np.round(outline * _FINE).astype(np.int32)], 255, cv2.LINE_AA, 3)
    return cv2.GaussianBlur(cover, (0, 0), soft).astype(np.float32)[..., None] / 255


def _fabric_colour(rng: Rng) -> np.ndarray:
    kind = rng.random()
    if kind < 0.35:
        return np.float32([165, 205, 225]) + rng.normal(0, 18, 3)  # surgical blue and green
    if kind < 0.6:
        return np.float32([232, 232, 230]) + rng.normal(0, 12, 3)
    if kind < 0.78:
        return np.float32([32, 32, 35]) + np.abs(rng.normal(0, 15, 3))
    return rng.uniform(20, 235, 3)


def _fabric(side: int, rng: Rng) -> np.ndarray:
    """A piece of cloth: colour, light from one side, pleats or a print, weave."""
    y, x = np.mgrid[:side, :side].astype(np.float32) / side
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + rng.uniform(0, 0.35) * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) * 2
    if rng.random() < 0.5:
        pleats = np.sin(y * rng.uniform(40, 110) + rng.uniform(0, 6))
        light = light * (1 + rng.uniform(0.02, 0.12) * np.minimum(pleats, 0.2))
    cloth = _fabric_colour(rng).astype(np.float32) * light[..., None]
    if rng.random() < 0.12:
        cells = cv2.resize(rng.uniform(0.4, 1.4, (12, 12, 3)).astype(np.float32), (side, side))
        cloth = cloth * cells
    grain = cv2.resize(rng.normal(0, rng.uniform(0, 8), (side // 2, side // 2)).astype(np.float32), (side, side))
    return np.clip(cloth + grain[..., None], 0, 255)


def _blend(image: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    out = image * (1 - cover) + colour * cover
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def _frame(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Origin at the nose tip; across: eye to eye; down: half-way from the eyes to the mouth."""
    eyes, mouth = points[:2].mean(0), points[3:].mean(0)
    down = (mouth - eyes) / 2
    across = points[1] - points[0]
    return (eyes + mouth) / 2 + 0.15 * (points[2] - (eyes + mouth) / 2), across, down


def worn_mask(image: np.ndarray, points: np.ndarray, rng: Rng) -> np.ndarray:
    """A mask over nose and mouth."""
    return _mask(image, points, rng, top=rng.uniform(-0.75, -0.15), bottom=rng.uniform(1.75, 2.15))


def chin_mask(image: np.ndarray, points: np.ndarray, rng: Rng) -> np.ndarray:
    """A mask pulled down: nose and mouth are free."""
    return _mask(image, points, rng, top=rng.uniform(1.4, 1.7), bottom=rng.uniform(2.2, 3.0))


def _mask(image: np.ndarray, points: np.ndarray, rng: Rng, top: float, bottom: float) -> np.ndarray:
    origin, across, down = _frame(points)
    at = lambda u, v: origin + u * across + v * down
    wide = rng.uniform(0.7, 1.0)
    shoulder = top + rng.uniform(0.1, 0.45)
    jaw = bottom - rng.uniform(0.25, 0.7)
    outline = [
        at(-wide, shoulder), at(-0.3, top + 0.08), at(0, top), at(0.3, top + 0.08), at(wide, shoulder),
        at(wide * 0.92, (shoulder + jaw) / 2), at(wide * 0.62, jaw), at(0.25, bottom - 0.05),
        at(0, bottom), at(-0.25, bottom - 0.05), at(-wide * 0.62, jaw),
        at(-wide * 0.92, (shoulder + jaw) / 2),
    ]
    outline = np.float32(outline) + rng.normal(0, 1.0, (12, 2)).astype(np.float32)
    colour = _fabric(image.shape[0], rng)
    painted = image
    if rng.random() < 0.7:
        painted = _loops(painted, at, wide, shoulder, jaw, colour.mean((0, 1)), rng)
    return _blend(painted, _fill(image.shape[:2], outline, rng.uniform(0.5, 1.4)), colour)


def _loops(image, at, wide, shoulder, jaw, colour, rng: Rng) -> np.ndarray:
    """Bands from the corners towards the ears."""
    out = image.copy()
    for side in (-1, 1):
        ear = at(side * (wide + rng.uniform(0.25, 0.6)), shoulder - rng.uniform(0.1, 0.6))
        for start in (at(side * wide, shoulder), at(side * wide * 0.7, jaw)):
            ends = [tuple(int(v * _FINE) for v in p) for p in (start, ear)]
            cv2.line(out, *ends, tuple(float(c) for c in colour), 1 + int(rng.integers(3)), cv2.LINE_AA, 3)
    return out


def occlude(image: np.ndarray, points: np.ndarray, rng: Rng) -> np.ndarray:
    """Fingers, a cup, hair, sunglasses: a patch that no one would take for a worn mask."""
    origin, across, down = _frame(points)
    eyes = rng.random() < 0.4
    centre = points[:2].mean(0) if eyes else origin + rng.choice([-1, 1]) * rng.uniform(0.5, 1.0) * across
    centre = centre if eyes else centre + rng.uniform(-1.5, 2.0) * down
    size = np.hypot(*across) * (np.float32([1.9, 0.55]) if eyes else rng.uniform(0.25, 0.9, 2))
    angle = np.degrees(np.arctan2(across[1], across[0])) + (0 if eyes else rng.uniform(0, 180))
    cover = np.zeros(image.shape[:2], np.uint8)
    cv2.ellipse(cover, (tuple(map(float, centre)), tuple(map(float, size)), float(angle)), 255, -1)
    cover = cv2.GaussianBlur(cover, (0, 0), 0.8).astype(np.float32)[..., None] / 255
    if eyes:
        colour = np.full(3, rng.uniform(0, 60), np.float32)
    elif rng.random() < 0.5:
        tone = image[tuple(np.clip(points[2][::-1], 0, image.shape[0] - 1).astype(int))]
        colour = np.float32(tone) * rng.uniform(0.7, 1.2)  # a hand of this person
    else:
        colour = rng.uniform(0, 255, 3).astype(np.float32)
    return _blend(image, cover, colour)
