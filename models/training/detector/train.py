"""Train the detector.

    python -m training.detector.train --data ../../shared/data
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from ..dataset import load
from ..loop import Plan, train
from .loss import losses, target_map
from .network import Detector
from .scenes import SceneMaker, load_pictures

RUNS = Path(__file__).resolve().parent.parent / "runs" / "detector"


def scene_side(step: int, steps: int) -> int:
    """Small scenes for the first half: they cost two fifths and teach almost as much."""
    return 160 if step < steps // 2 else 256


def make_batch(
    maker: SceneMaker, seed: int, count: int, step: int, side: int
) -> tuple[torch.Tensor, torch.Tensor]:
    scenes = [maker.draw(np.random.default_rng((seed, step, i)), side) for i in range(count)]
    images = np.stack([s.canvas for s in scenes])
    return torch.from_numpy(images), torch.from_numpy(np.stack([target_map(s) for s in scenes]))


def loss_of(network: Detector, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
    images, target = batch
    x = images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    return losses(network.raw(x), target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--checkpoint", type=Path, default=RUNS / "last.pt")
    parser.add_argument("--steps", type=int, default=11700)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of the network; two more load data")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    pictures = load_pictures(args.data, load(args.data, split="train"))
    print(f"{len(pictures)} pictures in memory", flush=True)
    maker = SceneMaker(pictures)
    train(
        Detector(),
        Plan(steps=args.steps, rate=args.rate),
        lambda i: make_batch(maker, args.seed, args.batch, i, scene_side(i, args.steps)),
        loss_of,
        args.checkpoint,
    )


if __name__ == "__main__":
    main()
