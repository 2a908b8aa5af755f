#!/usr/bin/env python3
"""Runs the snippets of README.md as a newcomer would: in order, in the root of a fresh clone.

    python3 .ci/readme.py [--list] [--section TEXT]... [README]

Each section (a heading of level 2) is one session of a shell, so that an environment that one
snippet activates is there for the next. What a snippet is, follows from its language:

- sh: is run. A server (see SERVERS) is started in the background, awaited, and ended with its
  section; the curl line that it prints is run too.
- c, cpp, go, python, rust: is saved under the name that the info string gives (```c selfie.c), or
  that a shell snippet of the section uses and no file of the repository has. Without a name it is
  compiled and run by itself.
- json, text after a snippet that was run: is compared with what was printed. Numbers with a
  decimal point, digests and API keys may differ, because networks are retrained.
- everything else: json must be valid, the rest is not looked at.

A section stands for itself: what its snippets leave behind is removed after it, target/ apart.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Where README.md says that it is.
TARGET = ROOT / "target"
WORK = TARGET / "readme"

SHELL = {"sh", "bash", "shell", "console"}
SOURCES = {"c": "c", "cpp": "cpp", "c++": "cpp", "go": "go", "python": "py", "rust": "rs"}
OUTPUTS = {"json", "text", "txt", "output"}

# A command that serves until it is stopped.
SERVERS = re.compile(
    r"^(\w+=\S+ +)*(cargo run\b.*\bliveness-server\b|\S*/liveness-server\b)"
    r"(?!.*(--help|--version))"
)
# What takes long and is run elsewhere in CI.
ELSEWHERE = re.compile(r"^cargo test\b")
# What needs an engine that not every machine has.
DOCKER = re.compile(r"^docker\b")

# Longest time for a section: it may have to build the library.
PATIENCE = 45 * 60
SERVER_PATIENCE = 20 * 60


class Wrong(Exception):
    """What README.md says does not hold."""


@dataclass
class Snippet:
    line: int
    section: str
    language: str
    name: str
    text: str
    output: str = ""

    def __str__(self) -> str:
        return f"README.md:{self.line} [{self.section}] {self.language} {self.name}".rstrip()


@dataclass
class Section:
    title: str
    snippets: list[Snippet] = field(default_factory=list)


def sections(markdown: str) -> list[Section]:
    """The fenced snippets under each heading of level 2."""
    found = [Section("introduction")]
    fence: re.Match[str] | None = None
    start, text = 0, list[str]()
    for number, line in enumerate(markdown.splitlines(), start=1):
        if fence is None:
            if heading := re.match(r"## +(.+?)\s*#*$", line):
                found.append(Section(heading[1]))
            fence = re.match(r" {0,3}(```+|~~~+) *([^\s`]*) *([^`]*)$", line)
            if fence:
                start, text = number, list[str]()
        elif re.match(rf" {{0,3}}{fence[1]}{fence[1][0]}*\s*$", line):
            title = found[-1].title
            language, name = fence[2].lower(), fence[3].strip()
            snippet = Snippet(start, title, language, name, "\n".join(text) + "\n")
            found[-1].snippets.append(snippet)
            fence = None
        else:
            text.append(line)
    if fence is not None:
        raise Wrong(f"README.md:{start}: the fence is never closed")
    return [section for section in found if section.snippets]


def name_sources(section: Section) -> None:
    """Gives each source the name under which a shell snippet of its section uses it."""
    shell = "\n".join(s.text for s in section.snippets if s.language in SHELL)
    taken = {snippet.name for snippet in section.snippets}
    for snippet in section.snippets:
        extension = SOURCES.get(snippet.language)
        if extension is None or snippet.name:
            continue
        for name in re.findall(rf"[\w./-]+\.{extension}\b", shell):
            if name not in taken and not (ROOT / name).exists():
                snippet.name = name
                taken.add(name)
                break


def script(section: Section) -> str:
    """What the session runs; the output of each snippet goes to a file of its own."""
    parts = [PREAMBLE]
    for snippet in section.snippets:
        command = None
        if snippet.language in SHELL:
            command = shell_commands(snippet)
        elif snippet.language in SOURCES:
            command = save(snippet) if snippet.name else run_source(snippet)
        if command is not None:
            parts.append(f"snippet={snippet.line}\n{{\n{command}\n}} >{log(snippet)} 2>&1\n")
    return "\n".join(parts)


PREAMBLE = r"""
set -euo pipefail
exec </dev/null
trap 'status=$?; [[ $status == 0 ]] || echo "$snippet" >&3' EXIT

# An answer that is an error fails.
curl() {
  command curl --silent --show-error --fail-with-body "$@"
}
export -f curl

