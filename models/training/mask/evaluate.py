"""Figures of the mask classifier on the val split, with the detector's own landmarks.

    python -m training.mask.evaluate --data ../../shared/data
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ..dataset import load, read_image
from ..detector.predict import Predictor
from ..export import MODELS, read_manifest
from ..geometry import align
from .faces import Known, known_faces, match
from .predict import MaskPredictor

DRAWN_SIDE = 40  # px: hand-drawn boxes smaller than this are not judged
SKIN = {"0": "white", "1": "Black", "2": "East Asian", "3": "South Asian", "4": "other"}


@dataclass(frozen=True)
class Judged:
    known: Known
    points: np.ndarray
    probability: float
    detected: bool


def judge(root: Path, records: list, detect: Predictor, classify: MaskPredictor) -> list[Judged]:
    """Every known face; where the detector misses one, the reference landmarks stand in."""
    out = []
    for record in records:
        faces = known_faces(record)
        faces = [f for f in faces if f.drawn_side == 0 or f.drawn_side >= DRAWN_SIDE]
        if not faces:
            continue
        image = read_image(root / record.path)
        found = detect(image)
        for face in faces:
            points = match(face.box, found)
            used = face.points if points is None else points
            out.append(Judged(face, used, classify(image, used), points is not None))
    return out


def share(rows: list[Judged], threshold: float, masked: bool) -> str:
    """Share called masked (or not), with the number of faces."""
    if not rows:
        return "     - of 0"
    hits = [(r.probability >= threshold) == masked for r in rows]
    return f"{100 * np.mean(hits):6.2f} % of {len(rows)}"


def balanced(rows: list[Judged], threshold: float) -> float:
    masked = [r.probability >= threshold for r in rows if r.known.cls == "mask"]
    bare = [r.probability < threshold for r in rows if r.known.cls == "no_mask"]
    return float((np.mean(masked) + np.mean(bare)) / 2)


def report(rows: list[Judged], threshold: float) -> None:
    drawn = [r for r in rows if r.known.drawn_side > 0]
    of = lambda cls, part: [r for r in part if r.known.cls == cls]
    print(f"hand-drawn boxes of {DRAWN_SIDE} px and more")
    print(f"  masked called masked            {share(of('mask', drawn), threshold, True)}")
    print(f"  bare called bare                {share(of('no_mask', drawn), threshold, False)}")
    print(f"  balanced accuracy               {100 * balanced(drawn, threshold):6.2f} %")
    print(f"  worn wrongly called masked      {share(of('mask_worn_wrongly', drawn), threshold, True)}")
    print(f"  landmarks from the detector     {100 * np.mean([r.detected for r in drawn]):6.2f} %")
    print("by source, called masked")
    for source in sorted({r.known.record.source for r in rows}):
        part = [r for r in rows if r.known.record.source == source]
        for cls in sorted({r.known.cls for r in part}):
            print(f"  {source:16s} {cls:18s}{share(of(cls, part), threshold, True)}")
    print("ages by group, called masked")
    for digit, name in SKIN.items():
        part = [r for r in rows if r.known.record.source == "ages"]
        part = [r for r in part if Path(r.known.record.path).name.startswith(digit)]
        print(f"  {name:34s}{share(part, threshold, True)}")
    print("threshold  balanced   masked found   bare found (hand-drawn)")
    for value in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        parts = share(of("mask", drawn), value, True), share(of("no_mask", drawn), value, False)
        print(f"{value:8.2f} {100 * balanced(drawn, value):9.2f}   {parts[0]}   {parts[1]}")


def montage(rows: list[Judged], root: Path, threshold: float, path: Path, limit: int = 96) -> None:
    """The errors, as the network sees them; red on top where the truth is masked."""
    tiles = []
    for r in sorted(rows, key=lambda r: -abs(r.probability - threshold)):
        if r.known.cls == "mask_worn_wrongly" or (r.probability >= threshold) == (r.known.cls == "mask"):
            continue
        tile = align(read_image(root / r.known.record.path), r.points).copy()
        tile[:4] = (255, 0, 0) if r.known.cls == "mask" else (0, 255, 0)
        tiles.append(tile)
    print(f"{len(tiles)} errors")
    tiles = tiles[:limit] + [np.zeros((96, 96, 3), np.uint8)] * (-len(tiles[:limit]) % 12)
    lines = [np.hstack(tiles[i : i + 12]) for i in range(0, len(tiles), 12)]
    if lines:
        cv2.imwrite(str(path), np.vstack(lines)[:, :, ::-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--split", default="val")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--montage", type=Path, help="write the errors to this PNG file")
    args = parser.parse_args()
    manifest = read_manifest(args.models)
    chosen = manifest["detector"]
    detect = Predictor(
        args.models / chosen["file"], chosen["long_side"], chosen["score_threshold"], chosen["nms_iou"]
    )
    classify = MaskPredictor(args.models / manifest["mask"]["file"])
    rows = judge(args.data, load(args.data, split=args.split), detect, classify)
    threshold = manifest["mask"]["threshold"]
    print(f"{len(rows)} faces, threshold {threshold}")
    report(rows, threshold)
    if args.montage:
        montage(rows, args.data, threshold, args.montage)


if __name__ == "__main__":
    main()
