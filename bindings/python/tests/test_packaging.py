"""Wheel and source distribution: what is in them, where they install, how building fails."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from conftest import PORTRAIT, REPOSITORY
from liveness import _abi

PROJECT = REPOSITORY / "bindings" / "python"
LIBRARY = _abi._library_path()


def build(
    kind: str, project: Path, to: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Builds with the backend that is installed here, so that nothing is downloaded."""
    clean = {k: v for k, v in os.environ.items() if k not in ("LIVENESS_LIBRARY", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", to, project],
        capture_output=True,
        text=True,
        check=False,
        env={**clean, **environment},
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = build("wheel", PROJECT, folder, LIVENESS_LIBRARY=str(LIBRARY))
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    done = build("sdist", PROJECT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return archive.with_name(archive.name[: -len(".tar.gz")])


def test_what_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        tags = archive.read(metadata.replace("METADATA", "WHEEL")).decode()
        about = archive.read(metadata).decode()
    modules = {f"liveness/{file.name}" for file in (PROJECT / "src/liveness").glob("*.py")}
    data = {"liveness/py.typed", f"liveness/{_abi.LIBRARY_NAME}"}
    assert {name for name in names if ".dist-info/" not in name} == modules | data
    assert "Root-Is-Purelib: false" in tags
    assert "Tag: py3-none-" in tags
    assert "License-Expression: MIT OR Apache-2.0" in about
    for license_ in ("LICENSE-MIT", "LICENSE-APACHE"):
        assert any(name.endswith(license_) for name in names)
        assert (PROJECT / license_).read_text() == (REPOSITORY / license_).read_text()
    # Of the crates in the library; .ci/audit.sh sees to what it holds.
    assert any(name.endswith("LICENSE-THIRD-PARTY") for name in names)


@pytest.mark.skipif(sys.platform != "linux", reason="manylinux is for Linux")
def test_the_platform_is_told_honestly(wheel: Path) -> None:
    """auditwheel, which PyPI's rules were made with, finds the same or an older glibc."""
    tag = re.search(r"-py3-none-manylinux_2_(\d+)_\w+\.whl$", wheel.name)
    assert tag, wheel.name
    done = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", wheel],
        capture_output=True,
        text=True,
        check=True,
    )
    said = " ".join(done.stdout.split())
    consistent = re.search(r'platform tag: "manylinux_2_(\d+)_\w+"', said)
    assert consistent, said
    assert int(consistent[1]) <= int(tag[1])


def test_it_works_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    """Without this repository, numpy, Pillow or tqdm, from another folder, and so do its command
    and its module."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    environment = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LIVENESS_LIB"))
    }

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(python, "-m", "pip", "install", "--quiet", "--no-index", wheel)
    program = """
import sys, liveness
assert liveness.__file__.startswith(sys.prefix), liveness.__file__
with liveness.Liveness() as engine:
    print(engine.check(sys.argv[1]).liveness, *engine.check_many([sys.argv[1]] * 2, progress=None))
assert not {"numpy", "PIL", "tqdm"} & set(sys.modules)
"""
    assert run(python, "-W", "error", "-c", program, PORTRAIT).startswith("True Result(")
    line = run(python, "-m", "liveness", PORTRAIT)
    assert '"success":true' in line
    assert run(python.with_name("liveness"), PORTRAIT) == line
    assert run(python, "-m", "pip", "check") == "No broken requirements found.\n"


def test_an_editable_installation(tmp_path: Path) -> None:
    """It puts the library beside the sources, in a copy of the project here."""
    project = copy_of_the_project(tmp_path)
    program = "import hatchling.build as b, sys; print(b.build_editable(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LIVENESS_LIBRARY": str(LIBRARY)},
    )
    assert done.returncode == 0, done.stderr
    inside = project / "src" / "liveness" / _abi.LIBRARY_NAME
    assert inside.read_bytes() == LIBRARY.read_bytes()


def copy_of_the_project(to: Path) -> Path:
    """With a repository around it that has no Rust sources but the header."""
    project = to / "repository" / "bindings" / "python"
    ignored = shutil.ignore_patterns("*.so", "__pycache__", ".*cache", "tests", "dist")
    shutil.copytree(PROJECT, project, ignore=ignored)
    (to / "repository" / "include").mkdir()
    (to / "repository" / "include" / "liveness.h").touch()
    return project


def stub(folder: Path, text: str) -> str:
    """A PATH where this is cargo."""
    folder.mkdir()
    cargo = folder / "cargo"
    cargo.write_text(f"#!/bin/sh\n{text}\n")
    cargo.chmod(cargo.stat().st_mode | stat.S_IXUSR)
    return f"{folder}:/usr/bin:/bin"


def test_cargo_builds_the_library_where_none_is_named(tmp_path: Path) -> None:
    """What it says it built goes into the wheel; here it only pretends to."""
    project = copy_of_the_project(tmp_path)
    built = tmp_path / "elsewhere" / _abi.LIBRARY_NAME
    built.parent.mkdir()
    shutil.copy(LIBRARY, built)
    message = f'{{"reason":"compiler-artifact","filenames":["/x/other.rlib","{built}"]}}'
    called = tmp_path / "called"
    path = stub(tmp_path / "bin", f"pwd > {called}; echo \"$@\" >> {called}; echo '{message}'")
    done = build("wheel", project, tmp_path / "dist", PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    where, arguments = called.read_text().splitlines()
    assert Path(where) == (tmp_path / "repository").resolve()
    assert arguments.startswith("build --release --locked --package liveness --lib ")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read(f"liveness/{_abi.LIBRARY_NAME}") == LIBRARY.read_bytes()


class TestFailures:
    def fails(self, project: Path, **environment: str) -> str:
        done = build("wheel", project, project / "dist", **environment)
        assert done.returncode != 0
        assert not list((project / "dist").glob("*"))
        return done.stdout + done.stderr

    def test_without_cargo(self, tmp_path: Path) -> None:
        said = self.fails(copy_of_the_project(tmp_path), PATH=str(tmp_path))
        assert "cargo is missing" in said
        assert "LIVENESS_LIBRARY" in said

    def test_cargo_fails(self, tmp_path: Path) -> None:
        path = stub(tmp_path / "bin", "echo 'error[E0308]: mismatched types' >&2; exit 101")
        said = self.fails(copy_of_the_project(tmp_path), PATH=path)
        assert "error[E0308]" in said
        assert "`cargo build --release --locked --package liveness --lib` failed" in said

    def test_cargo_builds_something_else(self, tmp_path: Path) -> None:
        path = stub(tmp_path / "bin", 'echo \'{"filenames":["/x/libliveness.rlib"]}\'')
        assert "built no" in self.fails(copy_of_the_project(tmp_path), PATH=path)

    def test_a_library_that_is_not_there(self) -> None:
        said = self.fails(PROJECT, LIVENESS_LIBRARY="/nowhere/libliveness.so")
        assert "LIVENESS_LIBRARY names /nowhere/libliveness.so, which is not a file" in said

    def test_a_file_that_is_no_library(self) -> None:
        assert "not a usable liveness library" in self.fails(PROJECT, LIVENESS_LIBRARY=__file__)


class TestSourceDistribution:
    def test_a_wheel_from_it_needs_a_library(self, sdist: Path, tmp_path: Path) -> None:
        done = build("wheel", sdist, tmp_path)
        assert done.returncode != 0
        assert "no Rust sources" in done.stdout + done.stderr

    def test_a_wheel_from_it_and_a_library(self, sdist: Path, wheel: Path, tmp_path: Path) -> None:
        done = build("wheel", sdist, tmp_path, LIVENESS_LIBRARY=str(LIBRARY))
        assert done.returncode == 0, done.stdout + done.stderr
        with (
            zipfile.ZipFile(wheel) as direct,
            zipfile.ZipFile(tmp_path / wheel.name) as by_way,
        ):
            assert set(by_way.namelist()) == set(direct.namelist())
