"""The library beside what it is compared with, on the same pictures, in turn, on one thread.

    bash bench/run.sh [--quick] [--save NAME]

Prints the table of targets, the contenders, and how time and memory grow with the size of the
picture, the number of faces and the number of threads. With --save the figures are kept in
bench/results/NAME.json; docs/performance.md and README.md show those called latest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2

import document
import machine
import processes
import scaling
import targets
from places import LIBRARY, RESULTS, picture


@dataclass(frozen=True)
class Length:
    """How much is measured."""

    seconds: float
    rounds: int
    runs: int
    megapixels: float
    faces: int


FULL = Length(seconds=20, rounds=15, runs=7, megapixels=50, faces=50)
QUICK = Length(seconds=1, rounds=5, runs=3, megapixels=12, faces=50)
SMOKE = Length(seconds=0, rounds=1, runs=1, megapixels=0.5, faces=2)


def main() -> int:
    choices = arguments()
    if not choices.library.is_file():
        sys.exit(f"{choices.library} is missing: cargo build --release -p liveness --lib")
    picture("selfie-0.3mp.jpg")
    result = measured(choices)
    for name, render in document.BLOCKS.items():
        print(f"\n{name}\n\n{render(result)}")
    if choices.save:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(result, indent=1, ensure_ascii=False)
        (RESULTS / f"{choices.save}.json").write_text(text + "\n")
        document.write()
    return 0 if all(row["met"] for row in result["targets"]) or not choices.strict else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=LIBRARY, help="default: target/release")
    parser.add_argument("--before", type=Path, help="another library, measured beside it")
    parser.add_argument(
        "--yunet", type=Path, help="model of OpenCV's FaceDetectorYN, one more contender"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="few repetitions, up to 12 megapixels")
    length.add_argument(
        "--smoke", action="store_true", help="see that it runs; the figures are nothing"
    )
    parser.add_argument(
        "--save", metavar="NAME", help="keep the figures and update the documentation"
    )
    parser.add_argument("--strict", action="store_true", help="fail where a target is missed")
    return parser.parse_args()


def measured(choices: argparse.Namespace) -> dict:
    cv2.setNumThreads(1)
    length = SMOKE if choices.smoke else QUICK if choices.quick else FULL
    sides = {targets.NOW: choices.library.resolve()}
    if choices.before:
        sides[targets.BEFORE] = choices.before.resolve()
    costs = {side: targets.costs(library, length.runs) for side, library in sides.items()}
    # From here on everything happens on one processor; the processes above chose their own.
    os.sched_setaffinity(0, {max(processes.PROCESSORS)})
    field = targets.Field(targets.Choices(sides, choices.yunet, length.seconds, length.rounds))
    taken = targets.compare(field)
    rows = scaling.Scaling(field, length.rounds)
    info = field.engines[f"{targets.NOW}, {targets.EMBEDDED}"].info()
    return {
        "machine": machine.describe(choices.library, info),
        "targets": targets.rows(taken, costs),
        "contenders": {
            name: {contender: series.summary() for contender, series in entries.items()}
            for name, entries in taken.items()
        },
        "stages": targets.stages(field),
        "answers": {name: field.answers(picture(name).read_bytes()) for name in targets.SELFIES},
        "megapixels": rows.megapixels(length.megapixels),
        "faces": rows.faces(length.faces),
        "threads": {side: cost["threads"] for side, cost in costs.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
