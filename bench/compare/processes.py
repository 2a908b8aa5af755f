"""What whole processes cost, each measured in fresh ones that do nothing else (bench/probe.c)."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
from pathlib import Path

from places import ROOT, TARGET

# Those of the start: the contenders are held on one of them later.
PROCESSORS = os.sched_getaffinity(0)


class Probe:
    """bench/probe.c, built against a library."""

    def __init__(self, library: Path, onnxruntime: Path | None = None) -> None:
        self.program = TARGET / "probe"
        # Whatever the file is called, the program asks for it by its SONAME.
        folder = TARGET / "libraries" / hashlib.sha256(str(library).encode()).hexdigest()[:8]
        folder.mkdir(parents=True, exist_ok=True)
        link = folder / "libliveness.so"
        link.unlink(missing_ok=True)
        link.symlink_to(library.resolve())
        flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}"]
        command = ["cc", *flags, str(ROOT / "bench" / "probe.c"), "-o", str(self.program)]
        subprocess.run([*command, f"-L{folder}", "-lliveness", "-lpthread"], check=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if name != "LIVENESS_ONNXRUNTIME"},
            **({"LIVENESS_ONNXRUNTIME": str(onnxruntime)} if onnxruntime else {}),
            "LD_LIBRARY_PATH": str(folder),
        }

    def run(self, *arguments: object, processors: int = 1) -> dict[str, float]:
        """One run on so many processors."""
        own = sorted(PROCESSORS)[-processors:]
        done = subprocess.run(
            ["taskset", "--cpu-list", ",".join(map(str, own)), str(self.program)]
            + [str(argument) for argument in arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        return json.loads(done.stdout)

    def median(self, runs: int, *arguments: object, processors: int = 1) -> dict[str, float]:
        """The median of each figure over fresh processes."""
        rows = [self.run(*arguments, processors=processors) for _ in range(runs)]
        return {name: round(statistics.median(row[name] for row in rows), 3) for name in rows[0]}


def threads(probe: Probe, picture: Path, rounds: int, checks: int) -> list[dict]:
    """Throughput of threads on one handle: one, doubled up to twice the processors, in turn."""
    numbers = [1]
    while numbers[-1] < 2 * len(PROCESSORS):
        numbers.append(2 * numbers[-1])
    taken: dict[int, list[dict]] = {number: [] for number in numbers}
    for _ in range(rounds):
        for number in numbers:
            run = probe.run("threads", picture, number, checks, processors=len(PROCESSORS))
            taken[number].append(run)
    return [_thread_row(number, runs, taken[1]) for number, runs in taken.items()]


def _thread_row(number: int, runs: list[dict], alone: list[dict]) -> dict:
    pairs = zip(runs, alone, strict=True)
    return {
        "threads": number,
        "checks_per_s": _median(run["checks_per_s"] for run in runs),
        "times_one": _median(run["checks_per_s"] / one["checks_per_s"] for run, one in pairs),
        # What a check takes of a processor must not grow: nobody waits actively for another.
        "cpu_ms": _median(run["cpu_ms_per_check"] for run in runs),
        "peak_mib": _median(run["peak_mib"] for run in runs),
        "rounds": len(runs),
    }


def _median(values) -> float:
    return round(statistics.median(values), 3)
