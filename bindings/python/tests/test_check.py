"""Every kind of source, and every way in which one can be wrong."""

from __future__ import annotations

import base64
import codecs
import errno
import gzip
import io
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import liveness
from conftest import PORTRAIT, Array, png, stored
from liveness import Base64, Liveness, Pixels, Result

ENCODED = PORTRAIT.read_bytes()


class Trickle(io.RawIOBase):
    """A stream that gives few bytes at a time, as a socket does."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def read(self, size: int = -1, /) -> bytes:
        taken = self._rest[: min(size, 50_000)]
        self._rest = self._rest[len(taken) :]
        return taken


@pytest.mark.parametrize(
    "source",
    [
        str(PORTRAIT),
        PORTRAIT,
        ENCODED,
        bytearray(ENCODED),
        memoryview(ENCODED),
        memoryview(bytearray(ENCODED)),
        memoryview(b"__" + ENCODED)[2:],
        memoryview(np.repeat(np.frombuffer(ENCODED, np.uint8), 2))[::2],  # type: ignore[arg-type]
        Base64(base64.b64encode(ENCODED)),
        Base64("data:image/png;base64," + base64.urlsafe_b64encode(ENCODED).decode()),
    ],
    ids=lambda source: type(source).__name__,
)
def test_encoded_sources(engine: Liveness, expected: Result, source: Any) -> None:
    assert engine.check(source) == expected


def test_file_objects(engine: Liveness, expected: Result) -> None:
    with PORTRAIT.open("rb") as file:
        assert engine.check(file) == expected
    with PORTRAIT.open("rb", buffering=0) as raw:
        assert engine.check(raw) == expected
    assert engine.check(io.BytesIO(ENCODED)) == expected
    assert engine.check(Trickle(ENCODED)) == expected
    behind = io.BytesIO(b"header" + ENCODED)
    behind.seek(6)
    assert engine.check(behind) == expected


def test_a_file_object_at_its_end_is_not_called_empty(engine: Liveness, tmp_path: Path) -> None:
    """It is what was written or read a moment ago, and the cure is another than for no image."""
    written = io.BytesIO()
    written.write(ENCODED)
    on_disk = tmp_path / "selfie.png"
    on_disk.write_bytes(ENCODED)
    with on_disk.open("rb") as file:
        file.read()
        for at_its_end in (written, file):
            with pytest.raises(liveness.ImageError, match=r"stands at its end.*seek\(0\)"):
                engine.check(at_its_end)
            answer = json.loads(engine.check_json(at_its_end, details=True))
            assert answer["error_code"] == "002"
            assert "seek(0)" in answer["details"]["reason"]
    for empty in (io.BytesIO(), Trickle(b"")):
        with pytest.raises(liveness.ImageError, match="the image is empty"):
            engine.check(empty)


def test_an_archive_that_is_cut_is_unreadable(engine: Liveness) -> None:
    """Its errors are not those of the system."""
    packed = gzip.compress(ENCODED)
    cut = gzip.GzipFile(fileobj=io.BytesIO(packed[:-1000]))
    with pytest.raises(liveness.ImageError, match="EOFError"):
        engine.check(cut)
    wrong = io.BytesIO(packed)
    wrong.close()
    assert json.loads(engine.check_json(wrong))["error_code"] == "002"


def test_a_limit_of_any_size_asks_for_no_memory(portrait: Path, expected: Result) -> None:
    with Liveness(max_file_bytes=sys.maxsize) as engine:
        assert engine.check(io.BytesIO(ENCODED)) == expected
        with portrait.open("rb") as file:
            assert engine.check(file) == expected


def test_what_cannot_be_a_path_is_a_wrong_request(engine: Liveness) -> None:
    with pytest.raises(liveness.RequestError, match="cannot be a path"):
        engine.check("\ud800.jpg")
    with pytest.raises(liveness.RequestError, match="cannot be a path"):
        Liveness(models="\ud800")
    assert json.loads(engine.check_json("\ud800.jpg"))["error_code"] == "004"


def test_a_path_beyond_ascii(engine: Liveness, expected: Result, tmp_path: Path) -> None:
    for name in ("Pörträt 肖像 .jpeg", os.fsdecode(b"not-utf8-\xff.png")):
        path = tmp_path / name
        path.write_bytes(ENCODED)
        assert engine.check(path) == expected


def test_base64_text(engine: Liveness, expected: Result) -> None:
    text = base64.encodebytes(ENCODED)
    assert engine.check_base64(text) == expected
    assert engine.check_base64(text.decode()) == expected
    assert engine.check_base64(bytearray(text)) == expected
    for wrong in ("", "no base64!", "ÄÖÜ", "\udcff"):
        with pytest.raises(liveness.ImageError):
            engine.check_base64(wrong)


@pytest.mark.parametrize("text", [None, 42, Path("selfie.b64"), io.BytesIO(ENCODED)])
def test_what_is_no_base64_text_is_a_type_error(engine: Liveness, text: Any) -> None:
    with pytest.raises(TypeError, match=f"text is a {type(text).__name__}; give str or bytes"):
        engine.check_base64(text)


def test_the_buffer_is_free_afterwards(engine: Liveness) -> None:
    """Neither a result nor an error keeps a caller's bytearray from being resized."""
    data = bytearray(ENCODED)
    result = engine.check(data)
    data.clear()
    assert result.liveness
    data += b"no image"
    with pytest.raises(liveness.ImageError) as raised:
        engine.check(data)
    data.clear()
    assert raised.value.code == "002"


