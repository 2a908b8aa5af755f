"""Contenders in turn, in one process, on one processor."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Work = Callable[[], object]


@dataclass(frozen=True)
class Series:
    """What one contender took, round by round.

    ``cpu`` is the processor time of the process: what a check takes of a processor that it has for
    itself. ``wall`` is what passed meanwhile, other programs included; its smallest value is the
    least disturbed one.
    """

    cpu: list[float]
    wall: list[float]

    def summary(self) -> dict[str, float]:
        return {
            "cpu_ms": round(statistics.median(self.cpu), 3),
            "wall_ms": round(statistics.median(self.wall), 3),
            "least_wall_ms": round(min(self.wall), 3),
            "rounds": len(self.cpu),
        }


def in_turn(contenders: Mapping[str, Work], seconds: float, least: int) -> dict[str, Series]:
    """Runs every contender once per round, another one first each time.

    As long as ``seconds`` of wall time have not passed, and for at least so many rounds.
    """
    for work in contenders.values():
        work()
    taken = {name: Series([], []) for name in contenders}
    names = list(contenders)
    gc.collect()
    gc.disable()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(taken[names[0]].cpu) < least:
            for name in names:
                work = contenders[name]
                cpu, wall = time.process_time_ns(), time.perf_counter_ns()
                work()
                taken[name].wall.append((time.perf_counter_ns() - wall) / 1e6)
                taken[name].cpu.append((time.process_time_ns() - cpu) / 1e6)
            names.append(names.pop(0))
    finally:
        gc.enable()
    return taken


def ratio(over: Series, *under: Series) -> float:
    """Median over the rounds of one contender's time by the sum of others' in the same round."""
    rounds = zip(over.cpu, *(series.cpu for series in under), strict=True)
    return round(statistics.median(first / sum(rest) for first, *rest in rounds), 3)
