#!/usr/bin/env python3
"""Writes the licences of the crates that are part of what this repository ships.

    python3 .ci/notices.py           # after each change of Cargo.lock
    python3 .ci/notices.py --check   # fails where a file is not what it would write

LICENSE-THIRD-PARTY is for the server and its image, bindings/python/LICENSE-THIRD-PARTY for the library alone.
"""

import difflib
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# What the packages are built for: crates of other systems are in none of them.
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")
FILES = {
    "LICENSE-THIRD-PARTY": ("liveness-server", "liveness"),
    "bindings/python/LICENSE-THIRD-PARTY": ("liveness",),
}
TEXT = re.compile(r"(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)


def metadata(target: str) -> dict:
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def shipped(roots: tuple[str, ...]) -> dict[str, dict]:
    """The packages that are linked into the roots, by id: neither build nor development dependencies, and no
    procedural macros, which run in the compiler only."""
    found: dict[str, dict] = {}
    for target in TARGETS:
        graph = metadata(target)
        packages = {package["id"]: package for package in graph["packages"]}
        nodes = {node["id"]: node for node in graph["resolve"]["nodes"]}
        left = [package["id"] for package in graph["packages"] if package["name"] in roots and package["source"] is None]
        seen = set(left)
        while left:
            for dependency in nodes[left.pop()]["deps"]:
                linked = any(kind["kind"] is None for kind in dependency["dep_kinds"])
                package = packages[dependency["pkg"]]
                macro = any("proc-macro" in target["kind"] for target in package["targets"])
                if linked and not macro and package["id"] not in seen:
                    seen.add(package["id"])
                    left.append(package["id"])
        found |= {name: packages[name] for name in seen if packages[name]["source"] is not None}
    return found


def texts(package: dict) -> list[str]:
    """The licence texts that the crate carries; of alternatives the MIT licence, where it is one."""
    folder = Path(package["manifest_path"]).parent
    files = {path.resolve() for path in folder.iterdir() if path.is_file() and TEXT.match(path.name)}
    if package["license_file"]:
        files.add((folder / package["license_file"]).resolve())
    files = {path for path in files if path.suffix not in (".rs", ".html")}
    mit = {path for path in files if "mit" in path.name.lower()}
    if mit and " AND " not in (package["license"] or ""):
        files = mit | {path for path in files if re.match("notice|copyright", path.name, re.IGNORECASE)}
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(files)]


def notices(roots: tuple[str, ...]) -> str:
    packages = sorted(shipped(roots).values(), key=lambda package: (package["name"], package["version"]))
    numbers: dict[str, int] = {}
    shown: list[str] = []

    def number(text: str) -> int:
        """Texts that differ by their line breaks only are one."""
        words = " ".join(text.split())
        if words not in numbers:
            shown.append(text)
        return numbers.setdefault(words, len(numbers) + 1)

    lines = [
        f"Third-party software in {' and '.join(roots)}",
        "",
        "Each crate comes under one of the licences that its line names; the numbers are those of the texts below,",
        "which the crates carry. Written by .ci/notices.py from Cargo.lock.",
        "",
    ]
    for package in packages:
        marks = ", ".join(str(number(text)) for text in texts(package))
        origin = package["repository"] or f"https://crates.io/crates/{package['name']}"
        authors = "" if marks else f"; by {', '.join(package['authors']) or 'its authors'}, no text in the crate"
        lines.append(f"{package['name']} {package['version']}: {package['license']}; {origin}{authors} [{marks}]")
    for count, text in enumerate(shown, 1):
        lines += ["", f"[{count}] {'-' * 100}", "", text]
    return "\n".join(line.rstrip() for line in "\n".join(lines).split("\n")) + "\n"


def main(arguments: list[str]) -> int:
    stale = 0
    for name, roots in FILES.items():
        wanted, path = notices(roots), ROOT / name
        if arguments != ["--check"]:
            path.write_text(wanted, encoding="utf-8")
            continue
        present = path.read_text(encoding="utf-8") if path.is_file() else ""
        if present != wanted:
            stale = 1
            print(f"{name} is stale after a change of Cargo.lock: run python3 .ci/notices.py", file=sys.stderr)
            sys.stderr.writelines(list(difflib.unified_diff(present.splitlines(True), wanted.splitlines(True), n=0))[:20])
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
