"""The table of targets: what must hold, and what was measured of each library."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import contenders
import processes
from pipeline import Pipeline
from places import picture, progress
from timing import Series, Work, in_turn, ratio

MB_PER_MIB = 1.048576
SELFIES = ("selfie-0.3mp.jpg", "selfie-2mp.jpg", "selfie-12mp.jpg")
FRAMES = ("NV21", "RGB")
EMBEDDED, ORT = "embedded engine", "ONNX Runtime"
NOW, BEFORE = "liveness", "liveness before"
DECODE, NETWORKS = "libjpeg-turbo's full decode alone", "the same networks alone in ONNX Runtime"
PYTHON = "OpenCV + Pillow + ONNX Runtime in Python"
CASCADE, YUNET = "OpenCV: decode + Haar cascade", "OpenCV: decode + YuNet"


@dataclass(frozen=True)
class Choices:
    """Libraries by the name of their side, and how long to measure."""

    sides: dict[str, Path]
    yunet: Path | None
    seconds: float
    rounds: int
    """At least; see timing.in_turn."""


class Field:
    """All contenders, ready to run."""

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        os.environ.pop("LIVENESS_ONNXRUNTIME", None)
        self.pipeline = Pipeline()
        self.packages: dict[str, ModuleType] = {}
        self.engines = {}
        for side, library in choices.sides.items():
            package = contenders.load(library, side.replace(" ", "_"))
            for engine, path in ((EMBEDDED, None), (ORT, contenders.onnxruntime_library())):
                name = f"{side}, {engine}"
                self.packages[name] = package
                self.engines[name] = package.Liveness(max_file_bytes=1 << 30, onnxruntime=path)

    def checks(self, source: Callable[[ModuleType], object]) -> dict[str, Work]:
        """A check of what ``source`` makes for a package, with every engine."""
        return {
            name: contenders.check(self.packages[name], engine, source(self.packages[name]))
            for name, engine in self.engines.items()
        }

    def on_jpeg(self, data: bytes) -> dict[str, Work]:
        works = self.checks(lambda _: data)
        works[DECODE] = contenders.full_decode(data)
        works[NETWORKS] = self.pipeline.networks_alone(data)
        works[PYTHON] = contenders.python_pipeline(self.pipeline, data)
        works[CASCADE] = contenders.cascade(data)
        if self.choices.yunet:
            works[YUNET] = contenders.yunet(self.choices.yunet, data)
        return works

    def on_frame(self, layout: str) -> dict[str, Work]:
        data = picture(f"frame-1280x720.{layout.lower()}").read_bytes()
        return self.checks(lambda package: package.Pixels(data, layout, 1280, 720))

    def answers(self, data: bytes) -> dict[str, float]:
        """What each says of a selfie: they must agree, or their times could not be compared."""
        said = {PYTHON: self.pipeline(data)}
        for name, engine in self.engines.items():
            said[name] = engine.check(data).details.live_probability
        return {name: round(value, 4) for name, value in said.items()}


Measured = dict[str, dict[str, Series]]


def compare(field: Field) -> Measured:
    """All contenders on all pictures."""
    choices = field.choices
    taken: Measured = {}
    for name in SELFIES:
        progress(name)
        works = field.on_jpeg(picture(name).read_bytes())
        taken[name] = in_turn(works, choices.seconds, choices.rounds)
    for layout in FRAMES:
        progress(f"{layout} frame")
        taken[layout] = in_turn(field.on_frame(layout), choices.seconds / 2, choices.rounds)
    return taken


def stages(field: Field) -> dict[str, dict[str, dict[str, float]]]:
    """Where the time goes, as `details` says it: wall time, so its least values are shown."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in SELFIES:
        progress(f"stages of {name}")
        data = picture(name).read_bytes()
        taken: dict[str, list[dict[str, float]]] = {name: [] for name in field.engines}
        for _ in range(field.choices.rounds):
            for engine, checks in taken.items():
                checks.append(asdict(field.engines[engine].check(data).details.timings_ms))
        found[name] = {
            engine: {stage: round(min(check[stage] for check in checks), 2) for stage in checks[0]}
            for engine, checks in taken.items()
        }
    return found


