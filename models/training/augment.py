"""What a camera and a messenger do to an image: tone, white balance, blur, noise, JPEG.

Every function takes an RGB uint8 image, and a numpy Generator where it draws by lot, and returns a new uint8 image. All
classes pass through the same functions at the same strength, or a network learns the
augmentation instead of the subject.
"""

from __future__ import annotations

import cv2
import numpy as np

Rng = np.random.Generator

_BANK_SIDE = 512
# Drawing noise costs more than everything else together: draw once, then shift and scale it.
_BANK = np.random.default_rng(20).standard_normal((_BANK_SIDE, _BANK_SIDE, 3), np.float32)
_GREY_BANK = np.ascontiguousarray(_BANK[..., :1].repeat(3, 2))


def tone(image: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """Exposure, gamma, contrast and white balance in one table per channel."""
    x = np.linspace(0.0, 1.0, 256, dtype=np.float32)[:, None].repeat(3, 1)
    x = x ** np.exp(rng.normal(0.0, 0.28 * strength))
    x *= np.exp(rng.normal(0.0, 0.12 * strength, 3)) * np.exp(rng.normal(0.0, 0.18 * strength))
    x = (x - 0.45) * np.exp(rng.normal(0.0, 0.18 * strength)) + 0.45
    x += rng.normal(0.0, 0.05 * strength)
    table = np.clip(x * 255.0 + 0.5, 0, 255).astype(np.uint8)
    return cv2.LUT(image, table[None])


def low_light(image: np.ndarray, rng: Rng) -> np.ndarray:
    """A dim room: little light, then the noise of a camera that amplifies it."""
    gain = rng.uniform(0.12, 0.5)
    table = np.clip(np.arange(256) * gain + rng.uniform(0, 12), 0, 255).astype(np.uint8)
    return noise(cv2.LUT(image, table), rng, rng.uniform(2, 9))


def blur(image: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """Defocus, motion, or a smaller picture enlarged again."""
    kind = rng.integers(3)
    if kind == 0:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.0 + 1.2 * strength))
    if kind == 1:
        return motion(image, rng, 3 + int(rng.integers(0, 1 + round(6 * strength))))
    h, w = image.shape[:2]
    factor = rng.uniform(1.0 / (1.0 + 1.5 * strength), 0.9)
    small = cv2.resize(image, (max(8, int(w * factor)), max(8, int(h * factor))), interpolation=3)
    back = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    return cv2.resize(small, (w, h), interpolation=back)


def motion(image: np.ndarray, rng: Rng, length: int) -> np.ndarray:
    """A camera or head that moved ``length`` pixels in any direction."""
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0
    middle = (length - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.uniform(0, 180), 1.0)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(image, -1, kernel / max(kernel.sum(), 1e-6))


def noise(image: np.ndarray, rng: Rng, sigma: float) -> np.ndarray:
    """Gaussian noise of the given strength in grey levels; grey or coloured, fine or coarse."""
    h, w = image.shape[:2]
    if h > _BANK_SIDE or w > _BANK_SIDE:
        raise ValueError(f"noise: {w}x{h} is larger than the noise bank of {_BANK_SIDE} px")
    y, x = rng.integers(0, _BANK_SIDE - h + 1), rng.integers(0, _BANK_SIDE - w + 1)
    bank = _GREY_BANK if rng.random() < 0.4 else _BANK
    field = bank[y : y + h, x : x + w]
    if rng.random() < 0.3:
        field = cv2.GaussianBlur(field, (3, 3), 0) * 2.0
    return cv2.add(image, field * np.float32(sigma), dtype=cv2.CV_8U)


def sharpened(image: np.ndarray, amount: float, radius: float) -> np.ndarray:
    """Unsharp mask."""
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), radius), -amount, 0)


def jpeg(image: np.ndarray, rng: Rng, low: int = 20, high: int = 95) -> np.ndarray:
    """One generation of JPEG at a random quality."""
    quality = int(rng.integers(low, high + 1))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def grey(image: np.ndarray) -> np.ndarray:
    return cv2.merge([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)] * 3)


def camera(image: np.ndarray, rng: Rng, strength: float = 1.0) -> np.ndarray:
    """All of it, each step with its own probability, in the order in which light meets them."""
    if rng.random() < 0.8:
        image = tone(image, rng, strength)
    if rng.random() < 0.08:
        image = grey(image)
    if rng.random() < 0.35:
        image = blur(image, rng, strength)
    if rng.random() < 0.12 * strength:
        image = low_light(image, rng)
    elif rng.random() < 0.35:
        image = noise(image, rng, rng.uniform(1, 4 + 8 * strength))
    if rng.random() < 0.3:
        image = jpeg(image, rng)
    return image
