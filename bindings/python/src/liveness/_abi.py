"""The C interface, include/liveness.h: finding the library, structs, constants, prototypes."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char_p, c_float, c_int32, c_size_t, c_uint32, c_uint64
from ctypes import c_void_p as pointer
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

ABI_VERSION = 1
OK = 0
JSON_DETAILS = 1
LOG_OFF, LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG = range(5)
PIXEL_FORMATS = {
    name: number
    for number, name in enumerate(
        ("RGB", "BGR", "RGBA", "BGRA", "GRAY", "NV12", "NV21", "I420"), start=1
    )
}

LIBRARY_NAME = {"darwin": "libliveness.dylib", "win32": "liveness.dll"}.get(
    sys.platform, "libliveness.so"
)
LIBRARY_VARIABLE = "LIVENESS_LIBRARY"


class Config(ctypes.Structure):
    """liveness_config; zero in any field means its default."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("threshold", c_float),
        ("onnxruntime", c_char_p),
        ("models_dir", c_char_p),
        ("max_file_bytes", c_uint64),
        ("max_pixels", c_uint64),
        ("max_side", c_uint32),
        ("mask_threshold", c_float),
        ("second_face_ratio", c_float),
        ("strict_quality", c_uint32),
        ("time_limit_ms", c_uint32),
        ("reserved", c_uint32),
    )

    def __init__(self) -> None:
        super().__init__(struct_size=ctypes.sizeof(Config))


class Pixels(ctypes.Structure):
    """liveness_pixels; it borrows the samples, whose owner must outlive the call."""

    _fields_ = (
        ("struct_size", c_uint32),
        ("format", c_int32),
        ("data", pointer),
        ("len", c_size_t),
        ("stride", c_size_t),
        ("width", c_uint32),
        ("height", c_uint32),
        ("orientation", c_uint32),
        ("reserved", c_uint32),
    )

    def __init__(self, **fields: Any) -> None:
        super().__init__(struct_size=ctypes.sizeof(Pixels), **fields)


LogCallback = ctypes.CFUNCTYPE(None, pointer, c_int32, c_char_p)

# Handles and strings to be freed are plain pointers: a c_char_p would be turned into bytes, and
# the address lost.
_PROTOTYPES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "liveness_abi_version": (c_uint32, ()),
    "liveness_version": (c_char_p, ()),
    "liveness_last_error": (c_char_p, ()),
    "liveness_error_message": (c_char_p, (c_int32,)),
    "liveness_error_code_string": (c_char_p, (c_int32,)),
    "liveness_init": (c_int32, (POINTER(Config), POINTER(pointer))),
    "liveness_free": (None, (pointer,)),
    "liveness_check_json": (c_int32, (pointer, pointer, c_size_t, c_uint32, POINTER(pointer))),
    "liveness_check_base64_json": (
        c_int32,
        (pointer, pointer, c_size_t, c_uint32, POINTER(pointer)),
    ),
    "liveness_check_file_json": (c_int32, (pointer, c_char_p, c_uint32, POINTER(pointer))),
    "liveness_check_pixels_json": (
        c_int32,
        (pointer, POINTER(Pixels), c_uint32, POINTER(pointer)),
    ),
    "liveness_info_json": (c_int32, (pointer, POINTER(pointer))),
    "liveness_string_free": (None, (pointer,)),
    "liveness_set_log_callback": (c_int32, (LogCallback, pointer, c_int32)),
}


def _library_path() -> Path:
    """The library inside the package, else the file that LIVENESS_LIBRARY names.

    Nothing is searched for: a library of this name that lies elsewhere may be anybody's.
    """
    inside = Path(__file__).with_name(LIBRARY_NAME)
    if inside.is_file():
        return inside
    named = os.environ.get(LIBRARY_VARIABLE)
    if not named:
        raise ImportError(
            f"{inside} is missing: install the package from a wheel, or name the library "
            f"with the environment variable {LIBRARY_VARIABLE}"
        )
    path = Path(named).absolute()
    if not path.is_file():
        raise ImportError(f"{LIBRARY_VARIABLE} names {path}, which is not a file")
    return path


def open_library(path: Path) -> ctypes.CDLL:
    """Loads a library and makes sure that it speaks this package's version of the interface.

    CDLL, unlike PyDLL, releases the interpreter lock during each call.
    """
    try:
        library = ctypes.CDLL(str(path))
        for name, (result, arguments) in _PROTOTYPES.items():
            function = library[name]
            function.restype = result
            function.argtypes = arguments
            setattr(library, name, function)
    except (OSError, AttributeError) as error:
        raise ImportError(f"{path} is not a usable liveness library: {error}") from error
    version = library.liveness_abi_version()
    if version != ABI_VERSION:
        raise ImportError(
            f"{path} has version {version} of the binary interface, this package needs "
            f"{ABI_VERSION}: install package and library of the same release"
        )
    return library


lib = open_library(_library_path())


class Handle:
    """A handle of the library. It is freed with the last reference to this.

    Whoever calls the library with it holds a reference meanwhile: however the call ends, there is
    nothing to be undone, and so nothing that a signal handler which raises could keep from being
    done.
    """

    # Called in place of a method of Python, before whose first line a signal handler could raise:
    # property, attrgetter and partial are of C, so nothing comes between.
    __del__ = property(attrgetter("_free"))

    def __init__(self) -> None:
        # For liveness_init to fill in, so that the address is never without an owner.
        self.pointer = pointer()
        self._free = partial(lib.liveness_free, self.pointer)


def version() -> str:
    """The version of the library."""
    text: bytes = lib.liveness_version()
    return text.decode()


def last_error() -> str:
    """Why this thread's last call failed."""
    text: bytes = lib.liveness_last_error()
    return text.decode(errors="replace")


def take_string(string: pointer) -> str:
    """The text of a string that the library handed over, which ends here; empty for null."""
    if string.value is None:
        return ""
    try:
        return ctypes.string_at(string).decode()
    finally:
        lib.liveness_string_free(string)


def info_json(handle: Handle) -> tuple[int, str, str]:
    """Status, JSON and reason of liveness_info_json."""
    string = pointer()
    status: int = lib.liveness_info_json(handle.pointer, byref(string))
    return status, take_string(string), last_error() if status else ""
