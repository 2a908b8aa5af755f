"""Exports both networks and fits how their logits become one probability.

    python -m training.spoof.fuse --data DIR --checkpoint training/runs/spoof/blocks-111.pt

P(bona fide) = sigmoid(weight_tight * z_tight + weight_context * z_context + bias) is fitted on the
val split by logistic regression (Platt scaling with two inputs) in which every source counts alike,
so that a large or an easy source does not set the threshold for the others, and attacks as much as
bona fide presentations.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ..export import MODELS, export_spoof, read_manifest, write_manifest
from .clips import BONA_FIDE_WEB
from .evaluate import LABELLED, ValidationSet, torch_logits
from .train import RUNS, load_average

# Weight of a whole cell of source and class. NUAA is solved at once and says little; web portraits
# are bona fide by assumption only, but stand for cameras and people that no labelled source has.
NUAA_WEIGHT, WEB_WEIGHT = 0.3, 0.15
# Share of attacks that the probability assumes: nobody knows that of a service. The operating points
# of MODEL_CARD.md are for those who know theirs.
ATTACK_SHARE = 0.5
# Strength of the pull towards equal weights: two logits of one face are strongly correlated.
EQUALITY = 0.02


def sample_weights(data: ValidationSet) -> np.ndarray:
    """Weights per image: each source and class together counts as stated above."""
    weights = np.zeros(len(data.records))
    for source in np.unique(data.source):
        for live in (False, True):
            part = data.part(source, live)
            if part.any():
                cell = NUAA_WEIGHT if source == "nuaa" else 1.0 if source in LABELLED else WEB_WEIGHT
                weights[part] = cell / part.sum()
    for live, share in ((False, ATTACK_SHARE), (True, 1 - ATTACK_SHARE)):
        weights[data.live == live] *= share / weights[data.live == live].sum()
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--checkpoint", type=Path, default=RUNS / "blocks-111.pt")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder with manifest.json")
    args = parser.parse_args()
    nets, manifest = load_average(args.checkpoint), read_manifest(args.out)
    networks = manifest["spoof"]["networks"]
    data = ValidationSet(args.data, networks)
    logits = torch_logits(data, nets)
    columns = np.stack([logits[n["name"]] for n in networks], 1)
    weights, bias = fit(columns, data.live.astype(float), sample_weights(data))
    for network, weight in zip(networks, weights):
        export_spoof(nets[network["name"]], args.out / network["file"])
        network["weight"] = round(float(weight), 4)
    manifest["spoof"]["bias"] = round(bias, 4)
    write_manifest(manifest, args.out)
    web = np.isin(data.source, BONA_FIDE_WEB)
    print(f"weights {weights.round(4)}, bias {bias:.4f}, from {len(web)} images ({web.sum()} web portraits)")


if __name__ == "__main__":
    main()