# Waits until the server has said how to reach it, and takes over the key that it made.
await_server() { # LOG
  local patience=$((SECONDS + SERVER_PATIENCE)) said
  until said=$(grep -om1 "curl .*http.*/liveness/\S*" "$1"); do
    kill -0 "$!" 2>/dev/null || { cat "$1"; echo "the server has ended"; return 1; }
    ((SECONDS < patience)) || { cat "$1"; echo "the server says nothing"; return 1; }
    sleep 0.2
  done
  cat "$1"
  API_KEY=$(sed -n "s/.*X-API-Key: \([^']*\)'.*/\1/p" <<<"$said" | head -n 1)
  export API_KEY KEY=$API_KEY LIVENESS_API_KEY=$API_KEY
  echo "the line that the server prints: $said"
  bash -euo pipefail -c "$said"
  echo
}
""".replace("SERVER_PATIENCE", str(SERVER_PATIENCE))


def log(snippet: Snippet) -> str:
    return shlex.quote(str(WORK / f"{snippet.line}.log"))


def logical_lines(text: str) -> Iterator[str]:
    """Commands with their continuation lines and here-documents are left to the shell; only
    lines that begin a command are told apart."""
    waiting = ""
    for line in text.splitlines():
        waiting += line.removeprefix("$ ") if not waiting else line
        if line.endswith("\\"):
            waiting += "\n"
            continue
        yield waiting
        waiting = ""
    if waiting:
        yield waiting


def shell_commands(snippet: Snippet) -> str:
    lines = []
    for command in logical_lines(snippet.text):
        if ELSEWHERE.match(command):
            lines.append("echo '(run elsewhere in CI)'")
        elif DOCKER.match(command) and not docker_runs():
            lines.append("echo '(no Docker engine runs here)'")
        elif SERVERS.match(command):
            server = shlex.quote(str(WORK / f"{snippet.line}.server.log"))
            bare = re.sub(r"\s*&?\s*(#.*)?$", "", command)
            lines.append(f"{bare} >{server} 2>&1 &\nawait_server {server}")
        else:
            # A key that only the server of this run knows.
            lines.append(re.sub(r"YOUR[-_]API[-_]KEY", "'\"$API_KEY\"'", command))
    return "\n".join(lines) or ":"


def docker_runs() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def save(snippet: Snippet) -> str:
    """A file as the reader saves it. It is there before the section starts."""
    path = ROOT / snippet.name
    if path.exists():
        raise Wrong(f"{snippet}: {snippet.name} exists already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(snippet.text)
    return f"echo saved as {shlex.quote(snippet.name)}"


def run_source(snippet: Snippet) -> str:
    """Compiles and runs a source that nothing else in its section runs."""
    folder = WORK / str(snippet.line)
    folder.mkdir(parents=True)
    source = folder / f"main.{SOURCES[snippet.language]}"
    program, quoted = shlex.quote(str(folder / "main")), shlex.quote(str(source))
    source.write_text(snippet.text)
    if snippet.language == "python":
        return f'"$(command -v python || command -v python3)" {quoted}'
    if snippet.language == "rust":
        path = example(snippet)
        path.write_text(rust_main(snippet.text))
        return f"cargo run --quiet --example {path.stem}"
    if snippet.language == "go":
        return go_module(folder, source, snippet.text)
    compiler = "cc -std=c99" if snippet.language == "c" else "c++ -std=c++17"
    compile_ = f"{compiler} -Wall -Wextra -Werror -Iinclude {quoted}"
    if not re.search(r"\bmain\s*\(", snippet.text):
        return f"{compile_} -fsyntax-only"
    link = f"-Ltarget/release -lliveness -Wl,-rpath,$PWD/target/release -o {program}"
    return f"{compile_} {link} && {program} tests/fixtures/astronaut.png"


def example(snippet: Snippet) -> Path:
    """Where a snippet of Rust is an example of the crate, so that little is compiled anew."""
    return ROOT / "examples" / f"readme_{snippet.line}.rs"


def rust_main(text: str) -> str:
    """A program; what rustdoc would run as it stands gets a main function, as there."""
    if re.search(r"\bfn main\b", text):
        return text
    return f"fn main() -> Result<(), Box<dyn std::error::Error>> {{\n{text}\nOk(())\n}}\n"


def go_module(folder: Path, source: Path, text: str) -> str:
    """A module that depends on the binding as it lies here. Fragments are only looked at."""
    binding = ROOT / "bindings" / "go"
    path = re.search(r"^module (\S+)", (binding / "go.mod").read_text(), re.MULTILINE)
    if path is None:
        raise Wrong("bindings/go/go.mod names no module")
    if not text.startswith("package "):
        return f"gofmt -e {source} >/dev/null || true"
    (folder / "go.mod").write_text(
        f"module readme\n\ngo 1.24\n\nrequire {path[1]} v0.0.0\n\nreplace {path[1]} => {binding}\n"
    )
    run = "go run . tests/fixtures/astronaut.png" if "func main()" in text else "go vet ."
    picture = ROOT / "tests" / "fixtures" / "astronaut.png"
    (folder / "tests" / "fixtures").mkdir(parents=True)
    shutil.copy(picture, folder / "tests" / "fixtures")
    return f"(cd {folder} && go mod tidy && {run})"


def run(section: Section) -> bool:
    """Runs a section; true where all of it holds."""
    name_sources(section)
    made = left_behind(section)
    try:
        return check(section)
    finally:
        remove(made)


def check(section: Section) -> bool:
    program = script(section)
    runnable = [s for s in section.snippets if s.language in SHELL or s.language in SOURCES]
    failed_at: int | None = None
    start = time.monotonic()
    if runnable:
        failed_at = in_session(program)
    passed = time.monotonic() - start
    good = True
    previous: Snippet | None = None
    for snippet in section.snippets:
        problem = ""
        if snippet in runnable:
            path = WORK / f"{snippet.line}.log"
            snippet.output = path.read_text(errors="replace") if path.is_file() else ""
            previous = snippet
            if failed_at is not None and snippet.line >= failed_at:
                problem = "failed" if snippet.line == failed_at else "not reached"
        elif snippet.language in OUTPUTS:
            if failed_at is None:
                problem = difference(snippet, previous)
        else:
            continue
        good = good and not problem
        print(f"{'FAILED' if problem else 'ok':6} {snippet}" + (f": {problem}" if problem else ""))
        if problem and problem != "not reached" and snippet.output:
            print(indent("\n".join(snippet.output.splitlines()[-60:])))
    print(f"       {section.title}: {passed:.1f} s", flush=True)
    return good


def in_session(program: str) -> int | None:
    """Runs a program of bash with its children; the line of the snippet where it failed."""
    read, write = os.pipe()
    # As in a terminal of somebody who has just cloned the repository.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LIVENESS_", "PYTHONPATH", "VIRTUAL_ENV", "CARGO_TARGET_DIR"))
    }
    shell = subprocess.Popen(
        ["bash", "-c", f"exec 3>&{write} {write}>&-\n{program}"],
        cwd=ROOT,
        env=environment,
        pass_fds=[write],
        start_new_session=True,
    )
    os.close(write)
    try:
        status: int | None = shell.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        status = None
    finally:
        end(shell.pid)
    with os.fdopen(read) as file:
        said = file.read().split()
    if status == 0:
        return None
    return int(said[0]) if said else 0


def end(group: int) -> None:
    """Ends what a session has left running: its servers."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            return
        time.sleep(1)


