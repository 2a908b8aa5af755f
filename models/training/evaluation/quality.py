"""Thresholds of the quality gates from data: ``python -m training.evaluation.quality``.

    python -m training.evaluation --data ../../shared/data --out report --library ../target/release/libliveness.so
    python -m training.evaluation.quality --out report --data ../../shared/data

Reads the verdicts of the built library that the first command left in report/library.csv and prints how each measure
of src/quality.rs is distributed, what each gate would refuse, and what refusing does to both error rates
(error-versus-reject). It proposes a threshold per gate by this rule: of the values that refuse 0.5, 1, 2 and 5 % of
the bona fide images (those that fail the gate worst), the strictest at which the refused bona fide are in error at
least twice as often as the kept ones, significant in Fisher's exact test (one-sided, 0.05 divided by the number of
values tried for all gates); where none is, there is no evidence for a gate inside the range seen, and the value at
0.5 % is stated as the edge of that range. With --data it also prints what NOSE_BETWEEN rests on.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import fisher_exact

from .. import dataset
from ..export import MODELS, read_manifest
from .__main__ import load_scores
from .figures import Judged
from .pose import NOSE_BETWEEN, NOSE_DEPTH_VERTICAL, pose
from .rates import Rate, percent, table, write_block

SOURCE = MODELS.parent / "src" / "quality.rs"
SHARES = (0.005, 0.01, 0.02, 0.05)
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class Gate:
    """Refuses where the measure lies beyond a threshold."""

    reason: str
    measure: str
    refuses_high: bool
    constant: str  # in src/quality.rs
    absolute: bool = False
    frames_only: bool = False  # a crop around a face says nothing about how far away it was

    def badness(self, values: np.ndarray) -> np.ndarray:
        """Rises with how badly the measure fails."""
        values = np.abs(values) if self.absolute else values
        return values if self.refuses_high else -values

    def limit(self, badness: float) -> float:
        return badness if self.refuses_high else -badness


GATES = (
    Gate("face_too_small", "face_size", False, "MIN_FACE_SIZE"),
    Gate("face_cut_off", "outside", True, "MAX_OUTSIDE", frames_only=True),
    Gate("head_turned", "yaw", True, "MAX_ANGLE", absolute=True),
    Gate("head_nodded", "pitch", True, "MAX_ANGLE", absolute=True),
    Gate("head_tilted", "roll", True, "MAX_ANGLE", absolute=True),
    Gate("too_dark", "brightness", False, "BRIGHTNESS"),
    Gate("too_bright", "brightness", True, "BRIGHTNESS"),
    Gate("low_contrast", "contrast", False, "MIN_CONTRAST"),
    Gate("clipped", "clipped", True, "MAX_CLIPPED"),
    Gate("blurred", "sharpness", False, "MIN_SHARPNESS"),
)

SIGNIFICANCE = 0.05 / (len(GATES) * len(SHARES))


@dataclass(frozen=True)
class Kept:
    """Errors with and without what a gate refuses."""

    limit: float
    refused_bona_fide: Rate
    refused_attacks: Rate
    bpcer_kept: Rate
    bpcer_refused: Rate
    apcer_kept: Rate
    attacks_passed: Rate  # neither refused nor found out, of all attacks
    p_value: float  # that the refused bona fide are in error no more often than the kept

    @property
    def pays(self) -> bool:
        return self.p_value < SIGNIFICANCE and self.bpcer_refused.value >= 2 * self.bpcer_kept.value


@dataclass(frozen=True)
class Verdicts:
    """Measures and errors of the images with a verdict, as columns."""

    judged: Judged
    threshold: float

    def of(self, gate: Gate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Badness, whether bona fide, whether in error; of the images that the gate can be judged on."""
        used = [not gate.frames_only or p.framing != "crop" for p in self.judged.presentations]
        part = self.judged.where(np.array(used) & self.judged.responded)
        values = np.array([o.details["quality"][gate.measure] for o in part.outcomes], np.float64)
        return gate.badness(values), part.live, (part.probability >= self.threshold) != part.live


def shipped_limits(source: Path = SOURCE) -> dict[str, float]:
    """Threshold per reason, as src/quality.rs holds them."""
    text = source.read_text("utf-8")
    single = {name: float(value) for name, value in re.findall(r"const (\w+): f32 = ([\d.]+);", text)}
    low, high = re.search(r"const BRIGHTNESS: [^=]*= ([\d.]+)\.\.=([\d.]+);", text).groups()
    brightness = {"too_dark": float(low), "too_bright": float(high)}
    return {g.reason: brightness.get(g.reason, single.get(g.constant, float("nan"))) for g in GATES}


def nose_between(root: Path) -> tuple[float, int]:
    """Where noses lie between eyes and mouth: median and number of faces that hardly turn."""
    found = []
    for record in dataset.load(root):
        face = record.largest if record.kind in ("faces", "liveness") else None
        angles = pose(face.points) if face and face.score >= 0.8 and face.size >= 60 else None
        if angles and abs(angles.yaw) <= 15:
            found.append(NOSE_BETWEEN - NOSE_DEPTH_VERTICAL * np.tan(np.radians(angles.pitch)))
    return float(np.median(found)), len(found)


