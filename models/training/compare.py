"""PyTorch against ONNX Runtime on real images: every output within 1e-3.

    python -m training.compare --data ../../shared/data

Compares checkpoints, as they ship (export.py), with the exported files; a checkpoint that is not
there is left out. The embedded engine is compared with ONNX Runtime by the library's own tests.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .dataset import Face, load, read_image
from .detector.network import Detector
from .detector.predict import open_session, prepare
from .detector.train import RUNS as DETECTOR_RUNS
from .export import MODELS, as_shipped, load_weights, read_manifest
from .geometry import align, to_input
from .mask.network import MaskClassifier
from .mask.train import RUNS as MASK_RUNS
from .spoof.evaluate import crops_of
from .spoof.fuse import trained
from .spoof.train import RUNS as SPOOF_RUNS

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


def checkpoints(args: argparse.Namespace, manifest: dict) -> Iterator[tuple[nn.Module, dict]]:
    """Trained networks, where their checkpoints are, with their entries of the manifest."""
    if args.detector.exists():
        yield load_weights(Detector(), args.detector), manifest["detector"]
    if args.mask.exists():
        yield load_weights(MaskClassifier(), args.mask), manifest["mask"]
    entries = {entry["name"]: entry for entry in manifest["spoof"]["networks"]}
    for name, network in trained(args.spoof if args.spoof.exists() else None, args.wide).items():
        yield network, entries[name]


def inputs_of(images: list[np.ndarray], faces: list[Face], manifest: dict) -> dict[str, list[np.ndarray]]:
    """What each file of the manifest is given for these images."""
    networks = manifest["spoof"]["networks"]
    crops = [crops_of(i, f.box, networks) for i, f in zip(images, faces, strict=True)]
    aligned = [align(i, f.points) for i, f in zip(images, faces, strict=True)]
    out = {
        manifest["detector"]["file"]: [prepare(i, manifest["detector"]["long_side"])[0] for i in images],
        manifest["mask"]["file"]: [to_input(a[None]) for a in aligned],
    }
    for entry in networks:
        out[entry["file"]] = [to_input(c[entry["name"]]) for c in crops]
    return out


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--detector", type=Path, default=DETECTOR_RUNS / "last.pt")
    parser.add_argument("--mask", type=Path, default=MASK_RUNS / "last.pt")
    parser.add_argument("--spoof", type=Path, default=SPOOF_RUNS / "blocks-111.pt")
    parser.add_argument("--wide", type=Path, help="checkpoint whose context network became wide")
    parser.add_argument("--images", type=int, default=100)
    args = parser.parse_args(argv)
    manifest = read_manifest(args.models)
    records = [r for r in load(args.data, split="val") if r.faces]
    records = records[:: max(1, len(records) // args.images)]
    images = [read_image(args.data / r.path) for r in records]
    inputs = inputs_of(images, [r.largest for r in records], manifest)
    gaps = []
    for network, entry in checkpoints(args, manifest):
        given = inputs[entry["file"]]
        for name, gap in difference(as_shipped(network), args.models / entry["file"], given).items():
            print(f"{entry['file']:24s} {name:8s} {gap:.2e}  on {len(given)} images")
            gaps.append(gap)
    if not gaps:
        sys.exit("no checkpoint found: name one with --detector, --mask or --spoof")
    if max(gaps) > TOLERANCE:
        sys.exit(f"an output differs by more than {TOLERANCE}: export the checkpoint again")


if __name__ == "__main__":
    main()
