"""The library and what it is compared with, as things to run on a picture."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import onnxruntime
import simplejpeg

import places
from pipeline import Pipeline
from timing import Work

# OpenCV's sides of a picture in which its cascades look for a face: enough for a selfie.
CASCADE_SIDE = 640
YUNET_SIDE = 320


def onnxruntime_library() -> Path:
    """The shared library inside the Python package."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    return next(path for path in folder.glob("libonnxruntime.so.*") if path.is_file())


def load(library: Path, name: str = "liveness") -> ModuleType:
    """The Python package over this library; under another name a second one lives beside it."""
    os.environ["LIVENESS_LIBRARY"] = str(library)
    file = places.ROOT / "bindings" / "python" / "src" / "liveness" / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(file.parent)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def check(package: ModuleType, engine: Any, source: Any) -> Work:
    """A check whose refusals count as answers."""

    def work() -> None:
        with contextlib.suppress(package.LivenessError):
            engine.check(source)

    return work


def answer(package: ModuleType, engine: Any, source: Any) -> str:
    """What a check says of a source, in one word."""
    try:
        return "live" if engine.check(source).liveness else "attack"
    except package.LivenessError as error:
        return str(error.code)


def full_decode(data: bytes) -> Work:
    """libjpeg-turbo with its defaults, to RGB pixels."""
    return lambda: simplejpeg.decode_jpeg(data, colorspace="RGB")


def python_pipeline(pipeline: Pipeline, data: bytes) -> Work:
    return lambda: pipeline(data)


def cascade(data: bytes) -> Work:
    """OpenCV's decoder and its classic detector; no verdict on liveness."""
    detector = cv2.CascadeClassifier(
        os.path.join(cv2.data.haarcascades, "haarcascade_frontalface_default.xml")
    )

    def work() -> None:
        image = _decoded(data, CASCADE_SIDE, cv2.IMREAD_GRAYSCALE)
        detector.detectMultiScale(image, 1.1, 5, minSize=(48, 48))

    return work


def yunet(model: Path, data: bytes) -> Work:
    """OpenCV's decoder and its neural detector; no verdict on liveness."""
    height, width = _decoded(data, YUNET_SIDE, cv2.IMREAD_COLOR).shape[:2]
    detector = cv2.FaceDetectorYN.create(str(model), "", (width, height))
    return lambda: detector.detect(_decoded(data, YUNET_SIDE, cv2.IMREAD_COLOR))


def _decoded(data: bytes, side: int, flags: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    factor = side / max(image.shape[:2])
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
