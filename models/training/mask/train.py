"""Train the mask classifier.

    python -m training.mask.train --data ../../shared/data
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from .. import augment
from ..dataset import load
from ..detector.predict import Predictor
from ..detector.scenes import MIRROR
from ..export import MODELS
from ..geometry import MASK_SIZE, MASK_TEMPLATE, similarity
from ..loop import Plan, train
from . import paint
from .faces import Clip, load_clips
from .network import MaskClassifier

RUNS = Path(__file__).resolve().parent.parent / "runs" / "mask"
# Draws per source within its class; sources not named share what their number says.
MASKED = {"news": 0.33, "web-mixed": 0.22, "street": 0.16, "stock": 0.1, "mixed-crops": 0.08}
BARE = {"news": 0.16, "web-mixed": 0.16, "beards": 0.09, "ages": 0.22}
PAINTED = 0.14  # of the masked ones are painted onto bare faces


class FaceMaker:
    """Draws training faces; the same generator state gives the same face."""

    def __init__(self, clips: list[Clip]) -> None:
        self.clips = clips
        self.bare, self.bare_chances = self._weigh(False, BARE)
        self.masked, self.masked_chances = self._weigh(True, MASKED)

    def _weigh(self, masked: bool, shares: dict[str, float]) -> tuple[list[list[int]], np.ndarray]:
        groups: dict[str, list[int]] = {}
        for i, clip in enumerate(self.clips):
            if clip.masked == masked:
                groups.setdefault(clip.source, []).append(i)
        rest = {k: len(v) ** 0.5 for k, v in groups.items() if k not in shares}
        spare = (1 - sum(shares.values())) / max(sum(rest.values()), 1e-9)
        chances = np.array([shares.get(k) or rest[k] * spare for k in groups])
        return list(groups.values()), chances / chances.sum()

    def _pick(self, masked: bool, rng: np.random.Generator) -> Clip:
        groups, chances = (self.masked, self.masked_chances) if masked else (self.bare, self.bare_chances)
        group = groups[rng.choice(len(groups), p=chances)]
        return self.clips[group[rng.integers(len(group))]]

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, float]:
        masked = rng.random() < 0.5
        painted = masked and rng.random() < PAINTED
        clip = self._pick(masked and not painted, rng)
        image, points = clip.image, clip.points[rng.integers(len(clip.points))]
        if painted:
            image = paint.worn_mask(image, clip.points[0], rng)
        elif not masked and rng.random() < 0.1:
            image = paint.chin_mask(image, clip.points[0], rng)
        if rng.random() < 0.15:
            image = paint.occlude(image, clip.points[0], rng)
        if rng.random() < 0.3:
            image = _trim(image, clip.points[0], rng)
        image = self._align(image, points, rng)
        return augment.camera(image, rng, 0.8), float(masked)

    @staticmethod
    def _align(image: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """As the library aligns, from landmarks that are a little wrong, at some resolution."""
        eyes = float(np.hypot(*(points[1] - points[0])))
        points = points + rng.normal(0, rng.uniform(0, 0.06) * eyes, (5, 2)).astype(np.float32)
        if rng.random() < 0.5:
            image, points = image[:, ::-1], points[MIRROR].copy()
            points[:, 0] = image.shape[1] - 1 - points[:, 0]
        if rng.random() < 0.35:
            factor = rng.uniform(0.2, 0.8)
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            points = (points + 0.5) * factor - 0.5
        matrix = similarity(points, MASK_TEMPLATE)
        turn = cv2.getRotationMatrix2D((48, 46), rng.normal(0, 4), float(np.exp(rng.normal(0, 0.06))))
        turn[:, 2] += rng.normal(0, 1.5, 2)
        matrix = turn[:, :2] @ np.hstack([matrix[:, :2], matrix[:, 2:]]) + [[0, 0, turn[0, 2]], [0, 0, turn[1, 2]]]
        return cv2.warpAffine(
            np.ascontiguousarray(image), matrix, (MASK_SIZE, MASK_SIZE),
            flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )


def _trim(image: np.ndarray, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """End the image close to the face and repeat its border, as with a photograph cut that close.

    Most images cut so close are bare: without this the stripes of the border would mean bare.
    """
    span = float(np.hypot(*(points[1] - points[0])))
    x0, y0 = (points.min(0) - span * rng.uniform((0.3, 0.6), (1.0, 1.3))).astype(int)
    x1, y1 = (points.max(0) + span * rng.uniform((0.3, 0.4), (1.0, 1.1))).astype(int)
    h, w = image.shape[:2]
    x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
    return cv2.copyMakeBorder(image[y0:y1, x0:x1], y0, h - y1, x0, w - x1, cv2.BORDER_REPLICATE)


def make_batch(maker: FaceMaker, seed: int, count: int, step: int) -> tuple[torch.Tensor, torch.Tensor]:
    faces = [maker.draw(np.random.default_rng((seed, step, i))) for i in range(count)]
    images = np.stack([image for image, _ in faces])
    return torch.from_numpy(images), torch.tensor([[label] for _, label in faces])


def loss_of(network: MaskClassifier, batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
    images, truth = batch
    x = images.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    # A few labels are wrong and the answer is to stay calibrated: no certainty beyond 98 %.
    return {"mask": F.binary_cross_entropy_with_logits(network(x), truth * 0.96 + 0.02)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--models", type=Path, default=MODELS, help="folder with a trained detector.onnx")
    parser.add_argument("--checkpoint", type=Path, default=RUNS / "last.pt")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="of the network; two more load data")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    detect = Predictor.shipped(args.models, threshold=0.35)
    clips = load_clips(args.data, load(args.data, split="train"), detect)
    masked = sum(c.masked for c in clips)
    print(f"{masked} masked and {len(clips) - masked} bare faces in memory", flush=True)
    maker = FaceMaker(clips)
    train(
        MaskClassifier(),
        Plan(steps=args.steps, rate=args.rate),
        lambda step: make_batch(maker, args.seed, args.batch, step),
        loss_of,
        args.checkpoint,
    )


if __name__ == "__main__":
    main()
