"""The engine: from an image to a verdict."""

from __future__ import annotations

import ctypes
import math
import os
import warnings
from collections.abc import Iterable, Sized
from typing import TYPE_CHECKING, Any

from . import _abi, _answers
from ._arguments import whole, wrong_type
from ._errors import ImageError, LivenessError, RequestError
from ._images import Base64, BytesLike, Limits, Pixels, call, hint, path_bytes, refuse_one
from ._order import in_order
from ._progress import Progress
from ._results import Info, Result, contract_json

if TYPE_CHECKING:
    from types import TracebackType

    import numpy.typing as npt

    from ._images import Order, PixelFormat, Source

DEFAULT_MAX_FILE_BYTES = 10 * 1024 * 1024
_DEFAULT_MAX_PIXELS = 100_000_000
_DEFAULT_MAX_SIDE = 16_384
_PROBABILITY = "a number between 0 and 1, both excluded"
_RATIO = "a number above 0, at most 1"


class Liveness:
    """Tells live persons from prints and screens.

    Make one per process and share it: it loads the networks once, and every method may be called
    from many threads at once. A check keeps one core busy and releases the interpreter lock
    meanwhile. ::

        with liveness.Liveness() as engine:
            result = engine.check("selfie.jpg")
            print(result.liveness, result.score)

    Where there is no verdict, a check raises a subclass of :class:`LivenessError`. An attack is a
    result with ``liveness`` False.
    """

    _handle: _abi.Handle | None = None
    """None when the engine is closed, or its making failed."""

    def __init__(
        self,
        *,
        threshold: float | None = None,
        mask_threshold: float | None = None,
        second_face_ratio: float | None = None,
        strict_quality: bool = False,
        max_file_bytes: int | None = None,
        max_pixels: int | None = None,
        max_side: int | None = None,
        time_limit_ms: int | None = None,
        onnxruntime: str | os.PathLike[str] | None = None,
        models: str | os.PathLike[str] | None = None,
    ) -> None:
        """Loads the networks and tries them out.

        :param threshold: ``live_probability`` from which on a face counts as live, more than 0
            and less than 1; by default the calibrated threshold of the models, 0.5 for the
            embedded ones.
        :param mask_threshold: probability of a face mask from which on an image is refused with
            052, more than 0 and less than 1; by default that of the models.
        :param second_face_ratio: a second face counts, and the image is refused with 051, when
            its box has at least this share of the main face's height; more than 0, at most 1; by
            default 0.3.
        :param strict_quality: refuse an image of poor quality with 051, instead of only reporting
            the reasons.
        :param max_file_bytes: largest encoded file; above it is 003; by default 10 MiB.
        :param max_pixels: largest number of pixels; above it is 002; by default 100,000,000.
        :param max_side: largest width and height; above it is 002; by default 16,384.
        :param time_limit_ms: longest time for a check in milliseconds; a longer one is 005; by
            default 10,000. An answer can be late by the time of one step of the check.
        :param onnxruntime: path of an ONNX Runtime shared library (1.17 or newer) to compute
            with; by default what the environment variable LIVENESS_ONNXRUNTIME names, else the
            embedded engine. A process can load one only.
        :param models: folder with a ``manifest.json`` and the networks it names; by default the
            embedded ones.
        :raises RequestError: an option is out of its range.
        :raises TypeError: an option is of another type, or has a name that there is none of.
        :raises InternalError: models or ONNX Runtime cannot be used; there is no fallback.
        """
        config = _abi.Config()
        config.threshold = _number("threshold", threshold, _PROBABILITY)
        config.mask_threshold = _number("mask_threshold", mask_threshold, _PROBABILITY)
        config.second_face_ratio = _number("second_face_ratio", second_face_ratio, _RATIO)
        config.strict_quality = _flag("strict_quality", strict_quality)
        config.max_file_bytes = _count("max_file_bytes", max_file_bytes, 2**64 - 1)
        config.max_pixels = _count("max_pixels", max_pixels, 2**64 - 1)
        config.max_side = _count("max_side", max_side, 2**32 - 1)
        config.time_limit_ms = _count("time_limit_ms", time_limit_ms, 2**32 - 1)
        config.onnxruntime = _path("onnxruntime", onnxruntime)
        config.models_dir = _path("models", models)
        self._limits = Limits(
            config.max_file_bytes or DEFAULT_MAX_FILE_BYTES,
            config.max_pixels or _DEFAULT_MAX_PIXELS,
            config.max_side or _DEFAULT_MAX_SIDE,
        )
        handle = _abi.Handle()
        status = _abi.lib.liveness_init(ctypes.byref(config), ctypes.byref(handle.pointer))
        if status != _abi.OK:
            raise _answers.error(status, _abi.last_error())
        self._handle = handle

    def check(self, source: Source, *, order: Order = "RGB") -> Result:
        """Says whether the person in an image is live.

        ``source`` is one of

        - a path (str or os.PathLike) of a JPEG, PNG, WebP, BMP, GIF (first frame) or TIFF file; a
          ``data:`` URL goes to :meth:`check_base64`, and no other URL is fetched;
        - such a file in memory (bytes, bytearray, memoryview), as a file object that is open in
          binary mode (read from where it stands), or as :class:`Base64`;
        - a PIL image of any mode but ``I`` and ``F``; its EXIF orientation is honoured;
        - a numpy array of uint8: height x width (grey), or height x width x 3 or 4, whose
          channels ``order`` names: "RGB", or "BGR" as OpenCV has them;
        - :class:`Pixels`, as a camera gives them.

        EXIF orientation is honoured, and nothing has to be scaled, cropped or normalised. What is
        handed in must not be changed while the check runs.

        :raises LivenessError: a subclass of it for each code: ImageError, TooLargeError,
            RequestError, InternalError, FaceCountError, FaceMaskError.
        :raises TypeError: ``source`` is nothing of the above.
        :raises ValueError: the engine is closed.
        """
        status, answer, reason = self._ask(source, order, details=True)
        if status == int(ImageError.code):
            reason += hint(source)
        if status != _abi.OK:
            raise _answers.error(status, reason, answer)
        return _answers.result(answer)

    def check_base64(self, text: str | BytesLike) -> Result:
        """:meth:`check` for an image file as base64; see :class:`Base64`."""
        return self.check(Base64(text))

    def check_pixels(
        self,
        data: BytesLike | npt.NDArray[Any],
        *,
        format: PixelFormat,  # noqa: A002 (its name in the C interface)
        width: int,
        height: int,
        stride: int = 0,
        orientation: int = 1,
    ) -> Result:
        """:meth:`check` for decoded pixels, NV12, NV21 and I420 too; see :class:`Pixels`."""
        return self.check(Pixels(data, format, width, height, stride, orientation))

    def check_json(self, source: Source, *, order: Order = "RGB", details: bool = False) -> str:
        """:meth:`check` with the contract's JSON as its answer, errors of the contract included.

        The text is exactly what the library made, so a server can send it as it is. TypeError and
        ValueError, which are errors of the program, are raised as by :meth:`check`.
        """
        try:
            status, answer, reason = self._ask(source, order, details)
            if not answer:
                raise _answers.error(status, reason or "the library had no memory for its answer")
        except LivenessError as error:
            return error.to_json(details=details)
        return contract_json(answer, details)

    def check_many(
        self,
        sources: Iterable[Source],
        *,
        workers: int | None = None,
        order: Order = "RGB",
        progress: bool | None = None,
    ) -> list[Result | LivenessError]:
        """Checks many images at once and answers in their order.

        Where there is no verdict, the list holds the :class:`LivenessError` instead of raising it.

        :param sources: a list or any other iterable of what :meth:`check` takes.
        :param workers: number of threads; by default one per processor that this process may use.
        :param order: see :meth:`check`; unless it is "RGB", every source must be an array.
        :param progress: show a progress bar of tqdm. By default, where tqdm is installed and
            standard error is a terminal.
        :raises ValueError: ``workers`` is below 1, or the engine is closed.
        :raises TypeError: ``sources`` is a single source, or an array, whose first axis may be
            images or rows; or one of them, which the message names, is nothing that can be
            checked, such as the None that ``cv2.imread`` returns for a missing file.
        """
        refuse_one(sources)
        if workers is not None:
            workers = whole("workers", workers, "a whole number of threads, or None")

        def outcome(item: tuple[int, Source]) -> Result | LivenessError:
            index, source = item
            try:
                return self.check(source, order=order)
            except LivenessError as error:
                # Its frames, and those of its cause, would keep the image alive as long as the
                # answer. The reason has the cause's text.
                error.__cause__ = error.__context__ = None
                return error.with_traceback(None)
            except TypeError as error:
                raise TypeError(f"sources[{index}]: {error}") from error

        total = len(sources) if isinstance(sources, Sized) else None
        answers: list[Result | LivenessError] = []
        with Progress(total, progress) as bar:
            for answer in in_order(outcome, enumerate(sources), workers):
                answers.append(answer)
                bar.advance()
        return answers

    def info(self) -> Info:
        """Names the inference engine and the models."""
        status, answer, reason = _abi.info_json(self._use())
        if status != _abi.OK:
            raise _answers.error(status, reason)
        return _answers.info(answer)

    def close(self) -> None:
        """Ends the engine; doing it twice is fine.

        New checks raise ValueError from now on. Those that other threads are in finish, and the
        last of them frees the networks.
        """
        self._handle = None

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._handle is None

    def __enter__(self) -> Liveness:
        self._use()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self.closed:
            return
        try:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        finally:
            # The warning may be an error, whose traceback keeps the engine alive.
            self.close()

    def __reduce__(self) -> Any:
        raise TypeError("an engine cannot be copied or pickled; make one in each process")

    def __repr__(self) -> str:
        return f"<liveness.Liveness {'closed' if self.closed else 'open'} at {id(self):#x}>"

    def _ask(self, source: Source, order: Order, details: bool) -> tuple[int, str, str]:
        """Status, JSON and reason of a check."""
        function, arguments, _owner = call(source, order, self._limits)
        flags = _abi.JSON_DETAILS if details else 0
        string = ctypes.c_void_p()
        handle = self._use()
        status: int = function(handle.pointer, *arguments, flags, ctypes.byref(string))
        reason = "" if status == _abi.OK else _abi.last_error()
        return status, _abi.take_string(string), reason

    def _use(self) -> _abi.Handle:
        """The handle, which is not freed while the caller holds it."""
        # Read once: another thread may close the engine at any time.
        handle = self._handle
        if handle is None:
            raise ValueError("the engine is closed")
        return handle


