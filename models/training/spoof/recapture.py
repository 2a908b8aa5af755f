"""Simulated presentation attacks: a photograph shown on paper or on a screen, taken by a camera.

Everything that happens to light (ink, emission, glow, reflections, shading, sub-pixels, blur) is
computed in linear light; only storage is sRGB. Images are float32 RGB (height, width, 3).
The optical steps follow how recapture artefacts arise: halftone and sub-pixel lattices are drawn
finer than the camera samples and reach its grid by resampling, so their moire is true aliasing. Where a display is too
fine to draw its sub-pixels, a third of the replays, the beat with the sensor is drawn as fringes instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Rng = np.random.Generator
SKIN = np.float32([(140, 95, 70), (190, 140, 110), (225, 175, 150), (95, 60, 45), (205, 150, 125)])


@dataclass
class Medium:
    """What carries the picture: linear light, coverage, and the face box on it (x, y, w, h)."""

    light: np.ndarray
    alpha: np.ndarray
    box: np.ndarray


def to_linear(image: np.ndarray) -> np.ndarray:
    return np.power(image.astype(np.float32) / 255, 2.2)


def to_srgb(light: np.ndarray) -> np.ndarray:
    return (np.power(np.clip(light, 0, 1), 1 / 2.2) * 255 + 0.5).astype(np.uint8)


def smooth_noise(rng: Rng, height: int, width: int, period: float) -> np.ndarray:
    shape = (max(2, int(height / period) + 2), max(2, int(width / period) + 2))
    coarse = rng.normal(0, 1, shape).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def _blur(light: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(light, (0, 0), sigma) if sigma > 0.2 else light


def _log_uniform(rng: Rng, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _choose_view(rng: Rng, box: np.ndarray, shape: tuple, fill: bool) -> tuple[int, int, int, int]:
    """The part of the photograph that the medium shows, as x0, y0, x1, y1."""
    height, width = shape[:2]
    x, y, w, h = box
    size = max(w, h)
    zoom = _log_uniform(rng, 1.9 if fill else 1.25, 3.8)
    aspect = rng.uniform(0.9, 1.8) if rng.random() < 0.7 else rng.uniform(0.55, 0.9)
    vw, vh = zoom * size / np.sqrt(max(1.0, aspect)), zoom * size / np.sqrt(max(1.0, aspect)) * aspect
    cx = x + w / 2 + rng.uniform(-0.15, 0.15) * size
    cy = y + h / 2 + rng.uniform(-0.1, 0.25) * size
    x0, y0 = max(0, min(cx - vw / 2, x - 2)), max(0, min(cy - vh / 2, y - 2))
    x1, y1 = min(width, max(cx + vw / 2, x + w + 2)), min(height, max(cy + vh / 2, y + h + 2))
    return int(x0), int(y0), int(x1), int(y1)


def _photograph(rng: Rng, image: np.ndarray, box: np.ndarray, fill: bool) -> tuple[np.ndarray, np.ndarray]:
    x0, y0, x1, y1 = _choose_view(rng, box, image.shape, fill)
    view, face = image[y0:y1, x0:x1], np.float32([box[0] - x0, box[1] - y0, box[2], box[3]])
    factor = rng.uniform(120, 240) / max(face[2:])
    mode = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    view, face = cv2.resize(view, None, fx=factor, fy=factor, interpolation=mode), face * factor
    if rng.random() < 0.4:
        view = view[:, ::-1]
        face[0] = view.shape[1] - face[0] - face[2]
    return to_linear(np.ascontiguousarray(view)), face


def _lattice(height: int, width: int, period: float, angle: float) -> np.ndarray:
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    u = (xx * np.cos(angle) + yy * np.sin(angle)) * (np.pi / period)
    v = (-xx * np.sin(angle) + yy * np.cos(angle)) * (np.pi / period)
    return np.cos(u) * np.cos(v)


def _ink(rng: Rng, light: np.ndarray) -> np.ndarray:
    """Reflectance of printed ink: smaller gamut, raised black, tinted paper."""
    grey = light.mean(2, keepdims=True)
    saturation = rng.uniform(0.45, 1.05) if rng.random() > 0.12 else 0.0
    light = np.clip(grey + (light - grey) * saturation, 0, 1) ** rng.uniform(0.75, 1.35)
    black, white = _log_uniform(rng, 0.003, 0.03), rng.uniform(0.55, 0.95)
    return (black + (white - black) * light) * rng.uniform(0.88, 1.04, 3).astype(np.float32)


def _dots(rng: Rng, light: np.ndarray) -> np.ndarray:
    """Clustered-dot halftone, inkjet grain or neither (continuous-tone photo paper)."""
    height, width = light.shape[:2]
    kind = rng.random()
    if kind < 0.35:
        period, angle = rng.uniform(1.5, 4.5), rng.uniform(0, np.pi)
        depth = rng.uniform(0.15, 0.8)
        for c in range(3):
            dots = _lattice(height, width, period, angle + c * 0.52)
            light[..., c] *= 1 + depth * dots * (1 - light[..., c])
    elif kind < 0.6:
        channels = 1 if rng.random() < 0.5 else 3
        grain = rng.normal(0, rng.uniform(0.04, 0.22), (height, width, channels)).astype(np.float32)
        light *= 1 + grain
    if rng.random() < 0.2:
        axis = np.arange(height, dtype=np.float32)
        light *= 1 + (rng.uniform(0.02, 0.08) * np.sin(axis * 2 * np.pi / rng.uniform(4, 30)))[:, None, None]
    return light


def _shading(rng: Rng, height: int, width: int) -> np.ndarray:
    """Irradiance on bent paper: a few low waves across one axis and a linear fall-off."""
    yy, xx = np.mgrid[0:1:height * 1j, 0:1:width * 1j].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    t = xx * np.cos(angle) + yy * np.sin(angle)
    waves = np.sin(t * rng.uniform(0.4, 1.8) * 2 * np.pi + rng.uniform(0, 6.3))
    return 1 + rng.uniform(0.03, 0.3) * waves + rng.uniform(-0.3, 0.3) * (t - 0.5)


def _gloss(rng: Rng, light: np.ndarray, strength: float) -> np.ndarray:
    """Specular highlights of lamps and windows on a glossy surface."""
    height, width = light.shape[:2]
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    for _ in range(int(rng.integers(1, 3))):
        cx, cy, angle = rng.uniform(-0.1, 1.1) * width, rng.uniform(-0.1, 1.1) * height, rng.uniform(0, np.pi)
        u = ((xx - cx) * np.cos(angle) + (yy - cy) * np.sin(angle)) / (rng.uniform(0.05, 0.5) * width)
        v = ((yy - cy) * np.cos(angle) - (xx - cx) * np.sin(angle)) / (rng.uniform(0.03, 0.3) * height)
        spot = np.exp(-(u**2) - v**2) if rng.random() < 0.7 else ((abs(u) < 1) & (abs(v) < 1)).astype(np.float32)
        colour = rng.uniform(0.85, 1.0, 3).astype(np.float32)
        light = light + _blur(spot, 2.0)[..., None] * (_log_uniform(rng, 0.02, 0.6) * strength) * colour
    return light


def _paper(rng: Rng, light: np.ndarray, box: np.ndarray, fill: bool) -> Medium:
    light = _dots(rng, _ink(rng, light))
    if rng.random() < 0.5:
        light *= 1 + smooth_noise(rng, *light.shape[:2], rng.uniform(1, 4))[..., None] * rng.uniform(0.01, 0.05)
    if not fill and rng.random() < 0.55:
        margin = [int(rng.uniform(0, 0.22) * light.shape[1]) for _ in range(4)]
        white = [float(v) for v in rng.uniform(0.6, 0.95) * rng.uniform(0.94, 1.0, 3)]
        light = cv2.copyMakeBorder(light, *margin, cv2.BORDER_CONSTANT, value=white)
        box = box + np.float32([margin[2], margin[0], 0, 0])
    if rng.random() < 0.6:
        light = light * _shading(rng, *light.shape[:2])[..., None]
    if rng.random() < 0.35:
        light = _gloss(rng, light, 0.7)
    alpha = np.ones(light.shape[:2], np.float32)
    if not fill and rng.random() < 0.18:
        alpha = _cut_out(rng, alpha.shape, box)
    return Medium(light, alpha, box)


def _cut_out(rng: Rng, shape: tuple, box: np.ndarray) -> np.ndarray:
    """Paper cut along the head, sometimes with shoulders: no rectangular edge remains."""
    x, y, w, h = (float(v) for v in box)
    mask = np.zeros(shape, np.float32)
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radius = 1 + 0.06 * np.sin(angles * rng.integers(2, 6) + rng.uniform(0, 6.3))
    grow = rng.uniform(1.0, 1.5)
    points = np.stack([x + w / 2 + np.cos(angles) * radius * w * 0.62 * grow, y + h * 0.46 + np.sin(angles) * radius * h * 0.66 * grow], 1)
    cv2.fillPoly(mask, [points.astype(np.int32)], 1.0)
    if rng.random() < 0.6:
        body = [(x - w * 0.6, shape[0]), (x + w * 0.15, y + h * 0.95), (x + w * 0.85, y + h * 0.95), (x + w * 1.6, shape[0])]
        cv2.fillPoly(mask, [np.int32(body)], 1.0)
    return mask


def _emission(rng: Rng, light: np.ndarray) -> np.ndarray:
    """Light of a display: its gamma, brightness, white point and the glow of its black."""
    light = light ** rng.uniform(0.8, 1.25) * _log_uniform(rng, 0.4, 1.9)
    tint = np.float32([rng.uniform(0.75, 1.05), rng.uniform(0.92, 1.06), rng.uniform(0.95, 1.3)])
    if rng.random() < 0.25:
        tint = tint[::-1]
    if rng.random() < 0.12:
        light = np.round(np.clip(light, 0, 1) ** 0.4545 * 32) / 32
        light = light**2.2
    return np.minimum(light * tint, 1.3) + rng.uniform(0, 0.01)


def _subpixels(rng: Rng, light: np.ndarray, limit: int = 1500) -> tuple[np.ndarray, int]:
    """Redraw every display pixel as red, green and blue stripes between black matrix lines."""
    height, width = light.shape[:2]
    cell = 3 if max(height, width) * 4 > limit else int(rng.integers(3, 5))
    if max(height, width) * cell > limit:
        return light, 1
    matrix = np.full((cell, cell, 3), rng.uniform(0.0, 0.35), np.float32)
    for c in range(3):
        matrix[:, c * cell // 3, c] = 1.0
    if cell == 4:
        matrix[:, 3] *= rng.uniform(0.2, 1.0)
    matrix[-1] *= rng.uniform(0.2, 0.9)
    matrix /= matrix.mean((0, 1))
    fine = cv2.resize(light, (width * cell, height * cell), interpolation=cv2.INTER_NEAREST)
    fine *= np.tile(matrix, (height, width, 1))
    return fine, cell


def _fringes(rng: Rng, light: np.ndarray) -> np.ndarray:
    """Beat between display and sensor when both lattices are too fine to draw: warped fringes."""
    height, width = light.shape[:2]
    yy, xx = np.mgrid[0:height, 0:width].astype(np.float32)
    wobble = smooth_noise(rng, height, width, rng.uniform(30, 120)) * rng.uniform(0, 6)
    depth = _log_uniform(rng, 0.015, 0.2)
    light = light.copy()
    for _ in range(int(rng.integers(1, 3))):
        period, angle = _log_uniform(rng, 2.1, 28), rng.uniform(0, np.pi)
        phase = (xx * np.cos(angle) + yy * np.sin(angle) + wobble) * (2 * np.pi / period)
        spread = rng.uniform(1.5, 2.6) if rng.random() < 0.6 else 0.0
        for c in range(3):
            light[..., c] *= 1 + depth * np.sin(phase + c * spread)
    return light


def _interface(rng: Rng, light: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Letterbox or bars of an application above and below the picture."""
    width = light.shape[1]
    top, bottom = (int(rng.uniform(0.03, 0.35) * width) for _ in range(2))
    shade = rng.uniform(0, 0.02) if rng.random() < 0.6 else rng.uniform(0.5, 1.1)
    light = cv2.copyMakeBorder(light, top, bottom, 0, 0, cv2.BORDER_CONSTANT, value=(shade,) * 3)
    for _ in range(int(rng.integers(0, 6))):
        bar_top = rng.random() < 0.5
        y = int(rng.uniform(0, top) if bar_top else rng.uniform(light.shape[0] - bottom, light.shape[0]))
        x = int(rng.uniform(0, 0.9) * width)
        corner = (x + int(rng.uniform(0.03, 0.3) * width), y + int(rng.uniform(0.01, 0.04) * width) + 1)
        cv2.rectangle(light, (x, y), corner, (1 - min(1.0, shade),) * 3, -1)
    return light, box + np.float32([0, top, 0, 0])


