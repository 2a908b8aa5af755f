"""Counts the instructions of checks, and fails where they have become more.

    bash .ci/bench.sh              # compare with bench/instructions.json
    bash .ci/bench.sh --update     # record what is counted now, after a deliberate change

Unlike times, counts do not depend on what else the machine does. valgrind knows processors up to
AVX2 and says so to the program, whatever the machine has: the paths for AVX2 are what is counted.
Other compilers and other versions of glibc and valgrind may shift the counts a little; those of the
record are noted in it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "target" / "bench"
RECORD = ROOT / "bench" / "instructions.json"
PICTURES = {
    "512 px PNG": ROOT / "tests" / "fixtures" / "astronaut.png",
    "1600x1200 JPEG": TARGET / "pictures" / "selfie-2mp.jpg",
}
TOLERANCE = 0.03
# The first check makes buffers that later ones find.
WARM, MORE = 1, 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, default=ROOT / "target/release/libliveness.so")
    parser.add_argument("--update", action="store_true", help="record the counts of now")
    arguments = parser.parse_args()
    for file in (arguments.library, *PICTURES.values()):
        if not file.is_file():
            sys.exit(f"{file} is missing; .ci/bench.sh makes or names what is needed")
    program = build(arguments.library)
    counted = {"conditions": conditions(), "counts": counts(program)}
    if arguments.update:
        RECORD.write_text(json.dumps(counted, indent=2) + "\n")
        print(f"recorded in {RECORD.relative_to(ROOT)}:\n{json.dumps(counted, indent=2)}")
        return 0
    if not RECORD.exists():
        sys.exit(f"{RECORD} is missing: bash .ci/bench.sh --update")
    return compare(json.loads(RECORD.read_text()), counted)


def build(library: Path) -> Path:
    """bench/probe.c against the library, whatever its file is called."""
    folder = TARGET / "counted"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "libliveness.so"
    link.unlink(missing_ok=True)
    link.symlink_to(library.resolve())
    program = folder / "probe"
    source = [f"-I{ROOT / 'include'}", str(ROOT / "bench" / "probe.c"), "-o", str(program)]
    link_flags = [f"-L{folder}", "-lliveness", "-lpthread", "-Wl,-rpath,$ORIGIN"]
    subprocess.run(["cc", "-std=c99", "-O2", *source, *link_flags], check=True)
    return program


def counts(program: Path) -> dict[str, int]:
    """Millions of instructions of the start, and of one check of each picture."""
    first = next(iter(PICTURES.values()))
    found = {"start": millions(count(program, first, 0))}
    for name, picture in PICTURES.items():
        warm, more = (count(program, picture, checks) for checks in (WARM, MORE))
        found[name] = millions((more - warm) / (MORE - WARM))
    return found


def millions(instructions: float) -> float:
    return round(instructions / 1e6, 2)


def count(program: Path, picture: Path, checks: int) -> int:
    """All instructions of a process that opens an engine and makes so many checks."""
    profile = TARGET / f"callgrind.{picture.stem}.{checks}.out"
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}"]
    done = subprocess.run(
        [*command, str(program), "check", str(picture), str(checks)],
        # Nothing of the caller's: its length would move the stack.
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    if checks and json.loads(done.stdout)["status"] != 0:
        sys.exit(f"{picture} got no verdict, so not everything was counted: {done.stdout}")
    totals = re.search(r"^(?:totals|summary): (\d+)", profile.read_text(), re.MULTILINE)
    if totals is None:
        sys.exit(f"{profile} holds no count")
    return int(totals[1])


def conditions() -> dict[str, str]:
    def output(*command: str) -> str:
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()

    return {
        "machine": platform.machine(),
        "rustc": output("rustc", "--version"),
        "glibc": platform.libc_ver()[1],
        "valgrind": output("valgrind", "--version"),
    }


def compare(recorded: dict, counted: dict) -> int:
    print(f"{'millions of instructions':26}{'recorded':>12}{'now':>12}{'change':>10}")
    worse, better = [], []
    for name, now in counted["counts"].items():
        before = recorded["counts"].get(name)
        if before is None:
            worse.append(f"{name} is not recorded")
            continue
        change = now / before - 1
        print(f"{name:26}{before:12.2f}{now:12.2f}{change:+10.1%}")
        if change > TOLERANCE:
            worse.append(f"{name} takes {change:.1%} more instructions")
        elif change < -TOLERANCE:
            better.append(name)
    for condition, now in counted["conditions"].items():
        before = recorded["conditions"].get(condition)
        if before != now:
            print(f"note: counted with {condition} {now}, recorded with {before}")
    if better:
        print(f"fewer than recorded: {', '.join(better)}. Keep it: bash .ci/bench.sh --update")
    if worse:
        print(
            f"{'; '.join(worse)}; the limit is {TOLERANCE:.0%}. See what takes them with "
            f"callgrind_annotate {TARGET.relative_to(ROOT)}/callgrind.*.out, or record what is "
            "meant to be so: bash .ci/bench.sh --update",
            file=sys.stderr,
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
