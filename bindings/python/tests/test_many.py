"""Many images at once."""

from __future__ import annotations

import builtins
import gc
import io
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import Array, png
from liveness import Base64, FaceCountError, ImageError, Liveness, Result
from liveness._order import in_order


def test_answers_come_in_order(
    engine: Liveness, portrait: Path, rgb: Array, two_people: Array, expected: Result
) -> None:
    sources: list[Any] = [portrait, "missing.png", rgb, two_people, b"", portrait.read_bytes()] * 4
    for workers in (None, 1, 3, 50):
        answers = engine.check_many(sources, workers=workers)
        kinds = [Result, ImageError, Result, FaceCountError, ImageError, Result] * 4
        assert [type(answer) for answer in answers] == kinds
        assert all(answer == expected for answer in answers if isinstance(answer, Result))


def test_nothing_is_fine(engine: Liveness) -> None:
    assert engine.check_many([]) == []


def test_sources_may_be_made_on_the_way(engine: Liveness, rgb: Array, expected: Result) -> None:
    bgr = rgb[..., ::-1]
    assert engine.check_many((bgr for _ in range(5)), order="BGR") == [expected] * 5


def test_only_a_few_are_taken_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1000):
            taken = number
            yield number

    for number in in_order(lambda number: number, items(), 2):
        assert taken - number <= 8
    assert taken == 999


def test_results_come_while_others_are_worked_on() -> None:
    """The first answer does not wait for the last."""
    release = threading.Event()

    def work(number: int) -> int:
        if number:
            assert release.wait(60)
        return number

    answers = in_order(work, range(3), 3)
    assert next(answers) == 0
    release.set()
    assert list(answers) == [1, 2]


def test_an_error_of_the_caller_ends_it(engine: Liveness, portrait: Path) -> None:
    with pytest.raises(TypeError, match="cannot check a"):
        engine.check_many([portrait, 42])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="workers"):
        engine.check_many([portrait], workers=0)
    for workers in ("2", 1.5, True):
        with pytest.raises(TypeError, match=r"workers is a \w+; give a whole number of threads"):
            engine.check_many([portrait], workers=workers)  # type: ignore[arg-type]


def test_an_item_that_cannot_be_checked_is_named(engine: Liveness, portrait: Path) -> None:
    """Among thousands, it would be hard to find."""
    missing: list[Any] = [portrait] * 3 + [None] + [portrait] * 3
    for sources in (missing, iter(missing)):
        with pytest.raises(TypeError, match=r"^sources\[3\]: cannot check None.*cv2\.imread"):
            engine.check_many(sources)
    with pytest.raises(TypeError, match=r"^sources\[1\]: .*binary mode"):
        engine.check_many([portrait, io.StringIO("no image")])  # type: ignore[list-item]


@pytest.mark.parametrize(
    "one",
    [
        "selfie.jpg",
        Path("selfie.jpg"),
        b"no image",
        bytearray(8),
        memoryview(b"no image"),
        io.BytesIO(b"no image"),
        np.zeros((8, 8, 3), np.uint8),
        tempfile.SpooledTemporaryFile(),  # noqa: SIM115 (it has no file yet)
        Image.new("L", (8, 8)),
        Base64("AAAA"),
        None,
    ],
    ids=lambda one: type(one).__name__,
)
def test_one_source_is_not_many(engine: Liveness, one: Any) -> None:
    with pytest.raises(TypeError, match=rf"a {type(one).__name__}, .*\[source\]"):
        engine.check_many(one)


def test_an_interrupt_ends_it() -> None:
    done = 0

    def work(_: int) -> None:
        nonlocal done
        done += 1
        time.sleep(0.01)

    def items() -> Iterator[int]:
        yield from range(8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_order(work, items(), 3))
    assert done < 8


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "wanted", "shown"),
    [
        (Terminal(), None, True),
        (Terminal(), False, False),
        (io.StringIO(), None, False),
        (io.StringIO(), True, True),
    ],
)
def test_progress(
    engine: Liveness,
    portrait: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: io.StringIO,
    wanted: bool | None,
    shown: bool,
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    engine.check_many([portrait] * 3, progress=wanted)
    assert ("3/3" in stream.getvalue()) == shown


def test_progress_without_tqdm(
    engine: Liveness, portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without_tqdm(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "tqdm":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_tqdm)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert len(engine.check_many([portrait])) == 1
    with pytest.raises(ImportError, match=r"liveness\[progress\]"):
        engine.check_many([portrait], progress=True)


class Unplugged(io.BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise OSError("the device is gone")


def test_errors_do_not_keep_the_images(engine: Liveness, rgb: Array) -> None:
    broken = Image.open(io.BytesIO(png(rgb)[:1000]))
    unplugged = Unplugged()
    images: list[weakref.ref[Any]] = [weakref.ref(broken), weakref.ref(unplugged)]
    answers = engine.check_many([broken, unplugged])
    del broken, unplugged
    gc.collect()
    assert [image() for image in images] == [None, None]
    for answer, cause in zip(answers, ("PIL cannot decode", "the device is gone")):
        assert isinstance(answer, ImageError)
        assert cause in answer.reason
