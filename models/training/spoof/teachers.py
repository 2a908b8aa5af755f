"""Open networks whose answers are training targets; their files stay outside the project.

Origins, crops and colour orders: ``teachers/README.md`` of the shared data.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from ..geometry import clip_box

# Mean and standard deviation of each teacher's live logit over the labelled training images, as
# ``python -m training.spoof.calibrate_teachers`` prints them: the logits are added standardised.
STATISTICS = ((-2.014, 4.712), (-2.207, 4.542), (-3.875, 4.773))
# P(live) = sigmoid(SLOPE * mean standardised logit + OFFSET), fitted on the same images.
SLOPE, OFFSET = 2.45, -0.04


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _shifted(image: np.ndarray, box: np.ndarray, scale: float) -> np.ndarray:
    """Silent-Face-Anti-Spoofing's crop: reduced where the image ends, then shifted inside."""
    height, width = image.shape[:2]
    x, y, w, h = box
    scale = min((height - 1) / h, (width - 1) / w, scale)
    cw, ch = w * scale, h * scale
    left = min(max(x + w / 2 - cw / 2, 0), width - 1 - cw)
    top = min(max(y + h / 2 - ch / 2, 0), height - 1 - ch)
    region = image[int(top) : int(top + ch) + 1, int(left) : int(left + cw) + 1]
    return cv2.resize(region, (80, 80))


def _reflected(image: np.ndarray, box: np.ndarray, scale: float = 1.5, size: int = 128) -> np.ndarray:
    """MiniFAS's crop: a square with mirrored borders."""
    height, width = image.shape[:2]
    x, y, w, h = box
    side = int(max(w, h) * scale)
    left, top = int(x + w / 2 - side / 2), int(y + h / 2 - side / 2)
    inside = image[max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)]
    margins = (max(-top, 0), max(top + side - height, 0), max(-left, 0), max(left + side - width, 0))
    mode = cv2.INTER_LANCZOS4 if side < size else cv2.INTER_AREA
    return cv2.resize(cv2.copyMakeBorder(inside, *margins, cv2.BORDER_REFLECT_101), (size, size), interpolation=mode)


class Teachers:
    """The three teachers; not thread-safe, one instance per process."""

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        self._silent = [
            (_session(folder / "2.7_80x80_MiniFASNetV2.onnx"), 2.7),
            (_session(folder / "4_0_0_80x80_MiniFASNetV1SE.onnx"), 4.0),
        ]
        self._mini = _session(folder / "minifas_1.5.onnx")

    def logits(self, image: np.ndarray, box: np.ndarray) -> np.ndarray:
        """Live log-odds of each teacher for an RGB image and a face box x, y, w, h."""
        box = clip_box(box, image.shape[1], image.shape[0])
        out = []
        for session, scale in self._silent:
            bgr = _shifted(image, box, scale)[..., ::-1].transpose(2, 0, 1)
            (raw,) = session.run(None, {session.get_inputs()[0].name: bgr[None].astype(np.float32)})
            z = raw[0] - raw[0].max()
            p = np.exp(z) / np.exp(z).sum()
            out.append(np.log((p[1] + 1e-4) / (1 - p[1] + 1e-4)))
        rgb = _reflected(image, box).transpose(2, 0, 1)[None].astype(np.float32) / 255
        (raw,) = self._mini.run(None, {self._mini.get_inputs()[0].name: rgb})
        out.append(np.clip(raw[0, 0] - raw[0, 1], -9, 9))
        return np.float32(out)


def standardise(logits: np.ndarray) -> np.ndarray:
    mean, deviation = np.float32(STATISTICS).T
    return (logits - mean) / deviation


def combine(logits: np.ndarray) -> np.ndarray:
    """Teachers added: standardised logits averaged and calibrated to P(live); (..., 3) -> (...)."""
    return 1 / (1 + np.exp(-(SLOPE * standardise(logits).mean(-1) + OFFSET)))
