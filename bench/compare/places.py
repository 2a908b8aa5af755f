"""Where things lie, and saying what goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target" / "bench"
PICTURES = TARGET / "pictures"
RESULTS = ROOT / "bench" / "results"
DOCUMENTS = (ROOT / "docs" / "performance.md", ROOT / "README.md")
PORTRAIT = ROOT / "tests" / "fixtures" / "astronaut.png"
LIBRARY = ROOT / "target" / "release" / "libliveness.so"

# The Python package from its sources, and the functions that cut what the networks were trained on.
sys.path[:0] = [str(ROOT / "bindings" / "python" / "src"), str(ROOT / "models")]


def progress(what: str) -> None:
    """A line on standard error; standard output is for the tables."""
    print(f"measuring: {what}", file=sys.stderr, flush=True)


def picture(name: str) -> Path:
    """A picture of the benchmarks, made where it is not there yet (bench/pictures.rs)."""
    path = PICTURES / name
    if not path.exists():
        command = ["cargo", "run", "--quiet", "--locked", "--example", "bench_pictures", "--"]
        subprocess.run([*command, str(PICTURES), name], cwd=ROOT, check=True)
    return path
