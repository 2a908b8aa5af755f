"""An exception for each code of the contract."""

from __future__ import annotations

import json
from typing import ClassVar

from ._results import ErrorDetails, contract_json


class LivenessError(Exception):
    """Why there is no verdict.

    Catch this for all codes, or a subclass for one of them. An attack is not an error: it is a
    :class:`Result` with ``liveness`` False.
    """

    code: ClassVar[str]
    """The three digits of the contract."""
    message: ClassVar[str]
    """The message of the contract, byte for byte."""

    def __init__(
        self,
        reason: str = "",
        details: ErrorDetails = ErrorDetails(),  # noqa: B008 (it is immutable)
        answer: str = "",
        told: str | None = None,
    ) -> None:
        # All of it goes to args, so that pickling keeps it.
        super().__init__(reason, details, answer, told)
        self.reason = reason
        """Cause and cure in English, for a person and not to be parsed. It may name files."""
        self.details = details
        """What was found before the check ended."""
        self._answer = answer
        # The reason in JSON, which is logged and sent on: without what a file is called.
        self._told = reason if told is None else told

    def __str__(self) -> str:
        return f"{self.code}: {self.message} ({self.reason})"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r})"

    def to_json(self, *, details: bool = False) -> str:
        """The contract's JSON for this error, exactly as the library made it.

        Where the library was not asked, because the call could not be made, it is put together
        here in the same form.
        """
        return contract_json(self._answer or self._own_answer(), details)

    def _own_answer(self) -> str:
        answer = {
            "success": False,
            "error_code": self.code,
            "error_message": self.message,
            "details": {} if self.code == InternalError.code else {"reason": self._told},
        }
        return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


class ImageError(LivenessError):
    """002: not decodable as an image."""

    code = "002"
    message = "Error reading image, please check the request format."


class TooLargeError(LivenessError):
    """003: the encoded file is larger than ``max_file_bytes``."""

    code = "003"
    message = "Image file size is too large."


class RequestError(LivenessError):
    """004: an invalid option, pixel layout or array, or what cannot be a path."""

    code = "004"
    message = "Request is not in the correct format."


class InternalError(LivenessError):
    """005: models or an ONNX Runtime that cannot be used, or anything unforeseen."""

    code = "005"
    message = "Server internal error, please try again."


class FaceCountError(LivenessError):
    """051: no face, more than one, or one under 40 pixels; with ``strict_quality`` also one of poor
    quality."""

    code = "051"
    message = "No face, or more than one face is detected in the selfie."


class FaceMaskError(LivenessError):
    """052: a face mask covers mouth or nose."""

    code = "052"
    message = "Face mask is detected, please remove the face mask and try again."


BY_STATUS: dict[int, type[LivenessError]] = {
    int(kind.code): kind
    for kind in (
        ImageError,
        TooLargeError,
        RequestError,
        InternalError,
        FaceCountError,
        FaceMaskError,
    )
}
