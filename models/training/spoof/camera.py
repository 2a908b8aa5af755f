"""A camera and its file format, applied alike to bona fide images and attacks while training.

Whatever separates the classes must survive it; whatever only tells one data source from another
(re-encoding, exposure, sharpness, noise) should not.
"""

from __future__ import annotations

import cv2
import numpy as np

from .. import augment

Rng = np.random.Generator


class Camera:
    """Draws one random camera per image."""

    def __init__(self, rng: Rng):
        self._rng = rng

    def shoot(self, image: np.ndarray) -> np.ndarray:
        """uint8 RGB in, uint8 RGB of the same size out."""
        image = self._glare(image)
        image = self._soften(image)
        image = self._tone(image)
        image = self._levels(image)
        image = self._grain(image)
        image = self._process(image)
        return self._encode(image)

    def _glare(self, image: np.ndarray) -> np.ndarray:
        """A smeared lens or stray light: everything bright glows, black turns grey."""
        rng = self._rng
        if rng.random() > 0.12:
            return image
        small = cv2.resize(image, (max(8, image.shape[1] // 8), max(8, image.shape[0] // 8)), interpolation=cv2.INTER_AREA)
        glow = cv2.GaussianBlur(small, (0, 0), rng.uniform(0.8, 5))
        glow = cv2.resize(glow, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return cv2.addWeighted(image, rng.uniform(0.85, 1.2), glow, rng.uniform(0.05, 0.35), rng.uniform(0, 20))

    def _soften(self, image: np.ndarray) -> np.ndarray:
        rng, kind = self._rng, self._rng.random()
        if kind < 0.35:
            return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.8))
        if kind < 0.47:
            return augment.motion(image, rng, int(rng.integers(3, 10)))
        if kind < 0.53:
            small = cv2.resize(image, None, fx=(f := rng.uniform(0.4, 0.8)), fy=f, interpolation=cv2.INTER_AREA)
            return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        if kind < 0.57:
            return cv2.GaussianBlur(image, (0, 0), rng.uniform(1.8, 2.8))
        return image

    def _tone(self, image: np.ndarray) -> np.ndarray:
        """Exposure, white balance and stray light in linear light, then a tone curve: one table per channel."""
        rng = self._rng
        exposure, kind = np.exp(rng.normal(0, 0.35)), rng.random()
        if kind < 0.15:
            exposure = rng.uniform(0.12, 0.5)
        elif kind < 0.22:
            exposure = rng.uniform(1.4, 2.6)
        warmth = rng.normal(0, 0.12) if rng.random() > 0.1 else rng.uniform(-0.45, 0.45)
        gains = np.exp(np.float32([warmth, rng.normal(0, 0.04), -warmth])) * exposure
        light = np.linspace(0, 1, 256, dtype=np.float32)[:, None] ** 2.2 * gains
        # Hazy front lenses raise every black, as paper and displays do: alike in both classes, or grey blacks mean attack.
        veil = rng.uniform(0, 0.06 if rng.random() < 0.35 else 0.01)
        value = (light + veil) ** (1 / 2.2)
        pivot = rng.uniform(0.3, 0.6)
        value = (value - pivot) * np.exp(rng.normal(0, 0.15)) + pivot
        value = np.clip(value, 0, 1) ** np.exp(rng.normal(0, 0.12))
        image = cv2.LUT(image, (value * 255 + 0.5).astype(np.uint8)[None])
        return self._saturate(image)

    def _levels(self, image: np.ndarray) -> np.ndarray:
        """What makes of the darkest and brightest parts almost black and white, as many cameras do."""
        rng = self._rng
        if rng.random() > 0.3:
            return image
        low, high = np.percentile(image[::4, ::4], (1, 99))
        black, white = rng.uniform(0, 20), rng.uniform(200, 255)
        table = (np.arange(256, dtype=np.float32) - low) * ((white - black) / max(high - low, 30)) + black
        return cv2.LUT(image, np.clip(table + 0.5, 0, 255).astype(np.uint8))

    def _saturate(self, image: np.ndarray) -> np.ndarray:
        chance = self._rng.random()
        if chance > 0.35:
            return image
        amount = 0.0 if chance < 0.03 else self._rng.uniform(0.5, 1.4)
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return cv2.addWeighted(image, amount, grey, 1 - amount, 0)

    def _grain(self, image: np.ndarray) -> np.ndarray:
        rng = self._rng
        if rng.random() < 0.4:
            return image
        strength = float(np.exp(rng.uniform(np.log(0.8), np.log(8))))
        return augment.noise(image, rng, strength)

    def _process(self, image: np.ndarray) -> np.ndarray:
        """What phones do to a face: denoising, skin smoothing, sharpening."""
        rng, kind = self._rng, self._rng.random()
        if kind < 0.06:
            return cv2.bilateralFilter(image, 5, rng.uniform(10, 40), 3)
        if kind < 0.1:
            return cv2.medianBlur(image, 3)
        if kind < 0.3:
            return augment.sharpened(image, rng.uniform(0.3, 2.5), rng.uniform(0.5, 2.5))
        if kind < 0.38:  # local contrast of phones' night and portrait modes: wide halos
            return augment.sharpened(image, rng.uniform(0.5, 2.2), rng.uniform(2, 6))
        return image

    def _encode(self, image: np.ndarray) -> np.ndarray:
        rng = self._rng
        if rng.random() < 0.2:
            return image
        return augment.jpeg(image, rng, 45, 96) if rng.random() < 0.85 else augment.jpeg(image, rng, 35, 50)
