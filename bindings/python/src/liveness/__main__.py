"""Checks images from the command line: python -m liveness [--details] [--csv] PATH...

One line per image on standard output, in the order given: the contract's JSON with a first member
`file`, or with --csv a table with a header line. Causes of errors go to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

from . import InternalError, Liveness, LivenessError
from ._order import in_order
from ._progress import Progress
from ._results import contract_json

if TYPE_CHECKING:
    from ._images import BinaryReader

# What counts as an image in a folder; a file that is named is checked whatever its name.
EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")

# A progress bar helps from this many images on.
MANY = 20


class Outcome(NamedTuple):
    """The answer for one path."""

    path: str
    answer: str
    error: LivenessError | None


class Named:
    """A path as it was given, and no str: of one that is a URL, check says what to call in Python,
    which helps nobody at a shell."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path


def main(arguments: Sequence[str] | None = None) -> int:
    """Checks the paths; 0 unless an image ended in 005 or a path does not exist (1)."""
    options = _options(list(sys.argv[1:] if arguments is None else arguments))
    try:
        with Liveness() as engine:
            return 0 if _run(engine, options) else 1
    except LivenessError as error:
        print(error, file=sys.stderr)
        return 1


def _options(arguments: list[str]) -> argparse.Namespace:
    # argparse does not know "--" among intermixed arguments.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _parser()
    options = parser.parse_intermixed_args(arguments[:end])
    options.paths += arguments[end + 1 :]
    if not options.paths:
        parser.error("no path given")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m liveness",
        description="Tells live persons from prints and screens; one line per image.",
        epilog="The environment variable LIVENESS_ONNXRUNTIME names an ONNX Runtime to use. "
        "The exit status is 0 unless an image ended in 005 or a path does not exist (1), or the "
        "call was wrong (2).",
        allow_abbrev=False,
    )
    parser.add_argument("--details", action="store_true", help="say what the answer rests on")
    parser.add_argument("--csv", action="store_true", help="a table instead of JSON lines")
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        help="an image, a folder (searched with its subfolders), or - for standard input",
    )
    return parser


def _run(engine: Liveness, options: argparse.Namespace) -> bool:
    """Checks everything; true unless an image ended in 005 or a path does not exist."""
    paths = [file for path in options.paths for file in _told_files(path)]
    to_line = _csv if options.csv else _json
    sound = True
    try:
        if options.csv:
            _write(_header(options.details))
        with Progress(len(paths), None if len(paths) > MANY else False) as bar:
            for path, answer, error in in_order(lambda path: _check(engine, path), paths):
                sound = sound and _is_there(path) and not isinstance(error, InternalError)
                bar.advance()
                with bar.aside():
                    if error is not None:
                        print(f"{_shown(path)}: {error.reason}", file=sys.stderr)
                    _write(to_line(_shown(path), answer, options.details))
    except BrokenPipeError:
        # Whoever reads the lines has read enough; nothing may be left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return sound


def _write(line: str) -> None:
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


def _told_files(path: str) -> list[str]:
    """The files, and how many were passed over on standard error."""
    files, passed_over = _files(path)
    if passed_over:
        noun = "file" if passed_over == 1 else "files"
        names = "JPEG, PNG, WebP, BMP, GIF or TIFF"
        told = f"{_shown(path)}: {passed_over} {noun} passed over: not named like {names}"
        print(told, file=sys.stderr)
    return files


def _files(path: str) -> tuple[list[str], int]:
    """The file itself, or a folder's images sorted by name, and how many files are none by name."""
    if path == "-" or not os.path.isdir(path):
        return [path], 0
    try:
        entries = sorted(os.scandir(path), key=lambda entry: os.fsencode(entry.name))
    except OSError:
        # The library says why it cannot be read.
        return [path], 0
    files, passed_over = [], 0
    for entry in entries:
        # A link to a folder may lead in a circle.
        if entry.is_dir(follow_symlinks=False):
            inner, more = _files(entry.path)
            files += inner
            passed_over += more
        elif os.path.splitext(entry.name)[1].lower() not in EXTENSIONS:
            passed_over += 1
        elif entry.is_file():
            files.append(entry.path)
    return files, passed_over


def _is_there(path: str) -> bool:
    return path == "-" or (os.path.exists(path) and not os.path.isdir(path))


def _shown(path: str) -> str:
    return os.fsencode(path).decode(errors="replace")


def _check(engine: Liveness, path: str) -> Outcome:
    try:
        result = engine.check(_standard_input() if path == "-" else Named(path))
    except LivenessError as error:
        return Outcome(path, error.to_json(details=True), error)
    return Outcome(path, result.to_json(details=True), None)


def _standard_input() -> BinaryReader:
    """Without its position: who pipes a file into a program cannot seek in it."""
    return SimpleNamespace(read=sys.stdin.buffer.read)


def _json(name: str, answer: str, details: bool) -> str:
    return f'{{"file":{json.dumps(name, ensure_ascii=False)},{contract_json(answer, details)[1:]}'


def _header(details: bool) -> str:
    columns = "file,success,liveness,score,error_code"
    if details:
        columns += ",live_probability,print,replay,mask_probability,faces,reasons"
    return columns


def _csv(name: str, answer: str, details: bool) -> str:
    # Numbers stay as the library wrote them.
    value = json.loads(answer, parse_float=str, parse_int=str)
    result, found = value.get("result", {}), value["details"]
    columns = [
        _quoted(name),
        _plain(value["success"]),
        _plain(result.get("liveness")),
        _plain(result.get("score")),
        _plain(value.get("error_code")),
    ]
    if details:
        attack = found.get("attack_type", {})
        columns += [
            _plain(found.get("live_probability")),
            _plain(attack.get("print")),
            _plain(attack.get("replay")),
            _plain(found.get("mask_probability")),
            _plain(found.get("faces")),
            " ".join(found.get("reasons", ())),
        ]
    return ",".join(columns)


def _plain(value: str | bool | None) -> str:
    """A number, a word or nothing; none of them needs quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value or ""


def _quoted(text: str) -> str:
    if any(character in text for character in ',"\n\r'):
        return '"' + text.replace('"', '""') + '"'
    return text


if __name__ == "__main__":
    sys.exit(main())
