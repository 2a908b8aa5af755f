"""Figures of the liveness networks: ``python -m training.spoof.evaluate --data DIR``.

Reads the networks and their fusion from models/manifest.json and prints a Markdown table per
source with sample sizes. Boxes are those of labels.csv; the figures of the whole library, its own
detector and all, come from running it on the same images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from .. import dataset
from ..geometry import crop_rect, cut, to_input
from .clips import BONA_FIDE_WEB, SPECIES, is_usable
from .metrics import apcer_at_bpcer, auc, clopper_pearson, eer, expected_calibration_error

LABELLED = ("nuaa", "office-phones", "webcam-replay", "phone-recapture")


def crops_of(image: np.ndarray, box: np.ndarray, networks: list[dict]) -> dict[str, np.ndarray]:
    """What each network of the manifest sees, exactly as the library cuts it: uint8, views x side x side x RGB."""
    height, width = image.shape[:2]
    out = {}
    for network in networks:
        views = []
        for view in network["views"]:
            crop = cut(image, crop_rect(box, width, height, network["crop"], view["scale"]), network["size"])
            views.append(crop[:, ::-1] if view["mirror"] else crop)
        out[network["name"]] = np.stack(views)
    return out


class ValidationSet:
    """Crops of the validation images whose liveness is known or, for web portraits, assumed."""

    def __init__(self, root: str | Path, networks: list[dict], split: str = "val"):
        records = [r for r in dataset.load(root, split=split) if is_usable(r)]
        self.records = [r for r in records if r.kind == "liveness" or r.source in BONA_FIDE_WEB]
        crops = [crops_of(dataset.read_image(Path(root) / r.path), r.largest.box, networks) for r in self.records]
        self.crops = {network["name"]: np.stack([c[network["name"]] for c in crops]) for network in networks}
        self.source = np.array([r.source for r in self.records])
        self.live = np.array([r.label not in SPECIES for r in self.records])
        self.species = np.array([r.label for r in self.records])

    def part(self, source: str, live: bool) -> np.ndarray:
        return (self.source == source) & (self.live == live)


def _mean_live_logits(crops: np.ndarray, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Live logits, one per image: means over its views."""
    out = []
    for chunk in np.array_split(crops, max(1, len(crops) // 64)):
        count, views = chunk.shape[:2]
        logits = run(to_input(chunk.reshape(count * views, *chunk.shape[2:])))
        out.append(logits[:, 0].reshape(count, views).mean(1))
    return np.concatenate(out)


@torch.no_grad()
def torch_logits(data: ValidationSet, nets: nn.ModuleDict) -> dict[str, np.ndarray]:
    """Live logits per network name, one per image."""
    return {name: _mean_live_logits(data.crops[name], lambda x: net(torch.from_numpy(x)).numpy()) for name, net in nets.items()}


def summary_line(data: ValidationSet, nets: nn.ModuleDict) -> str:
    """One line of progress: AUC per labelled source for each network and for their mean."""
    logits = torch_logits(data, nets)
    logits["mean"] = np.mean(list(logits.values()), 0)
    text = []
    for name, z in logits.items():
        values = [auc(z[data.part(s, True)], z[data.part(s, False)]) for s in LABELLED[:3]]
        recapture = (z[data.part("phone-recapture", False)] >= 0).mean()
        web = (z[np.isin(data.source, BONA_FIDE_WEB)] < 0).mean()
        text.append(f"{name} {values[0]:.3f} {values[1]:.3f} {values[2]:.3f} rec {recapture:.3f} web {web:.3f}")
    return "  val AUC nuaa office webcam, recapture accepted, web refused | " + " | ".join(text)


def onnx_logits(data: ValidationSet, models: Path, manifest: dict) -> np.ndarray:
    """Fused live logits of the shipped networks."""
    total = np.full(len(data.records), manifest["spoof"]["bias"], np.float64)
    for network in manifest["spoof"]["networks"]:
        session = onnxruntime.InferenceSession(str(models / network["file"]), providers=["CPUExecutionProvider"])
        run = lambda x: session.run(["logits"], {"input": x})[0]
        total += network["weight"] * _mean_live_logits(data.crops[network["name"]], run)
    return total


def _rate(errors: np.ndarray) -> str:
    if not len(errors):
        return "-"
    low, high = clopper_pearson(int(errors.sum()), len(errors))
    return f"{100 * errors.mean():.1f} % [{100 * low:.1f}, {100 * high:.1f}] (n={len(errors)})"


def _curve(bona: np.ndarray, attack: np.ndarray) -> str:
    return f"{auc(bona, attack):.4f} | {100 * eer(bona, attack):.1f} % | {100 * apcer_at_bpcer(bona, attack, 0.05):.1f} %"


def table(data: ValidationSet, probability: np.ndarray, threshold: float) -> str:
    """Markdown: APCER, BPCER, AUC, EER, APCER at BPCER 5 % per source."""
    lines = ["| source | APCER | BPCER | AUC | EER | APCER at BPCER 5 % |", "|---|---|---|---|---|---|"]
    for source in (*LABELLED, *BONA_FIDE_WEB):
        bona, attack = probability[data.part(source, True)], probability[data.part(source, False)]
        if not len(bona) and not len(attack):
            continue
        curve = _curve(bona, attack) if len(bona) and len(attack) else "- | - | -"
        lines.append(f"| {source} | {_rate(attack >= threshold)} | {_rate(bona < threshold)} | {curve} |")
    lines.append("")
    for name in sorted(SPECIES):
        attack = probability[data.species == name]
        if len(attack):
            lines.append(f"APCER, species {name}: {_rate(attack >= threshold)}  ")
    camera = np.isin(data.source, LABELLED)
    lines.append(f"BPCER, camera sources: {_rate(probability[camera & data.live] < threshold)}  ")
    lines.append(f"BPCER, web portraits: {_rate(probability[~camera] < threshold)}  ")
    ece = expected_calibration_error(probability[camera], data.live[camera].astype(float))
    lines.append(f"Expected calibration error, camera sources, 10 bins: {ece:.3f} (n={camera.sum()})")
    return "\n".join(lines)


def operating_points(data: ValidationSet, probability: np.ndarray) -> str:
    """Markdown: APCER and BPCER over the camera sources at several thresholds."""
    camera = np.isin(data.source, LABELLED)
    lines = ["| threshold | APCER | BPCER, camera sources | BPCER, web portraits |", "|---|---|---|---|"]
    for threshold in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        attack = probability[~data.live] >= threshold
        refused = probability < threshold
        lines.append(f"| {threshold} | {_rate(attack)} | {_rate(refused[camera & data.live])} | {_rate(refused[~camera])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--models", default=str(Path(__file__).parents[2]), help="folder with manifest.json")
    parser.add_argument("--split", default="val")
    args = parser.parse_args()
    models = Path(args.models)
    manifest = json.loads((models / "manifest.json").read_text())
    data = ValidationSet(args.data, manifest["spoof"]["networks"], args.split)
    probability = 1 / (1 + np.exp(-onnx_logits(data, models, manifest)))
    print(table(data, probability, manifest["spoof"]["threshold"]), end="\n\n")
    print(operating_points(data, probability))


if __name__ == "__main__":
    main()
