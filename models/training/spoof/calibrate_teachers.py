"""Prints the constants of teachers.py: ``python -m training.spoof.calibrate_teachers --data DIR --teachers DIR``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from .. import dataset
from .clips import is_usable
from .fuse import fit
from .teachers import Teachers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--teachers", required=True)
    args = parser.parse_args()
    records = [r for r in dataset.load(args.data, split="train", kind="liveness") if is_usable(r)]
    teachers = Teachers(args.teachers)
    logits = np.stack([teachers.logits(dataset.read_image(Path(args.data) / r.path), r.largest.box) for r in records])
    mean, deviation = logits.mean(0), logits.std(0)
    live = np.array([r.live for r in records], float)
    # NUAA is separated by every teacher: at full weight it would make the sigmoid too steep.
    weights = np.array([0.3 if r.source == "nuaa" else 1.0 for r in records])
    added = ((logits - mean) / deviation).mean(1)
    slope, offset = fit(added[:, None], live, weights / weights.sum())
    pairs = ", ".join(f"({m:.3f}, {d:.3f})" for m, d in zip(mean, deviation))
    print(f"STATISTICS = ({pairs})\nSLOPE, OFFSET = {slope[0]:.2f}, {offset:.2f}  # {len(records)} images")


if __name__ == "__main__":
    main()
