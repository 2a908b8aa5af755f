"""Exports liveness networks and fits how their logits become one probability.

    python -m training.spoof.fuse --data DIR --checkpoint training/runs/spoof/blocks-111.pt \
        --wide OTHER/blocks-111.pt

The networks `tight` and `context` come from one checkpoint; `wide` is the context network of another run, so that it
errs on other images. What is not named stays as it is in the folder. After look k of manifest.json,
P(bona fide) = sigmoid(sum of weight_k * z + bias_k) over the networks that have seen something, with z the mean of a
network's live logits so far. Weights and biases are fitted on the val split by logistic regression (Platt scaling with
several inputs) in which every source counts alike, so that a large or an easy source does not set the threshold for
the others, and attacks as much as bona fide presentations.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import nn

from ..export import MODELS, export_spoof, read_manifest, write_manifest
from .evaluate import ValidationSet, judged, live_logits, means_so_far, onnx_logits, sigmoid
from .metrics import apcer_at_bpcer, auc, expected_calibration_error
from .train import load_average

# Weight of a whole cell of source and class. NUAA is solved at once and says little; web portraits
# are bona fide by assumption only, but stand for cameras and people that no labelled source has.
NUAA_WEIGHT, WEB_WEIGHT = 0.3, 0.15
# Share of attacks that the probability assumes: nobody knows that of a service. The operating points
# of MODEL_CARD.md are for those who know theirs.
ATTACK_SHARE = 0.5
# Strength of the pull towards equal weights: two logits of one face are strongly correlated.
EQUALITY = 0.02


def sample_weights(data: ValidationSet, counted: np.ndarray | bool = True) -> np.ndarray:
    """Weights per image: each source and class together counts as stated above, of the images that are ``counted``."""
    weights = np.zeros(len(data.records))
    for source in np.unique(data.source):
        for live in (False, True):
            part = data.part(source, live) & counted
            if part.any():
                cell = NUAA_WEIGHT if source == "nuaa" else 1.0 if data.labelled[part].all() else WEB_WEIGHT
                weights[part] = cell / part.sum()
    for live, share in ((False, ATTACK_SHARE), (True, 1 - ATTACK_SHARE)):
        whole = weights[data.live == live].sum()
        if not whole:
            raise ValueError(f"no {'bona fide presentation' if live else 'attack'} to fit the fusion on")
        weights[data.live == live] *= share / whole
    return weights


def fit(logits: np.ndarray, live: np.ndarray, weights: np.ndarray, steps: int = 20_000) -> tuple[np.ndarray, float]:
    """Positive weights (one per column of ``logits``) and a bias, by gradient descent."""
    log_w, bias = np.zeros(logits.shape[1]), 0.0
    for _ in range(steps):
        w = np.exp(log_w)
        error = weights * (1 / (1 + np.exp(-(logits @ w + bias))) - live)
        log_w -= 0.1 * (w * (logits.T @ error) + EQUALITY * (log_w - log_w.mean()))
        bias -= 0.1 * error.sum()
    return np.exp(log_w), float(bias)


def fit_looks(spoof: dict, logits: dict[str, np.ndarray], live: np.ndarray, weights: np.ndarray) -> None:
    """Sets the weights and biases of a manifest's `spoof` from live logits, images x views, of its networks."""
    means = np.stack([means_so_far(logits[n["name"]], n["views"]) for n in spoof["networks"]])
    for network in spoof["networks"]:
        network["weights"] = [0.0] * len(spoof["looks"])
    for at, look in enumerate(spoof["looks"]):
        seen = [n for n, network in enumerate(spoof["networks"]) if any(network["views"][: at + 1])]
        factors, bias = fit(means[seen, :, at].T, live.astype(float), weights)
        look["bias"] = round(bias, 4)
        for n, factor in zip(seen, factors, strict=True):
            spoof["networks"][n]["weights"][at] = round(float(factor), 4)


def of_unseen_groups(spoof: dict, logits: dict[str, np.ndarray], data: ValidationSet) -> np.ndarray:
    """Fused logits of labelled images, each by weights fitted without its group; NaN for the others, and for a group
    without which a class is missing: nothing can be fitted then."""
    found = np.full(len(data.live), np.nan)
    for group in np.unique(data.group[data.labelled]):
        own = data.group == group
        if len(np.unique(data.live[~own])) < 2:
            continue
        trial = copy.deepcopy(spoof)
        fit_looks(trial, logits, data.live, sample_weights(data, ~own))
        found[own] = judged(logits, trial["networks"], trial["looks"])[0][own]
    return found


def summary(logits: np.ndarray, live: np.ndarray) -> str:
    """What the fused logits of these images are worth."""
    if np.isnan(logits).any():  # it would count as right, in either class
        raise ValueError(f"{np.isnan(logits).sum()} of {len(logits)} images have no fused logit")
    bona, attack = logits[live], logits[~live]
    rates = {
        "AUC": f"{auc(bona, attack):.3f}",
        "BPCER": f"{(bona < 0).mean():.1%}",
        "APCER": f"{(attack >= 0).mean():.1%}",
        "APCER at BPCER 5 %": f"{apcer_at_bpcer(bona, attack, 0.05):.1%}",
        "calibration error": f"{expected_calibration_error(sigmoid(logits), live.astype(float)):.3f}",
    }
    return ", ".join(f"{name} {value}" for name, value in rates.items())


def trained(checkpoint: Path | None, wide: Path | None) -> dict[str, nn.Module]:
    """The networks of these checkpoints, by their names in the manifest."""
    nets = dict(load_average(checkpoint)) if checkpoint else {}
    return nets | ({"wide": load_average(wide)["context"]} if wide else {})


def main(argv: Sequence[str] | None = None) -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.spoof.fuse", description=__doc__, formatter_class=layout)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--checkpoint", type=Path, help="of the networks tight and context")
    parser.add_argument("--wide", type=Path, help="checkpoint whose context network becomes wide")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder with manifest.json")
    args = parser.parse_args(argv)
    manifest = read_manifest(args.out)
    spoof = manifest["spoof"]
    files = {n["name"]: args.out / n["file"] for n in spoof["networks"]}
    for name, net in trained(args.checkpoint, args.wide).items():
        export_spoof(net, files[name])
    data = ValidationSet(args.data, spoof["networks"])
    logits = {name: live_logits(data.crops[name], onnx_logits(file)) for name, file in files.items()}
    fit_looks(spoof, logits, data.live, sample_weights(data))
    write_manifest(manifest, args.out)
    for at, look in enumerate(spoof["looks"]):
        weights = {n["name"]: n["weights"][at] for n in spoof["networks"]}
        print(f"look {at + 1}: weights {weights}, bias {look['bias']}")
    known, live = data.labelled, data.live[data.labelled]
    print(f"from {len(known)} images ({(~known).sum()} web portraits); of the {known.sum()} others:")
    fused = judged(logits, spoof["networks"], spoof["looks"])[0]
    print(f"as fitted: {summary(fused[known], live)}")
    unseen = of_unseen_groups(spoof, logits, data)[known]
    impossible = np.isnan(unseen).any()
    worth = "unknown, as one group has every image of a class" if impossible else summary(unseen, live)
    print(f"by fits without their group: {worth}")


if __name__ == "__main__":
    main()
