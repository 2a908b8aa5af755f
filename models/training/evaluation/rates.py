"""Rates with their intervals, and Markdown tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..spoof.metrics import clopper_pearson


@dataclass(frozen=True)
class Rate:
    """A share with its exact 95 % interval (Clopper-Pearson)."""

    errors: int
    count: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.errors / self.count if self.count else float("nan")

    @classmethod
    def of(cls, errors: Iterable[bool]) -> Rate:
        found = np.asarray(list(errors), bool)
        return cls(int(found.sum()), len(found), *clopper_pearson(int(found.sum()), len(found)))

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{percent(self.value)} [{100 * self.low:.1f}, {100 * self.high:.1f}] (n={self.count})"


def percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f} %"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_block(out: Path, name: str, text: str) -> None:
    """A fragment that ``training.evaluation.card`` puts between the markers of this name."""
    folder = out / "blocks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text.strip() + "\n", "utf-8")
