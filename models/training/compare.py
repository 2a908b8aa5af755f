"""PyTorch against ONNX Runtime on real images: every output within 1e-3.

    python -m training.compare --data ../../shared/data

Compares the checkpoints under training/runs with the exported files. The embedded engine is
compared with ONNX Runtime by the library's own tests.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .dataset import load, read_image
from .detector.network import Detector
from .detector.predict import open_session, prepare
from .detector.train import RUNS as DETECTOR_RUNS
from .export import MODELS, load_weights, read_manifest
from .geometry import align, to_input
from .mask.network import MaskClassifier
from .mask.train import RUNS as MASK_RUNS

TOLERANCE = 1e-3


def difference(network: nn.Module, file: Path, inputs: list[np.ndarray]) -> dict[str, float]:
    """Largest absolute difference per output; boxes, which are pixels, relative to their size."""
    session = open_session(file)
    names = [o.name for o in session.get_outputs()]
    worst = dict.fromkeys(names, 0.0)
    for x in inputs:
        exported = session.run(names, {"input": x})
        with torch.no_grad():
            result = network(torch.from_numpy(x))
        result = result if isinstance(result, tuple) else (result,)
        for name, a, b in zip(names, exported, result, strict=True):
            gap = np.abs(a - b.numpy()) / (np.maximum(1.0, np.abs(a)) if name == "box" else 1.0)
            worst[name] = max(worst[name], float(gap.max()))
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--detector", type=Path, default=DETECTOR_RUNS / "last.pt")
    parser.add_argument("--mask", type=Path, default=MASK_RUNS / "last.pt")
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args()
    manifest = read_manifest(args.models)
    records = [r for r in load(args.data, split="val") if r.faces]
    records = records[:: max(1, len(records) // args.images)]
    images = [read_image(args.data / r.path) for r in records]
    frames = [prepare(i, manifest["detector"]["long_side"])[0] for i in images]
    faces = [
        to_input(align(i, r.largest.points)[None]) for i, r in zip(images, records, strict=True)
    ]
    ok = True
    for network, checkpoint, entry, inputs in (
        (Detector(), args.detector, manifest["detector"], frames),
        (MaskClassifier(), args.mask, manifest["mask"], faces),
    ):
        worst = difference(load_weights(network, checkpoint), args.models / entry["file"], inputs)
        for name, gap in worst.items():
            print(f"{entry['file']:24s} {name:8s} {gap:.2e}  on {len(inputs)} images")
            ok = ok and gap <= TOLERANCE
    if not ok:
        sys.exit(f"an output differs by more than {TOLERANCE}: export the checkpoint again")


if __name__ == "__main__":
    main()
