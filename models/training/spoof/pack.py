"""A small copy of what training reads, to take to another machine: ``python -m training.spoof.pack``.

Keeps the images of the train split that ``clips.real_sources``, ``clips.unlabelled_sources`` and
``training.spoof.render`` use, cut to the surroundings that they look at, a face each and none higher than ``--side``, as
WebP; and a labels.csv with the boxes moved accordingly. About half the size of the original files. Training shows some
faces larger than that, up to 240 px high: they lose a little detail.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from .. import dataset
from .clips import UNLABELLED, taught_faces, wide_clip

COLUMNS = (
    "path", "kind", "source", "label", "group", "split", "framing", "width", "height", "n_faces", "faces", "boxes", "ref_live",
)  # fmt: skip


def _reduced(image: np.ndarray, face: dataset.Face, side: float) -> tuple[np.ndarray, list[dict]]:
    """The clip around the face, which is at most ``side`` px high, and the face in it."""
    clip, box = wide_clip(image, face.box)
    points = face.points + (box[:2] - face.box[:2])
    factor = min(1.0, side / face.size)
    size = (max(1, round(clip.shape[1] * factor)), max(1, round(clip.shape[0] * factor)))
    ratio = np.float32([size[0] / clip.shape[1], size[1] / clip.shape[0]])
    if factor < 1:
        clip = cv2.resize(clip, size, interpolation=cv2.INTER_AREA)
    box, points = box * np.tile(ratio, 2), points * ratio
    found = {"box": [round(float(v), 1) for v in box], "score": face.score}
    return clip, [found | {"points": [round(float(v), 1) for v in points.flatten()]}]


def _pictures(root: Path, record: dataset.Record, side: float) -> Iterator[tuple[np.ndarray, list[dict]]]:
    """What is kept of an image: itself where it is a background, else a clip of each face that training shows."""
    if record.kind == "none" and record.n_faces == 0 and record.source != "hair":
        yield dataset.read_image(root / record.path), []
    elif faces := taught_faces(record):
        image = dataset.read_image(root / record.path)
        yield from (_reduced(image, face, side) for face in faces)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--side", type=float, default=180, help="largest height of a face, in pixels")
    parser.add_argument("--quality", type=int, default=90, help="of WebP")
    parser.add_argument("--unlabelled", action="store_true", help="faces that only teachers can say something about too")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    total = 0
    with open(args.out / "labels.csv", "w", newline="", encoding="utf-8") as handle:
        rows = csv.DictWriter(handle, COLUMNS)
        rows.writeheader()
        records = [r for r in dataset.load(args.data, split="train") if args.unlabelled or r.source not in UNLABELLED]
        pictures = ((record, *kept) for record in records for kept in _pictures(args.data, record, args.side))
        for number, (record, image, faces) in enumerate(pictures):
            _, file = cv2.imencode(".webp", image[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, args.quality])
            path = f"{number}.webp"
            (args.out / path).write_bytes(file)
            total += len(file)
            row = {name: getattr(record, name) for name in COLUMNS if name not in ("faces", "boxes")}
            row |= {"path": path, "height": image.shape[0], "width": image.shape[1], "faces": json.dumps(faces)}
            rows.writerow(row | {"ref_live": record.ref_live or ""})
    print(f"{number + 1} images, {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
