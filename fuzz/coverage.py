"""What the corpora of the fuzz targets reach of the library: lines and functions, file by file.

    python fuzz/coverage.py [TARGET ...]

Builds the targets once more, instrumented for coverage, runs each over fuzz/corpus/TARGET and adds all
up. It needs cargo-fuzz's corpora (bash .ci/fuzz.sh) and `rustup component add llvm-tools`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "target/fuzz-coverage"
# What no target can reach: other interfaces than C's, and another engine than the embedded one.
BEYOND = ("inference/onnxruntime.rs",)


def output(*command):
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


def build(host):
    flags = "-Cinstrument-coverage --cfg fuzzing"
    # A target of its own, because build scripts and procedural macros need no coverage.
    command = ["cargo", "build", "--locked", "--release", "--target", host, "--target-dir", str(BUILT)]
    environment = {**os.environ, "RUSTFLAGS": flags}
    subprocess.run(command, cwd=ROOT / "fuzz", env=environment, check=True)


def run(program, target):
    """The profile of one run over the corpus."""
    profile = BUILT / f"{target}.profraw"
    corpus = ROOT / "fuzz/corpus" / target
    # One by one: libFuzzer refuses a folder where its own instrumentation is missing.
    files = sorted(map(str, corpus.iterdir()))
    environment = {**os.environ, "LLVM_PROFILE_FILE": str(profile)}
    subprocess.run([program, *files], env=environment, check=True, capture_output=True)
    print(f"{target}: {len(files)} files")
    return profile


def table(summary):
    rows = []
    for file in summary["data"][0]["files"]:
        name = Path(file["filename"])
        if name.is_relative_to(ROOT / "src"):
            rows.append((str(name.relative_to(ROOT / "src")), file["summary"]["lines"], file["summary"]["functions"]))
    return sorted(rows)


def share(parts):
    reached, count = (sum(part[key] for part in parts) for key in ("covered", "count"))
    return f"{reached:6} of {count:6} {100 * reached / max(count, 1):6.1f} %"


def main():
    host = next(line.split()[1] for line in output("rustc", "-vV").splitlines() if line.startswith("host:"))
    tools = Path(output("rustc", "--print", "sysroot")) / "lib/rustlib" / host / "bin"
    targets = sys.argv[1:] or sorted(file.stem for file in (ROOT / "fuzz/fuzz_targets").glob("*.rs"))
    build(host)
    programs = [BUILT / host / "release" / target for target in targets]
    profiles = [run(program, target) for program, target in zip(programs, targets, strict=True)]
    merged = BUILT / "merged.profdata"
    subprocess.run([tools / "llvm-profdata", "merge", "-sparse", *profiles, "-o", merged], check=True)
    objects = [part for program in programs[1:] for part in ("-object", program)]
    exported = output(
        tools / "llvm-cov", "export", "--summary-only", "--skip-expansions",
        f"--instr-profile={merged}", programs[0], *objects, "--sources", ROOT / "src",
    )  # fmt: skip
    rows = table(json.loads(exported))
    print(f"{'':30} {'lines':>24} {'functions':>24}")
    for name, lines, functions in rows:
        print(f"{name:30} {share([lines])} {share([functions])}")
    counted = [row for row in rows if row[0] not in BEYOND]
    print(f"{'all but ' + ', '.join(BEYOND):30} {share([row[1] for row in counted])}")


if __name__ == "__main__":
    main()
