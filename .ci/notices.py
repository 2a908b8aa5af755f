#!/usr/bin/env python3
"""Writes the licences of the crates, and of Rust's standard library, that are part of what this repository ships.

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
# No package of Cargo.lock, but a part of all that Rust links. What it is made of, and by whom, is in the toolchain's
# share/doc/rust/COPYRIGHT-library.html.
STANDARD_LIBRARY = """\
Rust's standard library, https://github.com/rust-lang/rust

core, alloc, std and what they are made of (panic_unwind, unwind, std_detect, addr2line, adler2, cfg-if, gimli,
hashbrown, libc, memchr, miniz_oxide, object, rustc-demangle) are linked too. They come under the MIT licence, whose
text is below, or the Apache License 2.0, as you choose; compiler_builtins comes under both, the latter with the LLVM
exception, and the tables of Unicode in core under the Unicode licence, whose text is below too.

Copyright (c) The Rust Project contributors, https://thanks.rust-lang.org
Copyright (c) 2014 Alex Crichton (backtrace, cfg-if, rustc-demangle)
Copyright (c) 2019 The Crossbeam Project Developers (std::sync::mpmc)
Copyright (c) 2009-2016 by the contributors listed in CREDITS.TXT of LLVM's compiler-rt (compiler_builtins)
Copyright (c) 2005-2020 Rich Felker, et al. (musl, of which compiler_builtins has the mathematics)
Copyright (c) 2016-2018 The gimli Developers (addr2line)
Copyright (C) Jonas Schievink (adler2)
Copyright (c) 2015 The Rust Project Developers (gimli)
Copyright (c) 2016 Amanieu d'Antras (hashbrown)
Copyright (c) 2015 Andrew Gallant (memchr)
Copyright 2013-2014 RAD Game Tools and Valve Software (miniz_oxide)
Copyright 2010-2014 Rich Geldreich and Tenacious Software LLC (miniz_oxide)
Copyright (c) 2017 Frommi, (c) 2017-2024 oyvindln (miniz_oxide)
Copyright (c) 2015 The Gimli Developers (object)

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without
limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the
Software, and to permit persons to whom the Software is furnished to do so, subject to the following
conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions
of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED
TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL
THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF
CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER
DEALINGS IN THE SOFTWARE.

UNICODE LICENSE V3

COPYRIGHT AND PERMISSION NOTICE

Copyright © 1991-2024 Unicode, Inc.

NOTICE TO USER: Carefully read the following legal agreement. BY
DOWNLOADING, INSTALLING, COPYING OR OTHERWISE USING DATA FILES, AND/OR
SOFTWARE, YOU UNEQUIVOCALLY ACCEPT, AND AGREE TO BE BOUND BY, ALL OF THE
TERMS AND CONDITIONS OF THIS AGREEMENT. IF YOU DO NOT AGREE, DO NOT
DOWNLOAD, INSTALL, COPY, DISTRIBUTE OR USE THE DATA FILES OR SOFTWARE.

Permission is hereby granted, free of charge, to any person obtaining a
copy of data files and any associated documentation (the "Data Files") or
software and any associated documentation (the "Software") to deal in the
Data Files or Software without restriction, including without limitation
the rights to use, copy, modify, merge, publish, distribute, and/or sell
copies of the Data Files or Software, and to permit persons to whom the
Data Files or Software are furnished to do so, provided that either (a)
this copyright and permission notice appear with all copies of the Data
Files or Software, or (b) this copyright and permission notice appear in
associated Documentation.

THE DATA FILES AND SOFTWARE ARE PROVIDED "AS IS", WITHOUT WARRANTY OF ANY
KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT OF
THIRD PARTY RIGHTS.

IN NO EVENT SHALL THE COPYRIGHT HOLDER OR HOLDERS INCLUDED IN THIS NOTICE
BE LIABLE FOR ANY CLAIM, OR ANY SPECIAL INDIRECT OR CONSEQUENTIAL DAMAGES,
OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS,
WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION,
ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THE DATA
FILES OR SOFTWARE.

Except as contained in this notice, the name of a copyright holder shall
not be used in advertising or otherwise to promote the sale, use or other
dealings in these Data Files or Software without prior written
authorization of the copyright holder."""
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
    lines += ["", "-" * 104, "", STANDARD_LIBRARY]
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