class TestArrays:
    def test_colour_orders(self, engine: Liveness, expected: Result, rgb: Array) -> None:
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        assert engine.check(rgb) == expected
        assert engine.check(bgr, order="BGR") == expected
        opaque = np.full((*rgb.shape[:2], 1), 255, np.uint8)
        assert engine.check(np.dstack([rgb, opaque])) == expected
        assert engine.check(np.dstack([bgr, opaque]), order="BGR") == expected
        # The order matters: red for blue is another picture.
        swapped = engine.check(bgr)
        assert swapped.details.live_probability != expected.details.live_probability

    def test_grey(self, engine: Liveness, rgb: Array) -> None:
        grey = np.asarray(Image.fromarray(rgb).convert("L"))
        as_colour = engine.check(np.dstack([grey] * 3))
        assert engine.check(grey) == as_colour
        assert engine.check(grey[..., None]) == as_colour
        assert engine.check(grey, order="BGR") == as_colour

    def test_transparency_shows_white(self, engine: Liveness, rgb: Array) -> None:
        transparent = np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)])
        with pytest.raises(liveness.FaceCountError):
            engine.check(transparent)

    def test_layouts(self, engine: Liveness, expected: Result, rgb: Array) -> None:
        height, width, _ = rgb.shape
        framed = np.zeros((height + 7, width + 5, 3), np.uint8)
        framed[3 : 3 + height, 2 : 2 + width] = rgb
        layouts = {
            "a part of a larger array": framed[3 : 3 + height, 2 : 2 + width],
            "read-only": np.frombuffer(rgb.tobytes(), np.uint8).reshape(rgb.shape),
            "columns first": np.asfortranarray(rgb),
            "mirrored twice": np.ascontiguousarray(rgb[:, ::-1])[:, ::-1],
            "upside down twice": np.ascontiguousarray(rgb[::-1])[::-1],
            "channels reversed twice": np.ascontiguousarray(rgb[..., ::-1])[..., ::-1],
            "every second pixel": rgb.repeat(2, axis=0).repeat(2, axis=1)[::2, ::2],
            "three of four channels": np.dstack([rgb, rgb[..., :1]])[..., :3],
            "planes": np.ascontiguousarray(rgb.transpose(2, 0, 1)).transpose(1, 2, 0),
        }
        for name, array in layouts.items():
            assert np.array_equal(array, rgb), name
            assert engine.check(array) == expected, name
        assert engine.check(rgb[:, ::-1]) != expected

    def test_arrays_as_opencv_types_them(
        self, engine: Liveness, expected: Result, rgb: Array
    ) -> None:
        """It is mypy that would complain."""
        typed = cast("npt.NDArray[np.integer[Any] | np.floating[Any]]", rgb)
        assert engine.check(typed) == expected
        assert engine.check(Pixels(typed, "RGB", 512, 512)) == expected
        assert engine.check_pixels(typed, format="RGB", width=512, height=512) == expected

    @pytest.mark.parametrize(
        "dtype", ["int8", "uint16", "int64", "float32", "bool", "object", "S1"]
    )
    def test_a_wrong_dtype_is_refused(self, engine: Liveness, dtype: str) -> None:
        with pytest.raises(liveness.RequestError, match=r"dtype is .* give uint8"):
            engine.check(np.zeros((64, 64, 3), dtype))

    @pytest.mark.parametrize(
        "shape", [(), (64,), (64, 64, 2), (64, 64, 5), (64, 64, 0), (3, 64, 64), (1, 64, 64, 3)]
    )
    def test_a_wrong_shape_is_refused(self, engine: Liveness, shape: tuple[int, ...]) -> None:
        with pytest.raises(liveness.RequestError, match="shape is"):
            engine.check(np.zeros(shape, np.uint8))

    @pytest.mark.parametrize(
        ("shape", "cure"),
        [
            ((64,), "; if it is an encoded file, as of cv2.imencode, give array.tobytes()"),
            ((3, 64, 64), "; if its channels come first, give array.transpose(1, 2, 0)"),
            ((2, 64, 64, 3), "; if it is several images, give list(array) to check_many"),
            ((64, 64, 2), ""),
        ],
    )
    def test_a_shape_of_another_package_has_a_cure(
        self, engine: Liveness, shape: tuple[int, ...], cure: str
    ) -> None:
        with pytest.raises(liveness.RequestError) as raised:
            engine.check(np.zeros(shape, np.uint8))
        assert raised.value.reason.endswith(f"height x width x 1, 3 or 4{cure}")

    @pytest.mark.parametrize("shape", [(0, 64, 3), (64, 0, 3), (0, 0), (0, 0, 4)])
    def test_an_empty_array_is_refused(self, engine: Liveness, shape: tuple[int, ...]) -> None:
        with pytest.raises(liveness.RequestError, match="sides must be positive"):
            engine.check(np.zeros(shape, np.uint8))

    def test_an_absurd_size_is_refused_before_it_is_copied(self, engine: Liveness) -> None:
        # 30 GB, if it were.
        absurd = np.broadcast_to(np.uint8(1), (100_000, 100_000, 3))
        with pytest.raises(liveness.ImageError, match="100000 x 100000"):
            engine.check(absurd)

    def test_an_order_must_be_known(self, engine: Liveness, rgb: Array) -> None:
        with pytest.raises(ValueError, match="order"):
            engine.check(rgb, order="GRB")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="order is for numpy arrays"):
            engine.check(PORTRAIT, order="BGR")


