"""The table that every surface answers: the same JSON as the Rust API, byte for byte but times."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

from conftest import Conformance
from liveness import Base64, Liveness, LivenessError, Pixels


def without_timings(answer: str) -> str:
    return re.sub(r',"timings_ms":\{[^}]*\}', "", answer)


def source(conformance: Conformance, case: dict[str, Any]) -> Any:
    path = conformance.inputs / case["input"]
    if case["send"] == "path":
        return path
    data = path.read_bytes()
    if case["send"] == "base64":
        return Base64(data)
    if case["send"] == "pixels":
        layout = case["pixels"]
        return Pixels(data, **{**layout, "format": layout["format"].upper()})
    return data


def by_exception(engine: Liveness, image: Any, details: bool) -> str:
    """The answer as somebody gets it who calls check."""
    try:
        result = engine.check(image)
    except LivenessError as error:
        return error.to_json(details=details)
    return result.to_json(details=details)


def test_the_package_answers_alike(conformance: Conformance) -> None:
    cases = conformance.of("python")
    assert len(cases) >= 40
    differences = []
    with ExitStack() as stack:
        engines: dict[str, Liveness] = {}
        for case in cases:
            config, details = case.get("config", {}), case.get("details", False)
            key = json.dumps(config)
            if key not in engines:
                engines[key] = stack.enter_context(Liveness(**config))
            image = source(conformance, case)
            wanted = conformance.expected[case["name"]]
            for answer in (
                engines[key].check_json(image, details=details),
                by_exception(engines[key], image, details),
            ):
                if without_timings(answer) != wanted:
                    differences.append(f"{case['name']}:\n  {answer}\n  {wanted}")
    assert not differences, "\n".join(differences)
    print(f"python: {len(cases)} cases compared")


def test_the_command_line_answers_alike(conformance: Conformance) -> None:
    cases = conformance.of("cli")
    assert cases
    for details in (False, True):
        some = [case for case in cases if case.get("details", False) == details]
        paths = [os.fspath(conformance.inputs / case["input"]) for case in some]
        options = ["--details"] if details else []
        done = subprocess.run(
            [sys.executable, "-m", "liveness", *options, *paths],
            capture_output=True,
            check=False,
        )
        lines = done.stdout.decode().splitlines()
        assert len(lines) == len(some)
        for case, path, line in zip(some, paths, lines):
            file = json.dumps(path, ensure_ascii=False)
            rest = conformance.expected[case["name"]][1:]
            assert without_timings(line) == f'{{"file":{file},{rest}'