def _player_button(rng: Rng, light: np.ndarray) -> np.ndarray:
    """The translucent play or pause button of a video that stands still."""
    height, width = light.shape[:2]
    radius = rng.uniform(0.05, 0.12) * min(height, width)
    cx, cy = width * rng.normal(0.5, 0.03), height * rng.normal(0.5, 0.06)
    disc, sign = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    cv2.circle(disc, (int(cx), int(cy)), int(radius), 1.0, -1, cv2.LINE_AA)
    reach = 0.42 * radius
    if rng.random() < 0.6:
        shapes = [[(-0.7, -1), (1.1, 0), (-0.7, 1)]]
    else:
        shapes = [[(a, -1), (a + 0.5, -1), (a + 0.5, 1), (a, 1)] for a in (-0.8, 0.3)]
    for shape in shapes:
        cv2.fillPoly(sign, [np.int32(np.float32(shape) * reach + (cx, cy))], 1.0, cv2.LINE_AA)
    dark, opacity = rng.random() < 0.7, rng.uniform(0.35, 0.9)
    base, mark = (0.02, 0.95) if dark else (0.95, 0.05)
    light = light + (base - light) * (disc * opacity)[..., None]
    return light + (mark - light) * (sign * rng.uniform(0.6, 1.0))[..., None]


