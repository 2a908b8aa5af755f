"""Time and memory against the size of the picture and against the number of faces in it."""

from __future__ import annotations

from pathlib import Path

import contenders
import processes
from places import picture, progress
from targets import DECODE, EMBEDDED, NOW, Field
from timing import in_turn

MEGAPIXELS = ("0.3", "0.5", "1", "2", "4", "8", "12", "20", "30", "50")
FACES = ("0", "1", "2", "5", "10", "20", "50")


class Scaling:
    """Measures the embedded engine of every side on pictures of a row."""

    def __init__(self, field: Field, rounds: int) -> None:
        self.field, self.rounds = field, rounds
        sides = field.choices.sides
        self.probes = {side: processes.Probe(library) for side, library in sides.items()}

    def megapixels(self, most: float) -> list[dict]:
        numbers = [number for number in MEGAPIXELS if float(number) <= most]
        return self._measured(
            "megapixels", {number: f"selfie-{number}mp.jpg" for number in numbers}
        )

    def faces(self, most: int) -> list[dict]:
        numbers = [number for number in FACES if int(number) <= most]
        return self._measured("faces", {number: f"faces-{number}.jpg" for number in numbers})

    def _measured(self, label: str, names: dict[str, str]) -> list[dict]:
        return [{label: number, **self._row(picture(name))} for number, name in names.items()]

    def _row(self, path: Path) -> dict:
        progress(path.name)
        data = path.read_bytes()
        packages, engines = self.field.packages, self.field.engines
        names = {side: f"{side}, {EMBEDDED}" for side in self.probes}
        works = {
            side: contenders.check(packages[name], engines[name], data)
            for side, name in names.items()
        }
        taken = in_turn({**works, DECODE: contenders.full_decode(data)}, 0, self.rounds)
        return {
            "file_mb": round(len(data) / 1e6, 2),
            "answer": contenders.answer(packages[names[NOW]], engines[names[NOW]], data),
            "cpu_ms": {name: series.summary()["cpu_ms"] for name, series in taken.items()},
            "peak_mib": {
                side: probe.run("check", path, 2)["peak_mib"] for side, probe in self.probes.items()
            },
        }
