"""From what a caller hands in to the arguments of a C function, without a copy where possible."""

from __future__ import annotations

import ctypes
import io
import os
import re
import sys
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Union

from . import _abi
from ._arguments import whole, wrong_type
from ._errors import ImageError, LivenessError, RequestError

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL.Image import Image as PillowImage

    Order = Literal["RGB", "BGR"]
    PixelFormat = Literal["RGB", "BGR", "RGBA", "BGRA", "GRAY", "NV12", "NV21", "I420"]

BytesLike = Union[bytes, bytearray, memoryview]

_UINT32_MAX = 2**32 - 1
_CHUNK = 1 << 24
_MAX_CAUSE = 200
_EXIF_ORIENTATION = 0x0112
_LONGEST_PATH = 4096  # PATH_MAX of Linux; of other systems it is shorter.
# A scheme has two letters at least: one is a drive.
_URL = re.compile(r"data:|[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class BinaryReader(Protocol):
    """A file object that is open for reading in binary mode."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Base64:
    """An image file as base64.

    Standard or URL-safe alphabet, with or without padding, white space and a
    ``data:image/...;base64,`` prefix.
    """

    text: str | BytesLike


@dataclass(frozen=True)
class Pixels:
    """Decoded pixels, 8 bits per sample, rows from top to bottom.

    YUV is BT.601 in full range (JFIF); a chroma sample covers two by two pixels.
    """

    data: BytesLike | npt.NDArray[Any]
    """The samples, an array of uint8 or any contiguous buffer. It must not change while a check
    runs."""
    format: PixelFormat
    width: int
    """In pixels, as stored (before orientation is applied)."""
    height: int
    stride: int = 0
    """Bytes from one row of the first plane to the next; 0: rows without gaps. Further planes
    follow the ``height * stride`` bytes of the first: the chroma plane of NV12 and NV21 has the
    same stride (one more where that is odd), those of I420 half of it, rounded up."""
    orientation: int = 1
    """EXIF orientation, 1 to 8; 1 is upright."""


if TYPE_CHECKING:
    Source = Union[
        str,
        os.PathLike[str],
        BytesLike,
        BinaryReader,
        Base64,
        Pixels,
        # Of uint8, which is checked: OpenCV's functions are typed to give an array of any number.
        npt.NDArray[Any],
        PillowImage,
    ]


class Limits(NamedTuple):
    """What an image may cost; the library checks it, this package only avoids work in vain."""

    file_bytes: int
    pixels: int
    side: int

    def refuse(self, width: int, height: int) -> bool:
        return max(width, height) > self.side or width * height > self.pixels


class Call(NamedTuple):
    """A function of the library, its arguments after the handle, and what they borrow from."""

    function: Any
    arguments: tuple[Any, ...]
    owner: object


class _Borrowed(NamedTuple):
    address: int
    length: int
    owner: object


def call(source: Any, order: Order, limits: Limits) -> Call:
    """The call that checks a source; one of ``Source``, but nothing is taken for granted.

    TypeError for what is no source, and for an ``order`` where it would mean nothing. A
    LivenessError where the source cannot be handed over.
    """
    if order not in ("RGB", "BGR"):
        raise ValueError(f"order is {order!r}; give 'RGB' or 'BGR'")
    if _is("numpy", "ndarray", source):
        return _array(source, order, limits)
    # Before the order, which is given where an array was expected.
    if source is None:
        raise TypeError(
            "cannot check None, which cv2.imread returns for a file that is missing or that it "
            "cannot decode: give the path itself, which tells why"
        )
    if order != "RGB":
        raise TypeError(
            f"order is for numpy arrays, and this is a {type(source).__name__}: leave order out"
        )
    if _is("PIL.Image", "Image", source):
        return _pillow(source, limits)
    return _other(source, limits)


def refuse_one(sources: object) -> None:
    """TypeError for what holds no sources.

    Much of it can be iterated, and would give letters, numbers, rows or lines, and an answer for
    each of them.
    """
    one = isinstance(sources, (str, os.PathLike, bytes, bytearray, memoryview))
    one = one or hasattr(sources, "readline") or _is("numpy", "ndarray", sources)
    # An object that is only indexed can be iterated too, though it is no Iterable.
    if one or not (isinstance(sources, Iterable) or hasattr(sources, "__getitem__")):
        raise TypeError(
            f"sources is a {type(sources).__name__}, and not several sources: put one into a list, "
            "[source], and an array of several images, list(array)"
        )


def _other(source: Any, limits: Limits) -> Call:
    if isinstance(source, (str, os.PathLike)):
        path = path_bytes("path", source, with_nul=ImageError)
        return Call(_abi.lib.liveness_check_file_json, (path,), source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _encoded(_abi.lib.liveness_check_json, _borrow(source, limits.file_bytes + 1))
    if isinstance(source, Base64):
        text = source.text
        # What cannot be encoded is no base64 either; the library refuses the question marks.
        data = text.encode(errors="replace") if isinstance(text, str) else text
        _demand_buffer("the base64 text", data, "str or bytes")
        return _encoded(_abi.lib.liveness_check_base64_json, _borrow(data))
    if isinstance(source, Pixels):
        return _pixels(
            _samples(source.data),
            source.format,
            (source.width, source.height),
            source.stride,
            source.orientation,
        )
    if hasattr(source, "read"):
        data = _read(source, limits.file_bytes + 1)
        return _encoded(_abi.lib.liveness_check_json, _borrow(data))
    raise TypeError(
        f"cannot check a {type(source).__name__}: give a path, bytes, a binary file object, a PIL "
        "image, a numpy array, Base64 or Pixels"
    )


def path_bytes(
    name: str, path: str | os.PathLike[str], with_nul: type[LivenessError] = RequestError
) -> bytes:
    """A path as the library takes it. A NUL would cut it, so that it named another file."""
    try:
        encoded = os.fsencode(path)
    except UnicodeEncodeError as error:
        raise RequestError(f"{name} cannot be a path: {error}") from error
    if b"\0" in encoded:
        raise with_nul(f"{name} has a NUL inside, so no file can have it; give the path of a file")
    return encoded


def hint(source: object) -> str:
    """What to do instead with a str that is no path by its looks, to be added to the reason why
    no such file can be read.

    Afterwards, because there may be a file of any name.
    """
    if not isinstance(source, str):
        return ""
    scheme = _URL.match(source)
    if scheme is None:
        long = len(source) > _LONGEST_PATH
        return "; a str is a path: if this is base64, give it to check_base64" if long else ""
    if scheme[0].lower() == "data:":
        return "; a str is a path: give a data URL to check_base64"
    if scheme[0].lower() == "file://":
        return "; a str is a path: give that of the file instead of its URL"
    return "; a str is a path, and URLs are not fetched: download the image and give its bytes"


def _is(module: str, name: str, value: object) -> bool:
    """Whether it is an instance of a class of a package that this one does not depend on.

    There is no such instance before the package is imported.
    """
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _encoded(function: Any, data: _Borrowed) -> Call:
    return Call(function, (data.address, data.length), data.owner)


def _borrow(data: BytesLike, most: int = sys.maxsize) -> _Borrowed:
    """Where the bytes are. Only a read-only view is copied, and of that no more than `most`."""
    if isinstance(data, bytes):
        return _Borrowed(_address(data), len(data), data)
    view = memoryview(data)
    if view.readonly or not view.c_contiguous or view.nbytes == 0:
        copy = (view.cast("B")[:most] if view.c_contiguous and view.nbytes else view).tobytes()
        return _Borrowed(_address(copy), len(copy), copy)
    array = (ctypes.c_ubyte * view.nbytes).from_buffer(view.cast("B"))
    return _Borrowed(ctypes.addressof(array), view.nbytes, array)


def _demand_buffer(name: str, data: Any, takes: str) -> None:
    try:
        memoryview(data)
    except TypeError:
        raise wrong_type(name, data, takes) from None


def _address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def _read(file: BinaryReader, most: int) -> bytes:
    """All of a file; of one that is too large as much as is needed to be refused for it."""
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"the {type(file).__name__} reads text; open the file in binary mode")
    chunks: list[bytes] = []
    while most > 0:
        try:
            # Some files make room for all that they are asked for.
            chunk = file.read(min(most, _CHUNK))
        except MemoryError:
            raise
        except UnicodeDecodeError:
            # Without its cause, which holds the picture.
            raise TypeError("read() decodes text; open the file in binary mode") from None
        except Exception as error:  # Archives raise errors of their own.
            raise _unreadable("the file object cannot be read", error) from error
        if isinstance(chunk, Coroutine):
            chunk.close()  # Nobody will await it, of which Python would warn.
            raise TypeError("read() is asynchronous; give the bytes: await file.read()")
        if not isinstance(chunk, (bytes, bytearray)):
            raise TypeError(
                f"read() gave {type(chunk).__name__}; open the file in binary and blocking mode"
            )
        if not chunk:
            break
        chunks.append(chunk)
        most -= len(chunk)
    if not chunks and _is_beyond_its_start(file):
        raise ImageError("the file object stands at its end, with nothing left to read: seek(0)")
    return b"".join(chunks)


def _is_beyond_its_start(file: Any) -> bool:
    try:
        return bool(file.tell() > 0)
    except Exception:  # Pipes and sockets have no position, and some objects no tell().
        return False


def _unreadable(what: str, error: Exception) -> ImageError:
    """The error for one of somebody else, whose text may name files: JSON tells its kind only.

    Its text is cut, as that of some holds the data that they are about.
    """
    kind = type(error).__name__
    # Of the system, which knows no names.
    system = error.strerror if isinstance(error, OSError) else None
    return ImageError(
        f"{what}: {kind}: {str(error)[:_MAX_CAUSE]}",
        told=f"{what}: {kind}: {system[:_MAX_CAUSE]}" if system else f"{what}: {kind}",
    )


def _pixels(
    data: _Borrowed, name: str, size: tuple[int, int], stride: int = 0, orientation: int = 1
) -> Call:
    number = _abi.PIXEL_FORMATS.get(name)
    if number is None:
        known = ", ".join(_abi.PIXEL_FORMATS)
        raise RequestError(f"pixel format {name!r} does not exist; give one of {known}")
    native = _abi.Pixels(
        format=number,
        data=data.address,
        len=data.length,
        stride=_whole("stride", stride, sys.maxsize),
        width=_whole("width", size[0]),
        height=_whole("height", size[1]),
        orientation=_whole("orientation", orientation),
    )
    function = _abi.lib.liveness_check_pixels_json
    return Call(function, (ctypes.byref(native),), (native, data.owner))


def _too_large(size: tuple[int, int]) -> Call:
    """The library refuses an image of this size before it looks at a sample, so none is made."""
    return _pixels(_borrow(b""), "RGB", size)


def _samples(data: Any) -> _Borrowed:
    if _is("numpy", "ndarray", data):
        _check_dtype(data)
        if not data.flags.c_contiguous:
            raise RequestError("the samples are not contiguous; numpy.ascontiguousarray copies")
        return _Borrowed(data.ctypes.data, data.nbytes, data)
    _demand_buffer("data", data, "bytes or a numpy array of uint8")
    return _borrow(data)


def _whole(name: str, value: int, most: int = _UINT32_MAX) -> int:
    """A number that fits; ctypes would silently wrap one that does not."""
    takes = f"a whole number from 0 to {most}"
    number = whole(name, value, takes)
    if not 0 <= number <= most:
        raise RequestError(f"{name} is {number}; give {takes}")
    return number


def _check_dtype(array: Any) -> None:
    if array.dtype.str != "|u1":
        raise RequestError(
            f"the array's dtype is {array.dtype}; give uint8 with values from 0 to 255"
        )


def _array(array: npt.NDArray[Any], order: Order, limits: Limits) -> Call:
    """An array of height x width, or height x width x 1, 3 or 4.

    Rows may have gaps; an array whose pixels are laid out otherwise (turned, mirrored, with its
    channels reversed, every second pixel) is copied.
    """
    _check_dtype(array)
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise RequestError(
            f"the array's shape is {array.shape}; "
            f"give height x width, or height x width x 1, 3 or 4{_shape_hint(array.shape)}"
        )
    height, width = array.shape[:2]
    if limits.refuse(width, height):
        return _too_large((width, height))
    row = width * channels
    if array.strides[1:] != (channels, 1)[: array.ndim - 1] or array.strides[0] < row:
        array = array.copy(order="C")
    stride = array.strides[0] if height and width else 0
    length = (height - 1) * stride + row if height else 0
    name = {1: "GRAY", 3: order, 4: f"{order}A"}[channels]
    return _pixels(_Borrowed(array.ctypes.data, length, array), name, (width, height), stride)


def _shape_hint(shape: tuple[int, ...]) -> str:
    """How to come from what other packages make to what is taken here."""
    if len(shape) == 1:
        return "; if it is an encoded file, as of cv2.imencode, give array.tobytes()"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; if its channels come first, give array.transpose(1, 2, 0)"
    if len(shape) == 4:
        return "; if it is several images, give list(array) to check_many"
    return ""


def _pillow(image: PillowImage, limits: Limits) -> Call:
    """A PIL image, with its EXIF orientation."""
    if limits.refuse(*image.size):
        return _too_large(image.size)
    try:
        # First, because some decoders turn the image upright themselves, and then say so.
        image.load()
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
        name, data = _pillow_samples(image)
    except (MemoryError, RequestError):
        raise
    except Exception as error:  # PIL's decoders raise whatever they meet.
        raise _unreadable("PIL cannot decode the image", error) from error
    # Broken metadata does not make an image unreadable.
    if not (isinstance(orientation, int) and 1 <= orientation <= 8):
        orientation = 1
    return _pixels(_borrow(data), name, image.size, orientation=orientation)


def _pillow_samples(image: PillowImage) -> tuple[PixelFormat, bytes]:
    mode = image.mode
    if mode.startswith("I;16"):
        # The more significant byte of each sample.
        big_endian = mode == "I;16B" or (mode == "I;16N" and sys.byteorder == "big")
        return "GRAY", image.tobytes()[0 if big_endian else 1 :: 2]
    if mode in ("I", "F"):
        raise RequestError(
            f"the image's mode is {mode!r}, whose range is unknown; "
            "scale it to 0..255 and convert it to 'L'"
        )
    if mode == "La":
        image = image.convert("LA")  # PIL knows no other way.
    if mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        return "RGBA", image.convert("RGBA").tobytes()
    if mode in ("1", "L"):
        return "GRAY", image.convert("L").tobytes()
    return "RGB", image.convert("RGB").tobytes()
