"""Trained networks to ONNX files and the manifest that the library reads.

    python -m training.export --detector training/runs/detector/best.pt --mask training/runs/mask/best.pt

Every network has one input named ``input``, NCHW RGB in -1..1, opset 17, float32.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
from pathlib import Path

import onnx
import torch
from torch import nn

from .detector.network import Detector
from .mask.network import MaskClassifier

OPSET = 17
MODELS = Path(__file__).resolve().parent.parent


def write_onnx(
    network: nn.Module,
    path: Path,
    shape: tuple[int, ...],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]],
) -> None:
    """Write a network in evaluation mode; its batch normalisations are folded away."""
    network = copy.deepcopy(network).float().cpu().eval()
    network = network.to(memory_format=torch.contiguous_format)
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            network,
            (torch.zeros(shape),),
            str(path),
            input_names=["input"],
            output_names=outputs,
            dynamic_axes=dynamic,
            opset_version=OPSET,
            do_constant_folding=True,
            dynamo=False,
        )
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    left = [n.name for n in model.graph.node if n.op_type == "BatchNormalization"]
    if left:
        raise RuntimeError(f"{path.name}: batch normalisations were not folded: {left}")


def export_detector(network: Detector, path: Path) -> None:
    """input [1,3,h,w] to score [1,1,h/8,w/8], box [1,4,..] and points [1,10,..]."""
    dynamic = {"input": {2: "height", 3: "width"}}
    for name in ("score", "box", "points"):
        dynamic[name] = {2: "rows", 3: "columns"}
    write_onnx(network, path, (1, 3, 256, 256), ["score", "box", "points"], dynamic)


def export_mask(network: MaskClassifier, path: Path) -> None:
    """input [1,3,96,96] to logit [1,1]."""
    write_onnx(network, path, (1, 3, 96, 96), ["logit"], {})


def export_spoof(network: nn.Module, path: Path, size: int = 128) -> None:
    """input [n,3,size,size] to logits [n,3]: live, print, replay."""
    dynamic = {"input": {0: "n"}, "logits": {0: "n"}}
    write_onnx(network, path, (1, 3, size, size), ["logits"], dynamic)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


DEFAULTS = {
    "schema": 1,
    "version": "2026.11.0",
    "detector": {
        "file": "detector.onnx",
        "sha256": "",
        "long_side": 288,
        "score_threshold": 0.65,
        "nms_iou": 0.4,
    },
    "mask": {"file": "mask.onnx", "sha256": "", "size": 96, "threshold": 0.7},
    "spoof": {
        "networks": [
            {
                "name": "tight",
                "file": "liveness_tight.onnx",
                "sha256": "",
                "size": 128,
                "crop": "square",
                "scale": 1.5,
                "weight": 1.0,
            },
            {
                "name": "context",
                "file": "liveness_context.onnx",
                "sha256": "",
                "size": 128,
                "crop": "box",
                "scale": 3.2,
                "weight": 1.0,
            },
        ],
        "bias": 0.0,
        "threshold": 0.5,
    },
}


def read_manifest(models: Path = MODELS) -> dict:
    """manifest.json of a models folder, or the defaults where there is none yet."""
    path = models / "manifest.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else copy.deepcopy(DEFAULTS)


def write_manifest(manifest: dict, models: Path = MODELS) -> None:
    """Store the manifest with the SHA-256 of the files as they are now."""
    entries = [manifest["detector"], manifest["mask"], *manifest["spoof"]["networks"]]
    for entry in entries:
        file = models / entry["file"]
        if file.exists():
            entry["sha256"] = sha256(file)
    text = json.dumps(manifest, indent=2) + "\n"
    (models / "manifest.json").write_text(text, "utf-8")


def load_weights(network: nn.Module, checkpoint: Path) -> nn.Module:
    """The averaged weights of a training checkpoint, ready to evaluate."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", type=Path, help="checkpoint of training.detector.train")
    parser.add_argument("--mask", type=Path, help="checkpoint of training.mask.train")
    parser.add_argument("--out", type=Path, default=MODELS)
    args = parser.parse_args()
    manifest = read_manifest(args.out)
    if args.detector:
        network = load_weights(Detector(), args.detector)
        export_detector(network, args.out / manifest["detector"]["file"])
    if args.mask:
        network = load_weights(MaskClassifier(), args.mask)
        export_mask(network, args.out / manifest["mask"]["file"])
    write_manifest(manifest, args.out)


if __name__ == "__main__":
    main()
