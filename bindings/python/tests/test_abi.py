"""The declarations in _abi.py against include/liveness.h, and what is refused as a library."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import liveness
from conftest import REPOSITORY
from liveness import _abi

HEADER = REPOSITORY / "include" / "liveness.h"
STRUCTS: dict[str, type[ctypes.Structure]] = {
    "liveness_config": _abi.Config,
    "liveness_pixels": _abi.Pixels,
}
CONSTANTS = {
    "LIVENESS_ABI_VERSION": _abi.ABI_VERSION,
    "LIVENESS_OK": _abi.OK,
    "LIVENESS_JSON_DETAILS": _abi.JSON_DETAILS,
    "LIVENESS_LOG_OFF": _abi.LOG_OFF,
    "LIVENESS_LOG_ERROR": _abi.LOG_ERROR,
    "LIVENESS_LOG_WARN": _abi.LOG_WARN,
    "LIVENESS_LOG_INFO": _abi.LOG_INFO,
    "LIVENESS_LOG_DEBUG": _abi.LOG_DEBUG,
    **{f"LIVENESS_PIXELS_{name}": number for name, number in _abi.PIXEL_FORMATS.items()},
}


def test_layouts_and_constants_are_those_of_the_header(tmp_path: Path) -> None:
    """A C compiler tells where each field lies, how long it is, and what each constant is."""
    facts: dict[str, int] = dict(CONSTANTS)
    expressions = {name: name for name in CONSTANTS}
    for struct, declared in STRUCTS.items():
        facts[f"sizeof {struct}"] = ctypes.sizeof(declared)
        expressions[f"sizeof {struct}"] = f"sizeof({struct})"
        for name, kind in declared._fields_:  # type: ignore[misc]
            field = f"{struct}.{name}"
            facts[f"offset {field}"] = getattr(declared, name).offset
            facts[f"size {field}"] = ctypes.sizeof(kind)
            expressions[f"offset {field}"] = f"offsetof({struct}, {name})"
            expressions[f"size {field}"] = f"sizeof((({struct} *)0)->{name})"
    lines = "".join(
        f'  printf("%s=%lld\\n", "{name}", (long long)({expression}));\n'
        for name, expression in expressions.items()
    )
    source = tmp_path / "layout.c"
    source.write_text(
        f'#include "liveness.h"\n#include <stdio.h>\nint main(void)\n{{\n{lines}  return 0;\n}}\n'
    )
    program = tmp_path / "layout"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, f"-I{HEADER.parent}", source, "-o", program], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    said = dict(line.split("=") for line in output.splitlines())
    assert {name: int(value) for name, value in said.items()} == facts


def test_no_field_is_missing() -> None:
    header = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    for struct, declared in STRUCTS.items():
        found = re.search(rf"typedef struct {struct} {{(.*?)}}", header, re.DOTALL)
        assert found, struct
        names = re.findall(r"(\w+);", found[1])
        assert names == [field[0] for field in declared._fields_]


def test_prototypes_have_as_many_arguments_as_the_header_says() -> None:
    header = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    for name, (_, arguments) in _abi._PROTOTYPES.items():
        found = re.search(rf"\b{name}\(([^()]*)\);", header)
        assert found, name
        count = 0 if found[1].strip() == "void" else found[1].count(",") + 1
        assert count == len(arguments), name


def test_every_pixel_format_and_status_of_the_header_is_known() -> None:
    header = HEADER.read_text()
    formats = set(re.findall(r"#define LIVENESS_PIXELS_([A-Z0-9]+) \d", header))
    assert formats == set(_abi.PIXEL_FORMATS)
    statuses = {int(number) for number in re.findall(r"#define LIVENESS_ERROR_\w+ (\d+)", header)}
    # 001 is for HTTP servers.
    assert statuses - {1} == set(liveness._errors.BY_STATUS)


def test_versions_agree() -> None:
    cargo = (REPOSITORY / "Cargo.toml").read_text()
    package = re.search(r'^version = "(.*)"$', cargo, re.MULTILINE)
    assert package
    assert liveness.__version__ == liveness.library_version() == package[1]


def test_everything_that_is_exported_exists() -> None:
    for name in liveness.__all__:
        assert hasattr(liveness, name)


class TestLoading:
    """Of a copy of the package that has no library inside."""

    @pytest.fixture
    def bare(self, tmp_path: Path) -> Path:
        package = Path(liveness.__file__).parent
        ignored = shutil.ignore_patterns("*.so", "*.dylib", "*.dll", "__pycache__")
        shutil.copytree(package, tmp_path / "bare" / "liveness", ignore=ignored)
        return tmp_path / "bare"

    def load(self, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LIVENESS_LIBRARY")}
        program = "import liveness; print(liveness._abi._library_path())"
        return subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**clean, **environment},
        )

    def test_a_missing_library(self, bare: Path) -> None:
        done = self.load(bare)
        assert done.returncode != 0
        assert "ImportError" in done.stderr
        assert "LIVENESS_LIBRARY" in done.stderr

    def test_the_library_that_the_environment_names(self, bare: Path) -> None:
        library = _abi._library_path()
        done = self.load(bare, LIVENESS_LIBRARY=str(library))
        assert done.stdout.strip() == str(library), done.stderr

    def test_the_one_inside_comes_first(self, bare: Path) -> None:
        inside = bare / "liveness" / _abi.LIBRARY_NAME
        shutil.copy(_abi._library_path(), inside)
        done = self.load(bare, LIVENESS_LIBRARY="/nowhere/libliveness.so")
        assert done.stdout.strip() == str(inside), done.stderr

    @pytest.mark.parametrize("named", ["/nowhere/libliveness.so", "libliveness.so", "/"])
    def test_nothing_is_searched_for(self, bare: Path, named: str) -> None:
        done = self.load(
            bare, LIVENESS_LIBRARY=named, LD_LIBRARY_PATH=str(_abi._library_path().parent)
        )
        assert "which is not a file" in done.stderr

    def test_a_file_that_is_no_library(self, bare: Path) -> None:
        done = self.load(bare, LIVENESS_LIBRARY=__file__)
        assert "not a usable liveness library" in done.stderr

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("int other(void) { return 1; }", "not a usable liveness library"),
            ("unsigned liveness_abi_version(void) { return 1; }", "not a usable liveness library"),
            (
                "".join(f"int {name}(void) {{ return 2; }}\n" for name in _abi._PROTOTYPES),
                "version 2 of the binary interface, this package needs 1",
            ),
        ],
        ids=["another library", "functions missing", "another version"],
    )
    def test_a_library_of_another_kind(
        self, bare: Path, tmp_path: Path, source: str, message: str
    ) -> None:
        library = tmp_path / "other.so"
        (tmp_path / "other.c").write_text(source)
        compiler = os.environ.get("CC", "cc")
        subprocess.run(
            [compiler, "-shared", "-fPIC", tmp_path / "other.c", "-o", library], check=True
        )
        done = self.load(bare, LIVENESS_LIBRARY=str(library))
        assert message in done.stderr
