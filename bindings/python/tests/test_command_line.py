"""python -m liveness, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import PORTRAIT, REPOSITORY, Array, png
from liveness import Liveness


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, two_people: Array, empty_room: Array) -> Path:
    root = tmp_path_factory.mktemp("images")
    (root / "b").mkdir()
    (root / "a.png").write_bytes(png(empty_room))
    (root / "b" / "c.JPEG").write_bytes(png(two_people))
    (root / "b" / "d.png").write_bytes(b"no image")
    (root / "b" / "notes.txt").write_bytes(b"no image either")
    (root / "b" / ".png").write_bytes(b"a name without an extension")
    (root / "b" / "circle").symlink_to(root)
    return root


def run(
    *arguments: str | Path,
    stdin: Any = subprocess.DEVNULL,
    cwd: Path | None = None,
    **environment: str,
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "liveness", *arguments],
        stdin=stdin,
        cwd=cwd,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


def answers(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_one_line_per_image_in_the_order_given(folder: Path) -> None:
    done = run(PORTRAIT, folder)
    assert done.returncode == 0, done.stderr
    found = [(next(iter(line)), line["file"], line.get("error_code")) for line in answers(done)]
    assert found == [
        ("file", str(PORTRAIT), None),
        ("file", f"{folder}/a.png", "051"),
        ("file", f"{folder}/b/c.JPEG", "051"),
        ("file", f"{folder}/b/d.png", "002"),
    ]
    passed_over, *causes = done.stderr.decode().splitlines()
    assert passed_over.startswith(f"{folder}: 3 files passed over: not named like JPEG, PNG")
    assert [cause.split(":")[0] for cause in causes] == [path for _, path, code in found if code]


def test_details_and_tables(folder: Path) -> None:
    assert answers(run("--details", folder))[1]["details"]["faces"] == 2
    rows = run(folder, "--csv").stdout.decode().splitlines()
    assert rows[:2] == ["file,success,liveness,score,error_code", f"{folder}/a.png,false,,,051"]
    assert len(rows) == 4
    rows = run("--csv", "--details", PORTRAIT, folder).stdout.decode().splitlines()
    assert rows[0].endswith(",live_probability,print,replay,mask_probability,faces,reasons")
    assert rows[1].startswith(f"{PORTRAIT},true,true,0.")
    assert rows[1].endswith(",1,")
    assert rows[3].endswith(",2,several_faces")


@pytest.fixture(scope="module")
def rust_example(engine: Liveness) -> Path:
    """The example program `check`, where cargo has built it with the same networks."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    for profile in ("debug", "release"):
        program = target / profile / "examples" / "check"
        if program.is_file():
            done = subprocess.run([program, "--details", PORTRAIT], capture_output=True, check=True)
            if json.loads(done.stdout)["details"]["models"] == engine.info().models:
                return program
    pytest.skip("the example check is not built, or with other networks")


def test_it_prints_what_the_rust_example_prints(folder: Path, rust_example: Path) -> None:
    choices: list[list[str]] = [[], ["--csv"], ["--csv", "--details"]]
    for options in choices:
        arguments: list[str | Path] = [*options, "/nonexistent.jpg", PORTRAIT, folder, folder / "b"]
        theirs = subprocess.run([rust_example, *arguments], capture_output=True, check=False)
        ours = run(*arguments)
        assert (ours.stdout, ours.returncode) == (theirs.stdout, theirs.returncode)
        assert ours.stderr == theirs.stderr


def test_an_image_from_standard_input() -> None:
    with PORTRAIT.open("rb") as file:
        (piped,) = answers(run("-", stdin=file))
    (named,) = answers(run(PORTRAIT))
    assert piped["file"] == "-"
    assert piped["success"] is True
    assert piped["result"] == named["result"]


def test_standard_input_that_was_read_already_is_empty() -> None:
    """As the Rust example says it: a shell has no seek(0)."""
    with PORTRAIT.open("rb") as file:
        file.seek(0, os.SEEK_END)
        done = run("-", stdin=file)
    assert [line.get("error_code") for line in answers(done)] == ["002"]
    assert done.stderr == b"-: the image is empty\n"


def test_a_url_is_a_path_that_does_not_exist() -> None:
    """As the Rust example says it: what check says to a programmer is of no use in a shell."""
    done = run("https://example.org/selfie.jpg")
    assert done.returncode == 1
    assert done.stderr.endswith(b"No such file or directory (os error 2)\n")


def test_a_path_that_does_not_exist_fails_but_the_rest_is_checked(folder: Path) -> None:
    done = run("/nonexistent.jpg", folder)
    assert done.returncode == 1
    assert [line.get("error_code") for line in answers(done)] == ["002", "051", "051", "002"]


@pytest.mark.parametrize("arguments", [[], ["--unknown"], ["--csv"], ["--det", "a.png"]])
def test_a_wrong_call_says_how_it_goes(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert b"usage" in done.stderr
    assert done.stdout == b""


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert b"--details" in done.stdout


def test_names_of_all_kinds(tmp_path: Path) -> None:
    names = [b"--csv", "Pörträt.png".encode(), b"new\nline.png", b'quo"te,comma.png', b"\xff.png"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(PORTRAIT.read_bytes())
    lines = answers(run(tmp_path, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"))
    shown = ["Pörträt.png", "new\nline.png", 'quo"te,comma.png', "\N{REPLACEMENT CHARACTER}.png"]
    assert [line["file"] for line in lines] == [f"{tmp_path}/{name}" for name in shown]
    assert all(line["success"] for line in lines)
    table = run("--csv", tmp_path / 'quo"te,comma.png').stdout.decode().splitlines()
    assert table[1].startswith(f'"{tmp_path}/quo""te,comma.png",true,')
    (line,) = answers(run("--", "--csv", cwd=tmp_path))
    assert (line["file"], line["success"]) == ("--csv", True)


def test_an_engine_that_cannot_be_made_fails() -> None:
    done = run(PORTRAIT, LIVENESS_ONNXRUNTIME="/nowhere/libonnxruntime.so")
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.startswith(b"005: ")


def test_a_reader_that_has_read_enough(tmp_path: Path) -> None:
    small = png(np.zeros((8, 8), np.uint8))
    for number in range(200):
        (tmp_path / f"{number:03}.png").write_bytes(small)
    command = f"'{sys.executable}' -m liveness '{tmp_path}' 2>/dev/null | head -n 1; "
    done = subprocess.run(
        ["bash", "-c", command + 'echo "${PIPESTATUS[0]}"'], capture_output=True, check=True
    )
    first, status = done.stdout.decode().splitlines()
    assert json.loads(first)["error_code"] == "051"
    assert status == "0"
