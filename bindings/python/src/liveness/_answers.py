"""From the library's JSON to typed results and errors.

Whatever is not exactly as the contract says becomes an InternalError; nothing is guessed.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from . import _abi
from ._errors import BY_STATUS, InternalError, LivenessError
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


def result(answer: str) -> Result:
    """The verdict that the library's JSON, with its details, tells."""
    try:
        value = _parse(answer)
        verdict = value["result"]
        liveness, score = verdict["liveness"], verdict["score"]
        if value["success"] is not True or type(liveness) is not bool:
            raise ValueError("it is no verdict")
        if not (isinstance(score, float) and 0.0 <= score <= 1.0):
            raise ValueError(f"its score is {score!r}")
        return Result(liveness, score, _details(value["details"]), answer)
    except (KeyError, TypeError, ValueError) as error:
        raise _unexpected(answer, error) from error


def error(status: int, reason: str, answer: str = "") -> LivenessError:
    """The exception for a status."""
    kind = BY_STATUS.get(status)
    if kind is None:
        return InternalError(f"the library answered with the unknown status {status}: {reason}")
    try:
        return kind(reason, _error_details(answer), answer)
    except (KeyError, TypeError, ValueError) as cause:
        return _unexpected(answer, cause)


def info(answer: str) -> Info:
    """What an engine computes with."""
    try:
        value = _parse(answer)
        files = tuple(ModelFile(f["name"], f["file"], f["sha256"]) for f in value["files"])
        return Info(value["version"], value["engine"], value["models"], files)
    except (KeyError, TypeError, ValueError) as error:
        raise _unexpected(answer, error) from error


def _parse(answer: str) -> Any:
    return json.loads(answer, parse_constant=_not_a_number)


def _not_a_number(constant: str) -> NoReturn:
    raise ValueError(f"it contains {constant}")


def _unexpected(answer: str, cause: Exception) -> InternalError:
    return InternalError(
        f"the library {_abi.version()} answered {answer!r}, which this package does not "
        f"understand ({cause!r}): install package and library of the same release"
    )


def _details(value: Any) -> Details:
    attack, timings = value["attack_type"], value["timings_ms"]
    return Details(
        live_probability=value["live_probability"],
        threshold=value["threshold"],
        attack_type=AttackType(attack["print"], attack["replay"]),
        mask_probability=value["mask_probability"],
        faces=value["faces"],
        face=_face(value["face"]),
        quality=_quality(value["quality"]),
        reasons=tuple(value["reasons"]),
        models=value["models"],
        engine=value["engine"],
        timings_ms=Timings(*(timings[name] for name in Timings.__dataclass_fields__)),
    )


def _error_details(answer: str) -> ErrorDetails:
    """What was found, where the library was asked for an image at all."""
    value = _parse(answer)["details"] if answer else {}
    face: Any | None = value.get("face")
    quality: Any | None = value.get("quality")
    return ErrorDetails(
        reasons=tuple(value.get("reasons", ())),
        faces=value.get("faces"),
        face=None if face is None else _face(face),
        mask_probability=value.get("mask_probability"),
        quality=None if quality is None else _quality(quality),
    )


def _face(value: Any) -> Face:
    points = (Point(*point) for point in value["landmarks"])
    return Face(Box(*value["box"]), Landmarks(*points), value["score"])


def _quality(value: Any) -> Quality:
    return Quality(*(value[name] for name in Quality.__dataclass_fields__))