def _rounded(height: int, width: int, radius: float) -> np.ndarray:
    mask = np.zeros((height, width), np.float32)
    r = int(max(0, min(radius, height // 2 - 1, width // 2 - 1)))
    cv2.rectangle(mask, (r, 0), (width - r, height), 1.0, -1)
    cv2.rectangle(mask, (0, r), (width, height - r), 1.0, -1)
    for cx in (r, width - r - 1):
        for cy in (r, height - r - 1):
            cv2.circle(mask, (cx, cy), r, 1.0, -1)
    return mask


def _reflection(rng: Rng, light: np.ndarray, scene: np.ndarray) -> np.ndarray:
    mirrored = cv2.resize(scene, (light.shape[1], light.shape[0]))[:, ::-1]
    return light + _blur(to_linear(mirrored), rng.uniform(1, 12)) * _log_uniform(rng, 0.004, 0.1)


def _screen(rng: Rng, light: np.ndarray, box: np.ndarray, fill: bool, scene: np.ndarray) -> tuple[Medium, int]:
    light = _emission(rng, light)
    cell, kind = 1, rng.random()
    if kind < 0.35:
        light = _fringes(rng, light)
    if rng.random() < 0.15:
        light = _player_button(rng, light)
    if not fill and rng.random() < 0.45:
        light, box = _interface(rng, light, box)
    if kind > 0.65:
        light, cell = _subpixels(rng, light)
        box = box * cell
    if rng.random() < 0.15:
        rows = np.arange(light.shape[0], dtype=np.float32) / light.shape[0]
        light = light * (1 + rng.uniform(0.05, 0.35) * np.sin(rows * 2 * np.pi * rng.uniform(0.5, 3) + rng.uniform(0, 6.3)))[:, None, None]
    if rng.random() < 0.45:
        light = _gloss(rng, light, 0.5)
    if rng.random() < 0.4:
        light = _reflection(rng, light, scene)
    alpha = np.ones(light.shape[:2], np.float32)
    if not fill:
        shade = rng.uniform(0.0, 0.02) if rng.random() < 0.75 else rng.uniform(0.15, 0.9)
        bezel = [int(rng.uniform(0.012, 0.12) * light.shape[1]) for _ in range(4)]
        if rng.random() < 0.5:
            bezel[1], bezel[3] = bezel[0], bezel[2]
        light = cv2.copyMakeBorder(light, *bezel, cv2.BORDER_CONSTANT, value=(shade,) * 3)
        box = box + np.float32([bezel[2], bezel[0], 0, 0])
        alpha = _rounded(*light.shape[:2], rng.uniform(0, 0.09) * light.shape[1])
    return Medium(light, alpha, box), cell


def _place(rng: Rng, medium: Medium, fill: bool, frame: tuple[int, int]) -> np.ndarray:
    """Homography from the medium to a camera frame (height, width)."""
    height, width = frame
    mh, mw = medium.light.shape[:2]
    corners = np.float32([[0, 0], [mw, 0], [mw, mh], [0, mh]])
    middle = np.float32([mw / 2, mh / 2])
    face = medium.box[:2] + medium.box[2:] / 2 - middle
    if fill:
        scale = max(width / mw, height / mh) * rng.uniform(1.05, 1.25)
        limit = np.maximum(0, np.float32([mw * scale - width, mh * scale - height]) / 2)
        centre = np.float32([width / 2, height / 2]) - np.clip(face * scale, -limit, limit)
        turn, bend = rng.normal(0, 0.03), 0.008
    else:
        scale = rng.uniform(0.17, 0.52) * min(height, width * 1.2) / max(medium.box[2:])
        # As high as people are in photographs of their own, or where a face is tells the class.
        centre = np.float32([width * rng.uniform(0.32, 0.68), height * rng.uniform(0.28, 0.6)]) - face * scale
        turn, bend = rng.normal(0, 0.09), 0.025
    rotation = np.float32([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = ((corners - middle) * scale) @ rotation.T + centre
    target += rng.normal(0, bend * scale * min(mh, mw), (4, 2))
    matrix = cv2.getPerspectiveTransform(corners, target.astype(np.float32))
    return _enlarged(matrix, (mh, mw), frame) if fill else matrix


def _enlarged(matrix: np.ndarray, medium: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """As much larger as it takes for the turned medium to reach every corner of the frame: no other class of images
    has stripes where the picture ended."""
    (mh, mw), (height, width) = medium, frame
    corners = np.float32([[[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]])
    grow = np.array([[1.02, 0, -0.01 * width], [0, 1.02, -0.01 * height], [0, 0, 1]])
    while True:
        seen = cv2.perspectiveTransform(corners, np.linalg.inv(matrix))[0]
        if (seen >= 0).all() and (seen <= (mw - 1, mh - 1)).all():
            return matrix
        matrix = grow @ matrix


def _background(rng: Rng, scene: np.ndarray, frame: tuple[int, int]) -> np.ndarray:
    height, width = frame
    zoom = max(width / scene.shape[1], height / scene.shape[0]) * rng.uniform(1.0, 1.5)
    size = (max(width, int(scene.shape[1] * zoom)), max(height, int(scene.shape[0] * zoom)))
    large = cv2.resize(scene, size)
    y, x = (int(rng.integers(0, n + 1)) for n in (size[1] - height, size[0] - width))
    light = to_linear(large[y : y + height, x : x + width])
    if rng.random() < 0.6:
        light = _blur(light, rng.uniform(0.5, 4))
    return light * _log_uniform(rng, 0.2, 1.3)


def _fingers(rng: Rng, frame: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """Fingers in one of several skin tones over one border of the medium."""
    tone = to_linear(np.clip(SKIN[rng.integers(len(SKIN))] + rng.normal(0, 10, 3), 5, 250))
    edge, centre = int(rng.integers(4)), quad.mean(0)
    start, end = quad[edge], quad[(edge + 1) % 4]
    length = float(np.linalg.norm(quad[1] - quad[0]))
    mask = np.zeros(frame.shape[:2], np.float32)
    at = rng.uniform(0.1, 0.7)
    for _ in range(int(rng.integers(1, 5))):
        point = start + (end - start) * min(at, 1.0)
        inward = (centre - point) / max(1.0, float(np.linalg.norm(centre - point)))
        tip, root = point + inward * length * rng.uniform(0.03, 0.16), point - inward * length * rng.uniform(0.2, 0.6)
        thick = max(3, int(length * rng.uniform(0.06, 0.11)))
        cv2.line(mask, tuple(int(v) for v in tip), tuple(int(v) for v in root), 1.0, thick)
        at += rng.uniform(0.07, 0.12)
    mask = _blur(mask, max(0.6, length * 0.006))
    form = 1 + smooth_noise(rng, *mask.shape, max(4, length * 0.05)) * 0.12 + (_blur(mask, max(1, length * 0.02)) - 1) * 0.7
    light = tone * np.maximum(form, 0.05)[..., None] * _log_uniform(rng, 0.4, 1.2)
    return frame * (1 - mask[..., None]) + light * mask[..., None]


def _shadow(rng: Rng, ground: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    soft = _blur(alpha, ground.shape[0] * rng.uniform(0.01, 0.05))
    shift = (int(rng.uniform(0, 12)), int(rng.uniform(-12, 12)))
    return ground * (1 - rng.uniform(0.1, 0.6) * np.roll(soft, shift, (0, 1)))[..., None]


def _box_after(matrix: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The bounds of the face's ellipse. Those of its turned box are larger than what a detector finds, and networks
    learn that attacks have small faces in their boxes."""
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    ellipse = box[:2] + box[2:] * (0.5 + 0.5 * np.stack([np.cos(turn), np.sin(turn)], 1))
    moved = cv2.perspectiveTransform(ellipse[None].astype(np.float32), matrix)[0]
    low, high = moved.min(0), moved.max(0)
    return np.float32([*low, *(high - low)])


def render(
    rng: Rng, image: np.ndarray, box: np.ndarray, scene: np.ndarray, species: str, height: int = 448
) -> tuple[np.ndarray, np.ndarray]:
    """Show ``image`` on a ``print`` or a ``replay`` medium before ``scene`` and photograph it.

    Returns the camera frame (uint8 RGB, ``height`` rows) and the face box in it.
    In about two fifths of the frames the medium fills the frame, so that no edge is visible.
    """
    fill = rng.random() < 0.42
    light, face = _photograph(rng, image, box, fill)
    if species == "print":
        medium, cell = _paper(rng, light, face, fill), 1
    elif species == "replay":
        medium, cell = _screen(rng, light, face, fill, scene)
    else:
        raise ValueError(f"unknown attack species {species!r}: use 'print' or 'replay'")
    frame = (height, int(height * (rng.uniform(0.56, 0.8) if rng.random() < 0.6 else rng.uniform(1.2, 1.5))))
    matrix = _place(rng, medium, fill, frame)
    scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
    # A lens and the sensor's pixel aperture blur before sampling: what passes still aliases.
    light = _blur(medium.light, rng.uniform(0.25, 0.5) / scale if scale < 1 else 0.0)
    size = (frame[1], frame[0])
    shown = cv2.warpPerspective(light, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if fill:
        out = shown
    else:
        alpha = _blur(cv2.warpPerspective(medium.alpha, matrix, size), rng.uniform(0.4, 1.0))
        ground = _background(rng, scene, frame)
        if rng.random() < 0.6:
            ground = _shadow(rng, ground, alpha)
        out = shown * alpha[..., None] + ground * (1 - alpha[..., None])
        if rng.random() < 0.5:
            corners = np.float32([[[0, 0], [medium.light.shape[1], 0], [medium.light.shape[1], medium.light.shape[0]], [0, medium.light.shape[0]]]])
            out = _fingers(rng, out, cv2.perspectiveTransform(corners, matrix)[0])
    if rng.random() < 0.4:
        out = _blur(out, rng.uniform(0.3, 1.1))
    return to_srgb(out * _log_uniform(rng, 0.7, 1.25)), _box_after(matrix, medium.box)
