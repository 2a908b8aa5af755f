"""Trained networks to ONNX files and the manifest that the library reads.

    python -m training.export --detector training/runs/detector/last.pt --mask training/runs/mask/last.pt

Every network has one input named ``input``, NCHW RGB in -1..1, opset 17, and computes in float32.
Its weights are stored as float16, which halves the files; both engines widen them while loading.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .detector.network import Detector
from .mask.network import MaskClassifier

OPSET = 17
# Smaller tensors (biases) gain nothing and stay exact.
HALF_FROM = 512
MODELS = Path(__file__).resolve().parent.parent


def as_shipped(network: nn.Module) -> nn.Module:
    """What the library runs: batch normalisations folded away, weights rounded to float16."""
    network = copy.deepcopy(network).float().cpu().eval().to(memory_format=torch.contiguous_format)
    for layers in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        for index in range(1, len(layers)):
            if isinstance(layers[index], nn.BatchNorm2d):
                layers[index - 1] = fuse_conv_bn_eval(layers[index - 1], layers[index])
                layers[index] = nn.Identity()
    for weights in network.parameters():
        if weights.numel() >= HALF_FROM:
            weights.data = weights.data.half().float()
            if not weights.isfinite().all():
                raise ValueError("a weight is beyond the range of float16: the network did not train")
    return network


def store_half(model: onnx.ModelProto) -> None:
    """Stores weights as float16 behind a cast, which the engines evaluate once, while loading."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= HALF_FROM:
            name, stored = tensor.name, f"{tensor.name}.half"
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
            casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def write_onnx(
    network: nn.Module,
    path: Path,
    shape: tuple[int, ...],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]],
) -> None:
    """Write a network in evaluation mode, as it ships."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            as_shipped(network),
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
    left = [n.name for n in model.graph.node if n.op_type == "BatchNormalization"]
    if left:
        raise RuntimeError(f"{path.name}: batch normalisations were not folded: {left}")
    store_half(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


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


def _liveness(name: str, crop: str, *views: tuple[float, bool] | None) -> dict:
    """A liveness network that sees these scales, mirrored or not, look after look."""
    return {
        "name": name,
        "file": f"liveness_{name}.onnx",
        "sha256": "",
        "size": 128,
        "crop": crop,
        "views": [view and {"scale": view[0], "mirror": view[1]} for view in views],
        "weights": [0.0] * len(views),
    }


def _look(**doubt: float) -> dict:
    """One that is taken where the logit so far lies less far than this on the side of an attack, or of live."""
    return {"doubt": doubt, "bias": 0.0}


DEFAULTS = {
    "schema": 3,
    "version": "2026.12.0",
    "detector": {
        "file": "detector.onnx",
        "sha256": "",
        "long_side": 288,
        "score_threshold": 0.65,
        "nms_iou": 0.4,
        "judged": {"score": 0.84, "slope": 1.0, "least": 0.7},
        "upright": {"score": 0.93, "slope": 0.05},
    },
    "mask": {"file": "mask.onnx", "sha256": "", "size": 96, "threshold": 0.7},
    "spoof": {
        "networks": [
            _liveness("tight", "square", None, (1.5, False), (1.65, True), (1.38, True)),
            _liveness("context", "box", (3.2, False), None, (3.5, True), (2.9, True)),
            _liveness("wide", "box", None, (3.5, True), (3.2, False), (2.9, True)),
        ],
        # `training.spoof.fuse` fits biases and weights.
        "looks": [{"bias": 0.0}, _look(live=2.5), _look(attack=1.0, live=1.0), _look(attack=0.7, live=0.7)],
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
