"""Puts the shared library into the wheel, building it where none is named.

The environment variable LIVENESS_LIBRARY names a library that is built already. Without it, cargo
builds one from the repository that this folder is a part of.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags

LIBRARY_NAME = {"darwin": "libliveness.dylib", "win32": "liveness.dll"}.get(
    sys.platform, "libliveness.so"
)
VARIABLE = "LIVENESS_LIBRARY"
ABI_VERSION = 1

# What every manylinux policy (PEP 600) takes for granted, of that which a Rust library may need.
SYSTEM_LIBRARIES = {
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
}


class LibraryHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it puts a wheel or a source distribution together."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        library = find_library(Path(self.root))
        check_library(library)
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(library)}"
        if version == "editable":
            shutil.copy2(library, Path(self.root, "src", "liveness", LIBRARY_NAME))
        else:
            build_data["force_include"][str(library)] = f"liveness/{LIBRARY_NAME}"


def find_library(root: Path) -> Path:
    """The library that is named, or one that is built now."""
    named = os.environ.get(VARIABLE)
    if not named:
        return build(root)
    library = Path(named).absolute()
    if not library.is_file():
        raise SystemExit(f"{VARIABLE} names {library}, which is not a file")
    return library


def build(root: Path) -> Path:
    """The library that cargo builds from the repository."""
    repository = root.parent.parent
    if not (repository / "include" / "liveness.h").is_file():
        raise SystemExit(
            f"{root} is not inside the liveness repository, so there are no Rust sources to build "
            "the library from: build the wheel there, with pip 21.3 or newer (older ones copy this "
            f"folder elsewhere: pip install --upgrade pip), or name a library with {VARIABLE}"
        )
    if shutil.which("cargo") is None:
        raise SystemExit(
            "cargo is missing, which builds the library: install Rust 1.94 or newer "
            f"(https://rustup.rs), or name a library that is built already with {VARIABLE}"
        )
    command = ["cargo", "build", "--release", "--locked", "--package", "liveness", "--lib"]
    done = subprocess.run(
        [*command, "--message-format", "json-render-diagnostics"],
        cwd=repository,
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        raise SystemExit(f"`{' '.join(command)}` failed; its messages are above")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    built = [Path(file) for message in messages for file in message.get("filenames", ())]
    libraries = [file for file in built if file.name == LIBRARY_NAME]
    if not libraries:
        raise SystemExit(
            f"`{' '.join(command)}` built no {LIBRARY_NAME}: a Rust toolchain for musl makes "
            "shared libraries with RUSTFLAGS='-C target-feature=-crt-static' only"
        )
    return libraries[-1]


def check_library(library: Path) -> None:
    """Refuses what could not be used on this machine, rather than to ship it."""
    try:
        version = ctypes.CDLL(str(library)).liveness_abi_version()
    except (OSError, AttributeError) as error:
        raise SystemExit(f"{library} is not a usable liveness library: {error}") from error
    if version != ABI_VERSION:
        raise SystemExit(
            f"{library} has version {version} of the binary interface, this package needs "
            f"{ABI_VERSION}: take both from the same release"
        )


def platform_tag(library: Path) -> str:
    """The platforms that the library runs on.

    On Linux that is manylinux with the newest glibc whose symbols the library needs, unless it
    needs more of the system than every distribution has.
    """
    if sys.platform != "linux":
        return next(iter(platform_tags()))
    machine = sysconfig.get_platform().split("-", 1)[1]
    with library.open("rb") as file:
        elf = ELFFile(file)
        needed = {
            tag.needed  # type: ignore[attr-defined]
            for section in elf.iter_sections()
            if isinstance(section, DynamicSection)
            for tag in section.iter_tags("DT_NEEDED")
        }
        glibc = newest_glibc(elf)
    if glibc is None or not needed <= SYSTEM_LIBRARIES:
        return f"linux_{machine}"
    return f"manylinux_{glibc[0]}_{glibc[1]}_{machine}"


def newest_glibc(elf: ELFFile) -> tuple[int, int] | None:
    """The newest version of glibc that has all symbols the library needs."""
    versions = [
        tuple(int(number) for number in symbol.name[len("GLIBC_") :].split(".")[:2])
        for section in elf.iter_sections()
        if isinstance(section, GNUVerNeedSection)
        for _, symbols in section.iter_versions()
        for symbol in symbols
        if symbol.name.startswith("GLIBC_2.")
    ]
    major, minor = max(versions, default=(0, 0))
    # The oldest that manylinux knows is 2.5.
    return max((major, minor), (2, 5)) if versions else None
