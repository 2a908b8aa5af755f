"""What becomes of images that those who send them get wrong: ``python -m training.evaluation.mistakes``.

    python -m training.evaluation.mistakes --data ../../shared/data --out report --library ../target/release/libliveness.so

The built library on every image as it is, on its side, upside down, mirrored, in grey, with red and blue exchanged,
as YUV of another range, with a wrong white balance and between black bars. Stated is what is called live of the images that get a verdict, and how many get none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ..export import MODELS
from .presentations import Presentation, load, locate, read
from .rates import Rate, percent, table, write_block
from .scorers import Library, Outcome

BAR = 0.15  # of the height, above and below


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _video_range(image: np.ndarray) -> np.ndarray:
    """YUV with luma of 16 to 235 and chroma of 16 to 240, read as one of 0 to 255."""
    yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    scaled = np.float32([16, 128, 128]) + (yuv - np.float32([0, 128, 128])) * np.float32([219, 224, 224]) / 255
    return cv2.cvtColor(scaled.round().clip(0, 255).astype(np.uint8), cv2.COLOR_YCrCb2RGB)


def _tinted(*gains: float) -> Callable[[np.ndarray], np.ndarray]:
    """Red, green and blue as many times as light, as stored."""
    return lambda image: (image * np.float32(gains)).round().clip(0, 255).astype(np.uint8)


def _between_bars(image: np.ndarray) -> np.ndarray:
    bar = round(BAR * image.shape[0])
    return cv2.copyMakeBorder(image, bar, bar, 0, 0, cv2.BORDER_CONSTANT, value=(0, 0, 0))


MISTAKES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda image: image,
    "turned by 90 degrees": lambda image: np.rot90(image, -1),
    "turned by 180 degrees": lambda image: np.rot90(image, 2),
    "turned by 270 degrees": lambda image: np.rot90(image, 1),
    "mirrored": lambda image: image[:, ::-1],
    "grey": _grey,
    "red and blue exchanged": lambda image: image[..., ::-1],
    "YUV of video range, read as of full range": _video_range,
    "warm: red x 1.1, blue x 0.8": _tinted(1.1, 1, 0.8),
    "cold: red x 0.85, blue x 1.1": _tinted(0.85, 1, 1.1),
    "black bars above and below": _between_bars,
}
CLASSES: dict[str, Callable[[Presentation], bool]] = {
    "bona fide, sources with labels": lambda p: p.species == "live" and not p.assumed,
    "web portraits": lambda p: p.assumed,
    "attacks": lambda p: p.species != "live",
}


@dataclass(frozen=True)
class Consequence:
    """Of one mistake for one class of images."""

    mistake: str
    images: str
    live: Rate  # of those with a verdict
    no_verdict: Rate


def consequence(mistake: str, images: str, outcomes: Sequence[Outcome], threshold: float) -> Consequence:
    answers = [o.probability for o in outcomes]
    live = Rate.of([a >= threshold for a in answers if a is not None])
    return Consequence(mistake, images, live, Rate.of([a is None for a in answers]))


def consequences(presentations: Sequence[Presentation], library: Library) -> list[Consequence]:
    """By mistake, then by class; what cannot be read is left out."""
    answers: dict[tuple[str, str], list[Outcome]] = {(m, c): [] for m in MISTAKES for c in CLASSES}
    for p in presentations:
        try:
            image = read(p)
        except ValueError:
            continue
        (images,) = (name for name, belongs in CLASSES.items() if belongs(p))
        outcomes = library.check([np.ascontiguousarray(apply(image)) for apply in MISTAKES.values()])
        for mistake, outcome in zip(MISTAKES, outcomes, strict=True):
            answers[mistake, images].append(outcome)
    return [consequence(m, c, outcomes, library.threshold) for (m, c), outcomes in answers.items()]


def rows(found: Sequence[Consequence]) -> str:
    header = ["mistake", *(f"{name}: called live" for name in CLASSES), *(f"{name}: no verdict" for name in CLASSES)]
    lines = []
    for mistake in MISTAKES:
        row = [c for c in found if c.mistake == mistake]
        lost = [f"{percent(c.no_verdict.value)} (n={c.no_verdict.count})" for c in row]
        lines.append([mistake, *(str(c.live) for c in row), *lost])
    return table(header, lines)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.mistakes", description=__doc__, formatter_class=layout)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--library", type=Path, required=True, help="libliveness.so, built")
    parser.add_argument("--split", default="val", choices=("train", "val", "all"))
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    presentations = locate(load(args.data, args.split), args.models)
    found = consequences(presentations, Library(args.library, args.models, args.workers))
    write_block(args.out, "mistakes", rows(found))
    (args.out / "mistakes.json").write_text(json.dumps([asdict(c) for c in found], indent=1) + "\n", "utf-8")
    print(rows(found))


if __name__ == "__main__":
    main()
