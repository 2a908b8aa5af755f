"""The mask classifier as the library runs it, on one aligned face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..detector.predict import open_session
from ..geometry import align, to_input


class MaskPredictor:
    """P(masked) from an image and five landmarks, with a mask.onnx."""

    def __init__(self, path: Path) -> None:
        self.session = open_session(path)

    def __call__(self, image: np.ndarray, points: np.ndarray) -> float:
        x = to_input(align(image, points)[None])
        (logit,) = self.session.run(["logit"], {"input": x})
        return float(1 / (1 + np.exp(-logit[0, 0])))
