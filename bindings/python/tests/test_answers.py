"""Results, errors, and what is made of an answer that is not as the contract says."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from typing import Any

import pytest

import liveness
from conftest import PORTRAIT, Array, Conformance
from liveness import Liveness, Result, _abi, _answers

ERRORS: list[type[liveness.LivenessError]] = [
    liveness.ImageError,
    liveness.TooLargeError,
    liveness.RequestError,
    liveness.InternalError,
    liveness.FaceCountError,
    liveness.FaceMaskError,
]


@pytest.mark.parametrize("kind", ERRORS)
def test_codes_and_messages_are_those_of_the_library(kind: type[liveness.LivenessError]) -> None:
    status = int(kind.code)
    assert _abi.lib.liveness_error_code_string(status).decode() == kind.code
    assert _abi.lib.liveness_error_message(status).decode() == kind.message
    assert type(_answers.error(status, "why")) is kind
    error = kind("why")
    assert str(error) == f"{kind.code}: {kind.message} (why)"
    assert json.loads(error.to_json()) == {
        "success": False,
        "error_code": kind.code,
        "error_message": kind.message,
    }


def test_every_field_is_filled(expected: Result) -> None:
    """Each field of the dataclasses is the member of the JSON with its name, and none is left."""
    answer = json.loads(expected.to_json(details=True))
    details = dataclasses.asdict(expected.details)
    face = details["face"]
    face["box"], face["landmarks"] = list(face["box"]), [list(p) for p in face["landmarks"]]
    details["reasons"] = list(details["reasons"])
    assert details == answer["details"]
    assert {"liveness": expected.liveness, "score": expected.score} == answer["result"]
    assert expected.details.face.box.width > 0
    assert expected.details.face.landmarks.right_eye.x < expected.details.face.landmarks.left_eye.x
    assert expected.details.timings_ms.total > 0


def test_a_result_has_no_truth_value(expected: Result) -> None:
    with pytest.raises(TypeError, match=r"\.liveness"):
        bool(expected)
    with pytest.raises(TypeError):
        assert expected
    with pytest.raises(TypeError):
        _ = not expected


def test_a_result_cannot_be_changed(expected: Result) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        expected.liveness = False  # type: ignore[misc]


def test_results_and_errors_can_be_pickled(
    engine: Liveness, expected: Result, two_people: Array
) -> None:
    again = pickle.loads(pickle.dumps(expected))
    assert again == expected
    assert again.to_json(details=True) == expected.to_json(details=True)
    with pytest.raises(liveness.FaceCountError) as raised:
        engine.check(two_people)
    for error in (pickle.loads(pickle.dumps(raised.value)), copy.copy(raised.value)):
        assert type(error) is liveness.FaceCountError
        assert error.reason == raised.value.reason != ""
        assert error.details == raised.value.details
        assert error.to_json(details=True) == raised.value.to_json(details=True)


def test_two_faces(engine: Liveness, two_people: Array) -> None:
    with pytest.raises(liveness.FaceCountError) as raised:
        engine.check(two_people)
    error = raised.value
    assert (error.code, error.details.faces) == ("051", 2)
    assert error.details.reasons == ("several_faces",)
    assert error.message == "No face, or more than one face is detected in the selfie."


def test_no_face(engine: Liveness, empty_room: Array) -> None:
    with pytest.raises(liveness.FaceCountError) as raised:
        engine.check(empty_room)
    assert raised.value.details == liveness.ErrorDetails(reasons=("no_face",), faces=0)


def test_a_mask(engine: Liveness, conformance: Conformance) -> None:
    with pytest.raises(liveness.FaceMaskError) as raised:
        engine.check(conformance.inputs / "mask.png")
    error = raised.value
    assert error.code == "052"
    assert error.details.reasons == ("face_mask",)
    assert error.details.face is not None
    assert error.details.mask_probability is not None
    assert error.details.mask_probability > 0.5


@pytest.mark.parametrize("attack", ["print-attack.jpg", "replay-attack.jpg"])
def test_an_attack_is_a_result(engine: Liveness, conformance: Conformance, attack: str) -> None:
    result = engine.check(conformance.inputs / attack)
    assert result.liveness is False
    assert result.score >= 0.5
    assert result.details.live_probability < result.details.threshold


def test_strict_quality(engine: Liveness, rgb: Array) -> None:
    small = rgb[::2, ::2]
    reported = engine.check(small).details.reasons
    assert "face_too_small" in reported
    with Liveness(strict_quality=True) as strict, pytest.raises(liveness.FaceCountError) as raised:
        strict.check(small)
    assert raised.value.details.reasons == reported
    assert raised.value.details.quality is not None


def test_internal_errors_say_why_to_their_owner_only() -> None:
    with pytest.raises(liveness.InternalError, match="/nowhere") as raised:
        Liveness(models="/nowhere")
    assert "/nowhere" not in raised.value.to_json(details=True)
    with pytest.raises(liveness.InternalError, match="/nowhere"):
        Liveness(onnxruntime="/nowhere/libonnxruntime.so")


VERDICT = '{"success":true,"result":{"liveness":%s,"score":%s},"details":%s}'


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON",
        "{}",
        "null",
        "[]",
        '{"success":true}',
        '{"success":false,"error_code":"051","error_message":"..."}',
        '{"success":false,"result":{"liveness":true,"score":0.9},"details":{}}',
        '{"success":1,"result":{"liveness":true,"score":0.9},"details":{}}',
        VERDICT % ("1", "0.9", "{}"),
        VERDICT % ('"true"', "0.9", "{}"),
        VERDICT % ("true", "NaN", "{}"),
        VERDICT % ("true", "1.5", "{}"),
        VERDICT % ("true", "null", "{}"),
        VERDICT % ("true", "0.9", "{}"),
        VERDICT % ("true", "0.9", "null"),
    ],
)
def test_whatever_is_not_understood_is_an_internal_error(answer: str) -> None:
    with pytest.raises(liveness.InternalError, match="install package and library"):
        _answers.result(answer)


@pytest.mark.parametrize("status", [1, 6, 50, -1, 999])
def test_an_unknown_status_is_an_internal_error(status: int) -> None:
    error = _answers.error(status, "", '{"success":true}')
    assert type(error) is liveness.InternalError
    assert "unknown status" in error.reason


def test_a_status_without_details_is_still_an_error() -> None:
    assert type(_answers.error(51, "why", "{}")) is liveness.InternalError


def test_a_later_library_may_say_more(expected: Result) -> None:
    answer: dict[str, Any] = json.loads(expected.to_json(details=True))
    answer["details"]["new"] = 1
    answer["details"]["quality"]["new"] = 1
    assert _answers.result(json.dumps(answer)) == expected


def test_info(engine: Liveness) -> None:
    info = engine.info()
    assert info.version == liveness.library_version()
    assert {"detector", "mask"} <= {file.name for file in info.files}
    assert all(len(file.sha256) == 64 for file in info.files)
    details = engine.check(PORTRAIT).details
    assert (details.engine, details.models) == (info.engine, info.models)
