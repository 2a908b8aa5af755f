"""Figures as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .figures import Curve, Figures, Judged
from .rates import Rate, percent, table

NOTES = """APCER is the share of attack presentations accepted, BPCER the share of bona fide presentations refused, both
of those that got a verdict; ACER is the mean of the worst species' APCER and BPCER. In brackets 95 % intervals:
Clopper-Pearson for rates, as if images were independent (those of one person are not: true intervals are wider; the
interval of an APCER at a BPCER leaves out that the threshold is uncertain as well); for AUC and EER bootstrap over
groups (persons, sessions), left out where a class has fewer than three and where every sample gives the same. n counts
images, g groups."""


def per_species(rates: dict[str, Rate]) -> str:
    return "; ".join(f"{name} {value}" for name, value in rates.items()) or "-"


def errors(figures: Figures) -> str:
    """Error rates at the threshold."""
    rows = []
    for part in figures.parts:
        acer = "-" if part.acer is None else percent(part.acer)
        rows.append([part.name, per_species(part.apcer), str(part.bpcer), acer])
    return table(["source", "APCER per species", "BPCER", "ACER"], rows)


def _interval(value: float, interval: tuple[float, float] | None, show: Callable[[float], str]) -> str:
    return show(value) if interval is None else f"{show(value)} [{show(interval[0])}, {show(interval[1])}]"


def _curve_cells(curve: Curve) -> list[str]:
    number, share = (lambda v: f"{v:.3f}"), (lambda v: f"{100 * v:.1f}")
    cells = [_interval(curve.auc, curve.auc_interval, number), _interval(curve.eer, curve.eer_interval, share) + " %"]
    cells += [f"{percent(r.value)} [{100 * r.low:.1f}, {100 * r.high:.1f}]" for r in curve.apcer_at_bpcer.values()]
    return [*cells, f"{curve.bona_fide}, {curve.attacks}, {curve.groups}"]


CURVE_HEADER = ["AUC", "EER", "APCER at BPCER 1 %", "at 5 %", "at 10 %"]


def curves(figures: Figures) -> str:
    """What does not depend on the threshold."""
    rows = [[p.name, *_curve_cells(p.curve)] for p in figures.parts if p.curve]
    return table(["source", *CURVE_HEADER, "n bona fide, n attacks, g"], rows)


def comparison(several: Sequence[Figures], names: Sequence[str]) -> str:
    """The same parts for several scorers, side by side."""
    rows = []
    for name in names:
        for figures in several:
            part = figures.part(name)
            if part.curve:
                rows.append([name, figures.title, *_curve_cells(part.curve)])
    return table(["source", "scorer", *CURVE_HEADER, "n bona fide, n attacks, g"], rows)


def non_responses(figures: Figures) -> str:
    """Failures to find one bare face, counted apart."""
    rows = []
    for part in figures.parts:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(part.reasons.items())) or "none"
        rows.append([part.name, per_species(part.apnrr), str(part.bpnrr), reasons])
    return table(["source", "APNRR per species", "BPNRR", "reasons"], rows)


def operating_points(figures: Figures) -> str:
    species = sorted({s for point in figures.points for s in point.apcer})
    header = ["threshold", *(f"APCER {s}" for s in species), "BPCER, sources with labels", "BPCER, web portraits"]
    rows = []
    for point in figures.points:
        cells = [str(point.apcer.get(s, "-")) for s in species]
        rows.append([f"{point.threshold:.1f}", *cells, str(point.bpcer_camera), str(point.bpcer_portraits)])
    return table(header, rows)


def looks(judged: Judged) -> str:
    """How many looks the networks took, in shares of the images."""
    answered = judged.where(judged.responded)
    taken = np.array([o.details["looks"] for o in answered.outcomes], int)
    known = answered.live & ~answered.assumed
    classes = {"bona fide, sources with labels": known, "web portraits": answered.assumed, "attacks": ~answered.live}
    most = taken.max(initial=1)
    rows = [
        [name, *(percent((taken[part] == n).mean()) for n in range(1, most + 1)), str(part.sum())]
        for name, part in (classes | {"all": np.ones(len(taken), bool)}).items()
        if part.any()
    ]
    return table(["", *(f"{n} look{'s' * (n > 1)}" for n in range(1, most + 1)), "n"], rows)


def people(figures: Figures) -> str:
    rows = [[grouping, group, str(r)] for grouping, groups in figures.people.items() for group, r in groups.items()]
    return table(["grouping", "group", "BPCER"], rows)


def calibration_line(figures: Figures) -> str:
    found = figures.calibration
    return "" if found is None else f"Expected calibration error, 10 bins: {found.error:.3f} (n={found.count})"


def identity(figures: Figures) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.identity.items())