def kept(gate: Gate, verdicts: Verdicts, limit: float) -> Kept:
    badness, live, wrong = verdicts.of(gate)
    refused = badness > (limit if gate.refuses_high else -limit)
    bona_refused, bona_kept = wrong[live & refused], wrong[live & ~refused]
    counts = [[int(e.sum()), int((~e).sum())] for e in (bona_refused, bona_kept)]
    return Kept(
        limit=limit,
        refused_bona_fide=Rate.of(refused[live]),
        refused_attacks=Rate.of(refused[~live]),
        bpcer_kept=Rate.of(bona_kept),
        bpcer_refused=Rate.of(bona_refused),
        apcer_kept=Rate.of(wrong[~live & ~refused]),
        attacks_passed=Rate.of((wrong & ~refused)[~live]),
        p_value=float(fisher_exact(counts, alternative="greater")[1]),
    )


def error_versus_reject(gate: Gate, verdicts: Verdicts) -> list[Kept]:
    """At the thresholds that refuse each of SHARES of the bona fide images."""
    badness, live, _ = verdicts.of(gate)
    return [kept(gate, verdicts, gate.limit(float(np.quantile(badness[live], 1 - share)))) for share in SHARES]


def proposal(curve: Sequence[Kept]) -> tuple[Kept, bool]:
    """The threshold by the rule above, and whether there is evidence for it."""
    paying = [k for k in curve if k.pays]
    return (paying[-1], True) if paying else (curve[0], False)


def distribution(verdicts: Verdicts) -> str:
    measures = sorted({g.measure for g in GATES})
    answered = verdicts.judged.where(verdicts.judged.responded)
    classes = {
        "bona fide": answered.live & ~answered.assumed,
        "web portraits": answered.assumed,
        "attacks": ~answered.live,
    }
    rows = []
    for measure in measures:
        values = np.array([o.details["quality"][measure] for o in answered.outcomes])
        for name, chosen in classes.items():
            if chosen.any():
                rows.append([measure, f"{name} ({chosen.sum()})", *(f"{v:.3g}" for v in np.quantile(values[chosen], QUANTILES))])
    return table(["measure", "class (n)", *(f"{100 * q:.0f} %" for q in QUANTILES)], rows)


def _cells(k: Kept) -> list[str]:
    shares = [k.refused_bona_fide, k.refused_attacks]
    errors = k.bpcer_kept, k.bpcer_refused, k.apcer_kept
    return [f"{k.limit:.3g}", *(percent(r.value) for r in shares), *map(str, errors), percent(k.attacks_passed.value)]


HEADER = ["gate", "threshold", "bona fide refused", "attacks refused", "BPCER kept"]
HEADER += ["BPCER refused", "APCER kept", "attacks passed, of all"]


def shipped_table(found: dict[str, Kept]) -> str:
    return table(HEADER, [[reason, *_cells(k)] for reason, k in found.items()])


def proposal_table(curves: dict[str, list[Kept]], shipped: dict[str, float]) -> str:
    rows = []
    for reason, curve in curves.items():
        chosen, evidence = proposal(curve)
        why = f"p = {chosen.p_value:.3f}" if evidence else "no evidence: edge of the range"
        rows.append([reason, f"{shipped[reason]:g}", f"{chosen.limit:.3g}", why])
    return table(["gate", "src/quality.rs", "by the rule", "evidence"], rows)


def main(argv: Sequence[str] | None = None) -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.quality", description=__doc__, formatter_class=layout)
    parser.add_argument("--out", type=Path, required=True, help="folder of the report, with library.csv")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--data", type=Path, help="folder with labels.csv")
    args = parser.parse_args(argv)
    verdicts = Verdicts(load_scores(args.out / "library.csv"), float(read_manifest(args.models)["spoof"]["threshold"]))
    limits = shipped_limits()
    shipped = {g.reason: kept(g, verdicts, limits[g.reason]) for g in GATES}
    curves = {g.reason: error_versus_reject(g, verdicts) for g in GATES}
    gates = f"{shipped_table(shipped)}\n\n{proposal_table(curves, limits)}"
    write_block(args.out, "quality", gates)
    steps = table(HEADER, [[reason, *_cells(k)] for reason, curve in curves.items() for k in curve])
    chapters = ["# Quality gates", f"## As shipped, and by the rule\n\n{gates}", f"## Error versus reject\n\n{steps}"]
    chapters.append(f"## Quantiles of the measures\n\n{distribution(verdicts)}")
    if args.data:
        median, count = nose_between(args.data)
        found = f"NOSE_BETWEEN: {median:.3f}, median of {count} faces; pose.py and quality.rs have {NOSE_BETWEEN}."
        chapters.append(f"## Pose\n\n{found}")
    (args.out / "quality.md").write_text("\n\n".join(chapters) + "\n", "utf-8")
    data = {"shipped": {r: asdict(k) for r, k in shipped.items()}}
    data["curves"] = {r: [asdict(k) for k in c] for r, c in curves.items()}
    (args.out / "quality.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    print("\n\n".join(chapters))


if __name__ == "__main__":
    main()
