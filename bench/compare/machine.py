"""What was measured, and on what."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

import cv2
import numpy
import onnxruntime
import PIL
import simplejpeg

import places


def describe(library: Path, info: object) -> dict[str, object]:
    """Machine, versions and load: figures without them say little."""
    return {
        "processor": _processor(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}, glibc {platform.libc_ver()[1]}",
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "-C", str(places.ROOT), "rev-parse", "--short", "HEAD"),
        "rustc": _output("rustc", "--version"),
        "engine": getattr(info, "engine", ""),
        "models": getattr(info, "models", ""),
        "library_bytes": library.stat().st_size,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "numpy": numpy.__version__,
        "simplejpeg": simplejpeg.__version__,
    }


def _processor() -> str:
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags", "").split()
    known = ("avx2", "avx512f", "avx512_vnni", "amx_tile")
    found = [flag.upper() for flag in known if flag in flags]
    return f"{fields.get('model name', platform.machine())} ({', '.join(found)})"


def _output(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    return done.stdout.strip()
