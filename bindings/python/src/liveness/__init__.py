"""Tells from one selfie whether a live person, a print or a screen is before the camera.

    import liveness

    with liveness.Liveness() as engine:
        result = engine.check("selfie.jpg")
        print(result.liveness, result.score)

The work is done by the library `liveness`, which is part of this package, without the
interpreter lock.
"""

from ._abi import version as library_version
from ._engine import Liveness
from ._errors import (
    FaceCountError,
    FaceMaskError,
    ImageError,
    InternalError,
    LivenessError,
    RequestError,
    TooLargeError,
)
from ._images import Base64, Pixels
from ._logging import disable_logging, enable_logging
from ._results import (
    AttackType,
    Box,
    Details,
    ErrorDetails,
    Face,
    Info,
    Landmarks,
    ModelFile,
    Point,
    Quality,
    Result,
    Timings,
)

__version__ = "0.1.0"

__all__ = [
    "AttackType",
    "Base64",
    "Box",
    "Details",
    "ErrorDetails",
    "Face",
    "FaceCountError",
    "FaceMaskError",
    "ImageError",
    "Info",
    "InternalError",
    "Landmarks",
    "Liveness",
    "LivenessError",
    "ModelFile",
    "Pixels",
    "Point",
    "Quality",
    "RequestError",
    "Result",
    "Timings",
    "TooLargeError",
    "__version__",
    "disable_logging",
    "enable_logging",
    "library_version",
]
