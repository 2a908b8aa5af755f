"""Results as tables, in the terminal and in the marked blocks of the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from places import DOCUMENTS, RESULTS

MB_PER_MIB = 1.048576
PICTURES = {
    "selfie-0.3mp.jpg": "640x480 JPEG",
    "selfie-2mp.jpg": "2 MP JPEG",
    "selfie-12mp.jpg": "12 MP JPEG",
    "NV21": "1280x720 NV21",
    "RGB": "1280x720 RGB",
}


def table(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def machine(result: dict) -> str:
    it = result["machine"]
    return "\n".join(
        (
            f"{it['processors']} processors of a shared virtual machine, {it['processor']},",
            f"{it['system']}; load {it['load']} at the end, {it['date']}. Commit {it['commit']},",
            f"{it['rustc']}, embedded engine {it['engine']}, models {it['models']}; Python",
            f"{it['python']}, ONNX Runtime {it['onnxruntime']}, OpenCV {it['opencv']}, Pillow",
            f"{it['pillow']}, simplejpeg {it['simplejpeg']}.",
        )
    )


def targets(result: dict) -> str:
    sides = list(result["targets"][0]["figures"])
    rows = [
        [row["case"], row["target"], *row["figures"].values(), "yes" if row["met"] else "**no**"]
        for row in result["targets"]
    ]
    return table(["case", "target", *sides, "met"], rows)


def contenders(result: dict) -> str:
    rows = [
        [
            "" if index else PICTURES[picture],
            name,
            *(_number(it[figure]) for figure in ("cpu_ms", "wall_ms", "least_wall_ms", "rounds")),
        ]
        for picture, entries in result["contenders"].items()
        for index, (name, it) in enumerate(entries.items())
    ]
    head = ["picture", "contender", "processor time, ms", "wall, ms", "least wall, ms", "rounds"]
    return table(head, rows)


def stages(result: dict) -> str:
    rows = [
        [PICTURES[picture], engine, *(_number(value) for value in parts.values())]
        for picture, engines in result["stages"].items()
        for engine, parts in engines.items()
    ]
    names = list(next(iter(next(iter(result["stages"].values())).values())))
    return table(["picture", "engine", *names], rows)


def summary(result: dict) -> str:
    """What README says."""
    measured = result["contenders"]
    shown = [name for name in measured["selfie-2mp.jpg"] if "before" not in name]
    rows = [
        [name, *(_number(at[name]["cpu_ms"]) if name in at else "" for at in measured.values())]
        for name in shown
    ]
    head = ["ms on one thread", *(PICTURES[picture] for picture in measured)]
    within = [row for row in result["threads"]["liveness"] if row["threads"] <= processors(result)]
    size = result["machine"]["library_bytes"] / 1e6
    return (
        f"{table(head, rows)}\n\n"
        f"{within[-1]['threads']} threads on one engine check {within[-1]['times_one']:.1f} times "
        f"as many pictures as one.\n`libliveness.so` with all networks: {size:.1f} MB."
    )


def processors(result: dict) -> int:
    return int(result["machine"]["processors"])


def answers(result: dict) -> str:
    names = list(next(iter(result["answers"].values())))
    rows = [[PICTURES[picture], *said.values()] for picture, said in result["answers"].items()]
    return table(["`live_probability`", *names], rows)


def sizes(label: str) -> Callable[[dict], str]:
    def rendered(result: dict) -> str:
        first = result[label][0]
        rows = [
            [
                row[label],
                row["file_mb"],
                row["answer"],
                *(_number(value) for value in row["cpu_ms"].values()),
                *(f"{value * MB_PER_MIB:.1f}" for value in row["peak_mib"].values()),
            ]
            for row in result[label]
        ]
        times = [f"{name}, ms" for name in first["cpu_ms"]]
        peaks = [f"{side}, peak MB" for side in first["peak_mib"]]
        return table([label, "file, MB", "answer", *times, *peaks], rows)

    return rendered


def threads(result: dict) -> str:
    rows = [
        [
            side,
            row["threads"],
            f"{row['checks_per_s']:.1f}",
            f"{row['times_one']:.2f}",
            _number(row["cpu_ms"]),
            f"{row['peak_mib'] * MB_PER_MIB:.1f}",
        ]
        for side, measured in result["threads"].items()
        for row in measured
    ]
    head = ["", "threads", "checks per second", "times one", "processor time per check, ms"]
    return table([*head, "peak memory of the process, MB"], rows)


BLOCKS = {
    "machine": machine,
    "targets": targets,
    "contenders": contenders,
    "stages": stages,
    "answers": answers,
    "megapixels": sizes("megapixels"),
    "faces": sizes("faces"),
    "threads": threads,
    "summary": summary,
}


def write() -> None:
    """Fills `<!-- begin BLOCK of RESULT -->` up to `<!-- end -->`."""
    for path in DOCUMENTS:
        path.write_text(BLOCK.sub(_filled, path.read_text()))


BLOCK = re.compile(
    r"(?P<begin><!-- begin (?P<block>\w+) of (?P<name>[\w-]+) -->)\n.*?<!-- end -->", re.DOTALL
)


def _filled(match: re.Match[str]) -> str:
    file = RESULTS / f"{match['name']}.json"
    if not file.exists():
        return match[0]
    rendered = BLOCKS[match["block"]](json.loads(file.read_text()))
    return f"{match['begin']}\n\n{rendered}\n\n<!-- end -->"


def _number(value: object) -> object:
    return f"{value:.2f}" if isinstance(value, float) else value