def costs(library: Path, runs: int) -> dict[str, object]:
    """Threads, handles, start, memory and size, in processes of their own."""
    progress(f"threads, handles, start and memory of {library.name}")
    probe = processes.Probe(library)
    small = picture(SELFIES[0])
    scaling = processes.threads(probe, small, runs, checks=8 * runs)
    within = [row for row in scaling if row["threads"] <= len(processes.PROCESSORS)]
    most = max(within, key=lambda row: row["threads"])
    handle = probe.median(runs, "handles", small)
    peak = {
        name: probe.median(runs, "check", picture(name), 3)["peak_mib"] * MB_PER_MIB
        for name in SELFIES[1:]
    }
    return {
        "threads": scaling,
        "scaling": most["times_one"] / most["threads"],
        "handle": max(handle["heap_mib"], handle["resident_mib"]) * MB_PER_MIB,
        "start": probe.median(2 * runs + 1, "check", small, 1)["first_verdict_cpu_ms"],
        "peaks": peak,
        "size": library.stat().st_size / 1e6,
    }


def rows(taken: Measured, costs_of: dict[str, dict]) -> list[dict[str, object]]:
    """The table: a figure for each side, and whether that of now is within the limit."""
    small, medium, large = (taken[name] for name in SELFIES)

    def cpu(entries: dict[str, Series]) -> Callable[[str], float]:
        return lambda side: entries[f"{side}, {EMBEDDED}"].summary()["cpu_ms"]

    def over(entries: dict[str, Series], engine: str, *under: str) -> Callable[[str], float]:
        return lambda side: ratio(entries[f"{side}, {engine}"], *(entries[name] for name in under))

    both = "to libjpeg-turbo's full decode + the same networks in ONNX Runtime"
    table: list[tuple[str, str, float, Callable[[str], float]]] = [
        (f"2 MP JPEG, {EMBEDDED}, {both}", "times", 1.5, over(medium, EMBEDDED, DECODE, NETWORKS)),
        ("the same with ONNX Runtime", "times", 1.15, over(medium, ORT, DECODE, NETWORKS)),
        (
            "12 MP JPEG, to libjpeg-turbo's full decode alone",
            "times",
            1.0,
            over(large, EMBEDDED, DECODE),
        ),
        ("640x480 JPEG", "ms", 6, cpu(small)),
        *((f"{layout} frame of 1280x720", "ms", 5, cpu(taken[layout])) for layout in FRAMES),
        ("a second handle takes", "MB", 2, lambda side: costs_of[side]["handle"]),
        (
            "start: init to first verdict (640x480 JPEG)",
            "ms",
            60,
            lambda side: costs_of[side]["start"],
        ),
        ("peak memory of a process that checks 12 MP", "MB", 80, _peak(costs_of, SELFIES[2])),
        ("peak memory of a process that checks 2 MP", "MB", 40, _peak(costs_of, SELFIES[1])),
        (
            "shared library, stripped, with the networks",
            "MB",
            10,
            lambda side: costs_of[side]["size"],
        ),
    ]
    found = [_row(case, unit, limit, value, costs_of) for case, unit, limit, value in table]
    scaling = {side: it["scaling"] for side, it in costs_of.items()}
    found.insert(
        6,
        {
            "case": f"{len(processes.PROCESSORS)} threads on one handle, per thread to one alone",
            "target": "at least 0.9 times",
            "figures": {side: f"{value:.2f} times" for side, value in scaling.items()},
            "met": scaling[NOW] >= 0.9,
        },
    )
    return found


def _row(case: str, unit: str, limit: float, value, sides) -> dict[str, object]:
    figures = {side: value(side) for side in sides}
    return {
        "case": case,
        "target": f"at most {limit:g} {unit}",
        "figures": {side: f"{figure:.2f} {unit}" for side, figure in figures.items()},
        "met": figures[NOW] <= limit,
    }


def _peak(costs_of: dict[str, dict], name: str) -> Callable[[str], float]:
    return lambda side: costs_of[side]["peaks"][name]
