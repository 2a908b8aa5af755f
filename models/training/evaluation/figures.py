"""ISO/IEC 30107-3 figures of one scorer's outcomes, ready for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..spoof.metrics import (
    auc,
    bootstrap,
    eer,
    expected_calibration_error,
    reliability,
    threshold_at_bpcer,
)
from .presentations import Presentation
from .rates import Rate
from .scorers import Outcome

AT_BPCER = (0.01, 0.05, 0.10)
# By how much the same figure may differ between two samples.
ROUNDING = 1e-9
# Drawn from fewer groups of a class, an interval would be far too narrow.
GROUPS_NEEDED = 3
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Curve:
    """What does not depend on a threshold; intervals by bootstrap over groups, where there are enough."""

    auc: float
    auc_interval: tuple[float, float] | None
    eer: float
    eer_interval: tuple[float, float] | None
    apcer_at_bpcer: dict[str, Rate]
    bona_fide: int
    attacks: int
    groups: int


@dataclass(frozen=True)
class Part:
    """Figures of one source or of several."""

    name: str
    bona_fide: int
    attacks: int
    groups: int
    apcer: dict[str, Rate]  # per attack species, of those with a response
    bpcer: Rate
    acer: float | None  # mean of the worst species' APCER and of BPCER
    apnrr: dict[str, Rate]
    bpnrr: Rate
    reasons: dict[str, int]  # of non-responses
    curve: Curve | None


@dataclass(frozen=True)
class OperatingPoint:
    threshold: float
    apcer: dict[str, Rate]
    bpcer_camera: Rate
    bpcer_portraits: Rate


@dataclass(frozen=True)
class Calibration:
    error: float
    count: int
    bins: list[tuple[float, float, int]]  # mean stated probability, share of bona fide, images


@dataclass(frozen=True)
class Figures:
    """Everything said of one scorer."""

    title: str
    identity: dict[str, str]
    threshold: float
    parts: list[Part]
    points: list[OperatingPoint] = field(default_factory=list)
    calibration: Calibration | None = None
    people: dict[str, dict[str, Rate]] = field(default_factory=dict)  # grouping -> group -> BPCER

    def part(self, name: str) -> Part:
        return next(p for p in self.parts if p.name == name)


@dataclass(frozen=True)
class Judged:
    """Presentations with their outcomes, as columns."""

    presentations: list[Presentation]
    outcomes: list[Outcome]

    def __post_init__(self) -> None:
        if len(self.presentations) != len(self.outcomes):
            raise ValueError(f"{len(self.presentations)} presentations but {len(self.outcomes)} outcomes")

    def where(self, keep: Sequence[bool] | np.ndarray) -> Judged:
        chosen = [(p, o) for p, o, k in zip(self.presentations, self.outcomes, keep, strict=True) if k]
        return Judged([p for p, _ in chosen], [o for _, o in chosen])

    @property
    def live(self) -> np.ndarray:
        return np.array([p.live for p in self.presentations], bool)

    @property
    def assumed(self) -> np.ndarray:
        return np.array([p.assumed for p in self.presentations], bool)

    @property
    def species(self) -> list[str]:
        return sorted({p.species for p in self.presentations if not p.live})

    @property
    def responded(self) -> np.ndarray:
        return np.array([o.probability is not None for o in self.outcomes], bool)

    @property
    def probability(self) -> np.ndarray:
        """Of those with a response only."""
        return np.array([o.probability for o in self.outcomes if o.probability is not None], np.float64)

    @property
    def groups(self) -> np.ndarray:
        return np.array([f"{p.source}/{p.group}" for p in self.presentations])


def curve(judged: Judged, rounds: int) -> Curve | None:
    """None unless both classes have a response."""
    answered = judged.where(judged.responded)
    live, score = answered.live, answered.probability
    bona, attack = score[live], score[~live]
    if not len(bona) or not len(attack):
        return None
    at = {}
    for share in AT_BPCER:
        at[f"{100 * share:.0f} %"] = Rate.of(attack >= threshold_at_bpcer(bona, share))
    intervals: tuple = (None, None)
    groups = answered.groups
    if rounds and min(len(set(groups[live])), len(set(groups[~live]))) >= GROUPS_NEEDED:
        intervals = tuple(_interval(drawn) for drawn in bootstrap(score, live, groups, rounds))
    sizes = len(bona), len(attack), len(set(groups))
    return Curve(auc(bona, attack), intervals[0], eer(bona, attack), intervals[1], at, *sizes)


def _interval(drawn: np.ndarray) -> tuple[float, float] | None:
    """None where every sample gives the same, as of classes without a common score: that is no certainty."""
    low, high = (float(v) for v in np.quantile(drawn, (0.025, 0.975)))
    return (low, high) if np.ptp(drawn) > ROUNDING else None


def part(name: str, judged: Judged, threshold: float, rounds: int = 1000) -> Part:
    species = {s: judged.where([p.species == s for p in judged.presentations]) for s in judged.species}
    apcer = {s: Rate.of(j.probability >= threshold) for s, j in species.items() if j.responded.any()}
    bona = judged.where(judged.live)
    bpcer = Rate.of(bona.probability < threshold)
    worst = max((r.value for r in apcer.values()), default=None)
    return Part(
        name=name,
        bona_fide=int(judged.live.sum()),
        attacks=int((~judged.live).sum()),
        groups=len(set(judged.groups)),
        apcer=apcer,
        bpcer=bpcer,
        acer=None if worst is None or not bpcer.count else (worst + bpcer.value) / 2,
        apnrr={s: Rate.of(~j.responded) for s, j in species.items()},
        bpnrr=Rate.of(~bona.responded),
        reasons=dict(Counter(o.reason for o in judged.outcomes if o.probability is None)),
        curve=curve(judged, rounds),
    )


def operating_points(judged: Judged) -> list[OperatingPoint]:
    answered = judged.where(judged.responded)
    score, live, assumed = answered.probability, answered.live, answered.assumed
    kind = np.array([p.species for p in answered.presentations])
    points = []
    for threshold in THRESHOLDS:
        apcer = {s: Rate.of(score[kind == s] >= threshold) for s in answered.species}
        refused = score < threshold
        points.append(OperatingPoint(threshold, apcer, Rate.of(refused[live & ~assumed]), Rate.of(refused[live & assumed])))
    return points


def calibration(judged: Judged) -> Calibration | None:
    """Over images whose label is known, not assumed."""
    known = judged.where(judged.responded & ~judged.assumed)
    if not known.presentations:
        return None
    live = known.live.astype(float)
    return Calibration(expected_calibration_error(known.probability, live), len(live), reliability(known.probability, live))


def by_people(judged: Judged, groupings: list[dict[str, str]], threshold: float) -> dict[str, dict[str, Rate]]:
    """BPCER per group of people; ``groupings`` has an entry per presentation."""
    errors: dict[str, dict[str, list[bool]]] = {}
    for p, outcome, groups in zip(judged.presentations, judged.outcomes, groupings, strict=True):
        if not p.live or outcome.probability is None:
            continue
        for grouping, group in groups.items():
            errors.setdefault(grouping, {}).setdefault(group, []).append(outcome.probability < threshold)
    return {g: {name: Rate.of(e) for name, e in sorted(parts.items())} for g, parts in sorted(errors.items())}


def figures(
    title: str,
    judged: Judged,
    threshold: float,
    identity: dict[str, str],
    groupings: list[dict[str, str]] | None = None,
    rounds: int = 1000,
) -> Figures:
    """Per source, over the sources with labels, and over the portraits that are bona fide by assumption."""
    source = np.array([p.source for p in judged.presentations])
    labelled = sorted(set(source[~judged.assumed]))
    assumed = sorted(set(source[judged.assumed]))
    parts = [part(s, judged.where(source == s), threshold, rounds) for s in labelled]
    if len(labelled) > 1:
        parts.append(part("all with labels", judged.where(~judged.assumed), threshold, rounds))
    parts += [part(s, judged.where(source == s), threshold, rounds) for s in assumed]
    if len(assumed) > 1:
        parts.append(part("all web portraits", judged.where(judged.assumed), threshold, rounds))
    people = by_people(judged, groupings, threshold) if groupings else {}
    return Figures(title, identity, threshold, parts, operating_points(judged), calibration(judged), people)
