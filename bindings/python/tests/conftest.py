"""The portrait, images made from it, and an engine for all tests."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import liveness

Array = npt.NDArray[np.uint8]

REPOSITORY = Path(__file__).resolve().parents[3]
PORTRAIT = REPOSITORY / "tests" / "fixtures" / "astronaut.png"


@pytest.fixture(scope="session")
def engine() -> Iterator[liveness.Liveness]:
    with liveness.Liveness() as engine:
        yield engine


@pytest.fixture(scope="session")
def portrait() -> Path:
    return PORTRAIT


@pytest.fixture(scope="session")
def rgb() -> Array:
    """The portrait, 512 x 512."""
    return np.asarray(Image.open(PORTRAIT).convert("RGB"))


@pytest.fixture(scope="session")
def expected(engine: liveness.Liveness) -> liveness.Result:
    """What every exact form of the portrait must give."""
    result = engine.check(PORTRAIT)
    assert result.liveness is True
    return result


@pytest.fixture(scope="session")
def two_people(rgb: Array) -> Array:
    return np.hstack([rgb, rgb])


@pytest.fixture(scope="session")
def empty_room() -> Array:
    shade = 90 + 60 * np.linspace(0, 1, 640)[None, :] + 30 * np.linspace(0, 1, 480)[:, None]
    return (shade[..., None] * [1.0, 0.97, 0.9]).astype(np.uint8)


@dataclass(frozen=True)
class Conformance:
    """The table that all surfaces answer, and what the Rust API answered."""

    inputs: Path
    cases: list[dict[str, Any]]
    expected: dict[str, str]

    def of(self, surface: str) -> list[dict[str, Any]]:
        return [case for case in self.cases if surface in case["surfaces"]]


@pytest.fixture(scope="session")
def conformance(engine: liveness.Liveness) -> Conformance:
    folder = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"), "conformance")
    onnxruntime = os.environ.get("LIVENESS_ONNXRUNTIME")
    name = "expected-onnxruntime" if onnxruntime else "expected"
    about, answers = folder / f"{name}.about.json", folder / f"{name}.jsonl"
    if not answers.is_file():
        missing = f"{answers} is missing; `cargo test --test conformance` makes it"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    info = engine.info()
    made_by = json.loads(about.read_text())
    assert made_by == {"version": info.version, "engine": info.engine, "models": info.models}, (
        "the library and target/conformance are of different sources; make both again"
    )
    table = json.loads((REPOSITORY / "tests" / "conformance" / "cases.json").read_text())
    for case in table["cases"]:
        case.setdefault("surfaces", table["surfaces"][case["send"]])
    lines = (json.loads(line) for line in answers.read_text().splitlines())
    expected = {line["name"]: line["json"] for line in lines}
    assert expected.keys() == {case["name"] for case in table["cases"]}, (
        "target/conformance is older than the table; `cargo test --test conformance` makes it anew"
    )
    return Conformance(folder / "inputs", table["cases"], expected)


def png(array: Array) -> bytes:
    """The pixels as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def stored(upright: Array, orientation: int) -> Array:
    """The pixels as a camera with this EXIF orientation stores them (EXIF 2.32, tag 0x0112)."""
    turned = upright.transpose(1, 0, 2) if orientation >= 5 else upright
    rows = -1 if orientation in (3, 4, 6, 7) else 1
    columns = -1 if orientation in (2, 3, 7, 8) else 1
    return np.ascontiguousarray(turned[::rows, ::columns])