def difference(shown: Snippet, previous: Snippet | None) -> str:
    """How what README.md shows differs from what was printed; nothing where it does not."""
    if shown.language == "json":
        expected = values(shown.text)
        if not expected:
            return "this is not JSON"
        if previous is None:
            return ""
        wanted = [normal(json.dumps(value)) for value in expected]
        printed = [normal(json.dumps(value)) for value in values(previous.output)]
    else:
        if previous is None:
            return ""
        wanted = [normal(line) for line in shown.text.splitlines() if line.strip()]
        printed = [normal(line) for line in previous.output.splitlines()]
    rest = iter(printed)
    for line in wanted:
        if line not in rest:
            return f"{previous} did not print\n{indent(line)}\nbut\n{indent(previous.output)}"
    return ""


def values(text: str) -> list[object]:
    """Every JSON object in a text, in order."""
    found: list[object] = []
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end_ = decoder.raw_decode(text, at)
            found.append(value)
        except ValueError:
            end_ = at + 1
        at = text.find("{", end_)
    return found


def normal(line: str) -> str:
    """A line without what depends on networks, machine and run."""
    line = re.sub(r"-?\d+\.\d+(\.\d+)*(\+[0-9a-f]{8})?(e-?\d+)?", "#", line)
    return re.sub(r"\b[0-9A-Za-z_-]{32,}\b", "#", line).strip()


def indent(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def left_behind(section: Section) -> set[Path]:
    """What the reader saves, and what compilers and venv are told to make, and is not there yet."""
    names: set[str] = set()
    for snippet in section.snippets:
        if snippet.language in SHELL:
            names.update(re.findall(r"(?:-o|-m venv) +([\w./-]+)", snippet.text))
        elif snippet.language in SOURCES and snippet.name:
            names.add(snippet.name)
    paths = {ROOT / Path(name).parts[0] for name in names}
    paths.update(example(s) for s in section.snippets if s.language == "rust")
    return {path for path in paths if not path.exists()}


def remove(paths: set[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs the snippets of README.md.")
    parser.add_argument("--list", action="store_true", help="only list the snippets")
    parser.add_argument("--section", action="append", help="only sections whose title has this")
    parser.add_argument("readme", nargs="?", default=ROOT / "README.md", type=Path)
    options = parser.parse_args()
    markdown = options.readme.read_text()
    chosen = [
        section
        for section in sections(markdown)
        if not options.section
        or any(part.lower() in section.title.lower() for part in options.section)
    ]
    if options.list:
        for section in chosen:
            name_sources(section)
            print(*section.snippets, sep="\n")
        return 0
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    outcomes = [run(section) for section in chosen]
    print(f"{sum(outcomes)} passed, {len(outcomes) - sum(outcomes)} failed")
    return 0 if outcomes and all(outcomes) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as wrong:
        sys.exit(f"{wrong}\n0 passed, 1 failed")