def _number(name: str, value: float | None, takes: str) -> float:
    """The value, or 0 for the default. A caller's own 0 must not turn into the default."""
    if value is None:
        return 0.0
    if isinstance(value, bool):
        raise wrong_type(name, value, takes)
    try:
        number = ctypes.c_float(value).value
    except TypeError:
        raise wrong_type(name, value, takes) from None
    except OverflowError:  # An int that is larger than every float; the library refuses it.
        return math.inf
    if number == 0.0:
        raise RequestError(f"configuration: {name} is {value}; give {takes}")
    return number


def _count(name: str, value: int | None, most: int) -> int:
    if value is None:
        return 0
    takes = f"a whole number from 1 to {most}"
    number = whole(name, value, takes)
    if not 0 < number <= most:
        raise RequestError(f"configuration: {name} is {number}; give {takes}")
    return number


def _flag(name: str, value: bool) -> int:
    """Of a text, such as "no" from the environment, the truth would be the wrong one."""
    if type(value) is not bool:
        raise wrong_type(name, value, "Python's True or False")
    return int(value)


def _path(name: str, value: str | os.PathLike[str] | None) -> bytes | None:
    """The path, or None for the default, which the C interface takes an empty one for."""
    if value is None:
        return None
    try:
        path = path_bytes(name, value)
    except TypeError:
        raise wrong_type(name, value, "a path (str or os.PathLike)") from None
    if not path:
        raise RequestError(f"configuration: {name} is empty; give a path, or None for the default")
    return path