class TestPillow:
    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "RGBa", "RGBX"])
    def test_exact_modes(self, engine: Liveness, expected: Result, mode: str) -> None:
        image = Image.open(PORTRAIT).convert("RGB")
        if mode == "RGBa":
            image = image.convert("RGBA")
        assert engine.check(image.convert(mode)) == expected

    def test_a_lazily_opened_file(self, engine: Liveness, expected: Result) -> None:
        with Image.open(PORTRAIT) as image:
            assert engine.check(image) == expected

    @pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV", "LAB"])
    def test_modes_that_are_converted(self, engine: Liveness, rgb: Array, mode: str) -> None:
        if mode == "LAB":
            from PIL import ImageCms  # noqa: PLC0415

            profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            transform = ImageCms.buildTransform(*profiles, "RGB", "LAB")
            image = ImageCms.applyTransform(Image.fromarray(rgb), transform)
            assert image is not None
        else:
            image = Image.fromarray(rgb).convert(mode)
        assert image.mode == mode
        assert engine.check(image) == engine.check(np.asarray(image.convert("RGB")))

    @pytest.mark.parametrize("mode", ["L", "LA", "La", "1"])
    def test_grey_modes(self, engine: Liveness, rgb: Array, mode: str) -> None:
        grey = Image.fromarray(rgb).convert("L")
        image = grey.convert("LA").convert("La") if mode == "La" else grey.convert(mode)
        assert image.mode == mode
        as_colour = Image.merge("RGB", [image.convert("L") if mode == "1" else grey] * 3)
        assert engine.check_json(image) == engine.check_json(np.asarray(as_colour))

    @pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
    def test_sixteen_bits(self, engine: Liveness, rgb: Array, mode: str) -> None:
        grey = np.asarray(Image.fromarray(rgb).convert("L"))
        samples = (grey.astype(np.uint16) * 257).astype(">u2" if mode == "I;16B" else "<u2")
        image = Image.frombytes(mode, (512, 512), samples.tobytes())
        assert engine.check(image) == engine.check(grey)

    @pytest.mark.parametrize("mode", ["I", "F"])
    def test_modes_of_unknown_range_are_refused(self, engine: Liveness, mode: str) -> None:
        with pytest.raises(liveness.RequestError, match="range is unknown"):
            engine.check(Image.open(PORTRAIT).convert("L").convert(mode))

    def test_transparency(self, engine: Liveness, rgb: Array) -> None:
        image = Image.fromarray(rgb).convert("P")
        image.info["transparency"] = bytes(256)
        with pytest.raises(liveness.FaceCountError):
            engine.check(image)
        grey_alpha = Image.merge(
            "LA", [Image.fromarray(rgb).convert("L"), Image.new("L", (512, 512))]
        )
        with pytest.raises(liveness.FaceCountError):
            engine.check(grey_alpha)

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("format_", ["PNG", "WEBP", "TIFF", "JPEG", "memory"])
    def test_orientations(
        self, engine: Liveness, expected: Result, rgb: Array, orientation: int, format_: str
    ) -> None:
        image = Image.fromarray(stored(rgb, orientation))
        exif = Image.Exif()
        exif[0x0112] = orientation
        if format_ == "memory":
            image.getexif()[0x0112] = orientation
            assert engine.check(image) == expected
            return
        file = io.BytesIO()
        options = {"WEBP": {"lossless": True, "exact": True}, "JPEG": {"quality": 95}}
        image.save(file, format_, exif=exif, **options.get(format_, {}))  # type: ignore[arg-type]
        by_library = engine.check(file.getvalue())
        by_pillow = engine.check(Image.open(file))
        if format_ == "JPEG":
            # Two decoders may differ in the last bit.
            for result in (by_library, by_pillow):
                assert result.details.face.box == pytest.approx(expected.details.face.box, abs=2)
        else:
            assert by_library == expected
            assert by_pillow == expected

    @pytest.mark.parametrize("orientation", [0, 9, 77, "upright"])
    def test_broken_metadata_does_not_matter(
        self, engine: Liveness, expected: Result, rgb: Array, orientation: Any
    ) -> None:
        image = Image.fromarray(rgb)
        image.getexif()[0x0112] = orientation
        assert engine.check(image) == expected

    def test_a_damaged_file_is_unreadable(self, engine: Liveness) -> None:
        image = Image.open(io.BytesIO(ENCODED[: len(ENCODED) // 2]))
        with pytest.raises(liveness.ImageError, match="PIL cannot decode"):
            engine.check(image)

    def test_transparency_that_no_palette_has_is_unreadable(self, engine: Liveness) -> None:
        """Pillow notices when it converts, not when it decodes."""
        image = Image.fromarray(np.zeros((64, 64), np.uint8)).convert("P")
        image.info["transparency"] = bytes(300)
        with pytest.raises(liveness.ImageError, match="PIL cannot decode"):
            engine.check(image)
        assert json.loads(engine.check_json(image))["error_code"] == "002"

    def test_an_absurd_size_is_refused_before_it_is_decoded(self, engine: Liveness) -> None:
        image = Image.open(io.BytesIO(png(np.zeros((1, 20_000), np.uint8))))
        with pytest.raises(liveness.ImageError, match="20000 x 1 "):
            engine.check(image)


class TestPixels:
    def test_formats(self, engine: Liveness, expected: Result, rgb: Array) -> None:
        assert expected == engine.check_pixels(rgb, format="RGB", width=512, height=512)
        assert expected == engine.check_pixels(
            rgb[..., ::-1].tobytes(), format="BGR", width=512, height=512
        )
        grey = np.asarray(Image.fromarray(rgb).convert("L"))
        chroma = np.full((256, 512), 128, np.uint8)
        by_luma = engine.check(grey)
        for format_ in ("NV12", "NV21", "I420"):
            frame = np.vstack([grey, chroma])
            assert by_luma == engine.check_pixels(frame, format=format_, width=512, height=512)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_orientation_and_stride(
        self, engine: Liveness, expected: Result, rgb: Array, orientation: int
    ) -> None:
        image = stored(rgb, orientation)
        rows = np.zeros((512, 512 * 3 + 13), np.uint8)
        rows[:, : 512 * 3] = image.reshape(512, -1)
        for data in (rows.tobytes(), bytearray(rows.tobytes()), memoryview(rows), rows):  # type: ignore[arg-type]
            pixels = Pixels(data, "RGB", 512, 512, stride=512 * 3 + 13, orientation=orientation)
            assert engine.check(pixels) == expected

    @pytest.mark.parametrize(
        "change",
        [
            {"width": 513},
            {"height": 513},
            {"width": 0},
            {"height": -1},
            {"width": 2**32 + 512},
            {"stride": 1},
            {"stride": 2**64},
            {"stride": -1536},
            {"orientation": 9},
            {"orientation": 2**32 + 1},
            {"format": "YUYV"},
            {"format": "rgb"},
            {"data": b""},
            {"data": np.zeros((512, 512, 3), np.int16)},
            {"data": np.zeros((512, 1024, 3), np.uint8)[:, ::2]},
        ],
        ids=str,
    )
    def test_impossible_layouts_are_refused(
        self, engine: Liveness, rgb: Array, change: dict[str, Any]
    ) -> None:
        layout = {"data": rgb, "format": "RGB", "width": 512, "height": 512, **change}
        with pytest.raises(liveness.RequestError):
            engine.check(Pixels(**layout))

    def test_a_number_must_be_whole(self, engine: Liveness, rgb: Array) -> None:
        with pytest.raises(TypeError, match="width is a float; give a whole number"):
            engine.check_pixels(rgb, format="RGB", width=512.0, height=512)  # type: ignore[arg-type]

    @pytest.mark.parametrize("data", [None, "RGB", [1, 2, 3], Path("frame.raw")])
    def test_samples_of_a_wrong_type(self, engine: Liveness, data: Any) -> None:
        with pytest.raises(TypeError, match=f"data is a {type(data).__name__}; give bytes or a"):
            engine.check_pixels(data, format="RGB", width=1, height=1)


@pytest.mark.parametrize("source", [42, 3.14, [ENCODED], {"image": ENCODED}, object()])
def test_what_is_no_source_is_a_type_error(engine: Liveness, source: Any) -> None:
    with pytest.raises(TypeError, match="cannot check a"):
        engine.check(source)


def test_none_is_what_opencv_returns(engine: Liveness) -> None:
    nothing: Any = None
    told = r"cannot check None, which cv2\.imread returns .*: give the path itself"
    for check in (engine.check, engine.check_json):
        for order in ("RGB", "BGR"):
            with pytest.raises(TypeError, match=told):
                check(nothing, order=order)


def test_a_file_that_is_read_asynchronously(engine: Liveness) -> None:
    """As web frameworks hand over an upload. No coroutine is left that was never awaited."""

    class Upload:
        async def read(self, _size: int = -1, /) -> bytes:
            return ENCODED

    with pytest.raises(TypeError, match=r"asynchronous; give the bytes: await file\.read\(\)"):
        engine.check(Upload())  # type: ignore[arg-type]


def test_text_mode_files_are_a_type_error(engine: Liveness) -> None:
    """And no error has the picture, which the one for text that cannot be decoded would."""
    decoder = codecs.getreader("utf-8")(io.BytesIO(ENCODED))
    with PORTRAIT.open(encoding="utf-8") as text:
        for file in (io.StringIO("no image"), text, decoder):
            with pytest.raises(TypeError, match="binary") as raised:
                engine.check(file)  # type: ignore[arg-type]
            assert len(str(raised.value)) < 200
            assert raised.value.__cause__ is None


def test_a_cause_is_told_in_short(engine: Liveness) -> None:
    class Talkative(io.RawIOBase):
        def read(self, _size: int = -1, /) -> bytes:
            raise UnicodeEncodeError("ascii", "p" * 9000, 0, 1, "q" * 9000)

    with pytest.raises(liveness.ImageError, match="UnicodeEncodeError: ") as raised:
        engine.check(Talkative())
    assert len(str(raised.value)) < 400
    assert "ppp" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("data:image/png;base64,AAAA", "give a data URL to check_base64"),
        ("DATA:image/png;base64," + "A" * 9000, "give a data URL to check_base64"),
        (base64.b64encode(ENCODED).decode(), "if this is base64, give it to check_base64"),
        ("https://example.org/selfie.jpg", "URLs are not fetched: download the image"),
        ("S3://bucket/selfie.jpg", "URLs are not fetched: download the image"),
        ("file:///tmp/selfie.jpg", "give that of the file instead of its URL"),
    ],
    ids=lambda text: text[:20],
)
def test_a_str_that_is_no_path_by_its_looks(engine: Liveness, text: str, cure: str) -> None:
    (answer,) = engine.check_many([text])
    assert isinstance(answer, liveness.ImageError)
    assert answer.reason.startswith("the file cannot be read: ")
    assert "; a str is a path" in answer.reason
    assert cure in answer.reason
    assert len(answer.reason) < 200
    assert answer.to_json(details=True) == engine.check_json(text, details=True)


def test_a_path_that_looks_like_a_url_is_a_path(
    engine: Liveness, expected: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("https:").mkdir()
    Path("https:/selfie.png").write_bytes(ENCODED)
    assert engine.check("https://selfie.png") == expected
    for ordinary in ("missing.png", "C:/missing.png", Path("data:"), "missing/data:.png", ""):
        with pytest.raises(liveness.ImageError) as raised:
            engine.check(ordinary)
        assert "a str is a path" not in raised.value.reason


def test_a_path_with_a_nul_names_no_other_file(engine: Liveness) -> None:
    for path in (f"{PORTRAIT}\0.png", Path(f"{PORTRAIT}\0")):
        with pytest.raises(liveness.ImageError, match="has a NUL inside, so no file can have it"):
            engine.check(path)
        answer = json.loads(engine.check_json(path, details=True))
        assert answer["error_code"] == "002"
        assert PORTRAIT.name not in answer["details"]["reason"]


def test_a_stream_without_end_is_too_large(engine: Liveness) -> None:
    with open("/dev/zero", "rb") as endless, pytest.raises(liveness.TooLargeError):
        engine.check(endless)
    small = 1000
    with Liveness(max_file_bytes=small) as strict:
        stream = io.BytesIO(ENCODED)
        with pytest.raises(liveness.TooLargeError):
            strict.check(stream)
        assert stream.tell() == small + 1


def test_a_stream_that_cannot_be_read_is_unreadable(engine: Liveness) -> None:
    class Broken(io.RawIOBase):
        def read(self, _size: int = -1, /) -> bytes:
            raise OSError("the network is down")

    with pytest.raises(liveness.ImageError, match="the network is down") as raised:
        engine.check(Broken())
    assert isinstance(raised.value.__cause__, OSError)


def test_json_does_not_say_what_a_file_is_called(engine: Liveness) -> None:
    """An exception of the system's or a package's names files; JSON is logged and sent on."""
    name = "/srv/customers/jane-doe.jpg"

    class Broken(io.RawIOBase):
        def __init__(self, error: Exception) -> None:
            self.error = error

        def read(self, _size: int = -1, /) -> bytes:
            raise self.error

    class BrokenImage(Image.Image):
        size = (10, 10)

        def load(self) -> None:
            raise OSError(f"image file {name} is truncated")

    denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
    for source, told in (
        (Broken(denied), "the file object cannot be read: PermissionError: Permission denied"),
        (Broken(KeyError(name)), "the file object cannot be read: KeyError"),
        (Broken(OSError(name)), "the file object cannot be read: OSError"),
        (BrokenImage(), "PIL cannot decode the image: OSError"),
    ):
        answer = json.loads(engine.check_json(source, details=True))
        assert (answer["error_code"], answer["details"]["reason"]) == ("002", told)
        with pytest.raises(liveness.ImageError, match=name) as raised:
            engine.check(source)
        for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
            assert name in error.reason
            assert json.loads(error.to_json(details=True)) == answer


def test_json_is_the_librarys(engine: Liveness, two_people: Array) -> None:
    """With details and without, from the call and from the result."""
    result = engine.check(PORTRAIT)
    plain = engine.check_json(PORTRAIT)
    assert plain == result.to_json()
    assert plain.startswith('{"success":true,"result":{"liveness":true,"score":0.')
    assert plain.endswith("}}")
    assert result.to_json(details=True).startswith(plain[:-1] + ',"details":{')
    with pytest.raises(liveness.FaceCountError) as raised:
        engine.check(two_people)
    assert raised.value.to_json(details=True) == engine.check_json(two_people, details=True)
    assert raised.value.to_json() == engine.check_json(two_people)


def test_json_of_a_source_that_never_reached_the_library(engine: Liveness) -> None:
    assert engine.check_json(np.zeros((8, 8, 3))) == (
        '{"success":false,"error_code":"004",'
        '"error_message":"Request is not in the correct format."}'
    )
    detailed = engine.check_json(np.zeros((8, 8, 3)), details=True)
    assert detailed.endswith(
        ',"details":{"reason":"the array\'s dtype is float64; '
        'give uint8 with values from 0 to 255"}}'
    )
