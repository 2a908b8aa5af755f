"""Figures of the detector on the val split.

    python -m training.detector.evaluate --data ../../shared/data
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from ..dataset import Record, load, read_image
from ..export import MODELS, read_manifest
from .labels import corners, iou
from .predict import Found, Predictor, count

LOWEST = 0.2  # the sweep over thresholds starts here
SIZES = ((0.08, 0.15), (0.15, 0.3), (0.3, 0.6), (0.6, 1.0), (1.0, 9.0))


def reference_faces(record: Record) -> list[np.ndarray]:
    """Boxes that count for recall: score >= 0.8 and height >= 8 % of the long side."""
    side = max(record.width, record.height)
    sure = [f for f in record.faces if f.score >= 0.8 and f.box[3] >= 0.08 * side]
    return [corners(f.box) for f in sure]


def unambiguous(record: Record) -> bool:
    """Exactly one reference face, and no doubtful one that would matter beside it."""
    if record.kind == "none" or len(record.faces) == 0:
        return False
    tallest = max(record.faces, key=lambda f: f.box[3])
    others = [f for f in record.faces if f is not tallest and f.box[3] >= 0.2 * tallest.box[3]]
    # A face drawn by hand that the reference detector missed makes the count doubtful as well.
    drawn = [b for b in record.boxes if b.box[3] >= 0.2 * tallest.box[3]]
    return tallest.score >= 0.8 and not others and len(drawn) <= 1


def pairs(reference: list[np.ndarray], faces: list[Found]) -> list[bool]:
    """Which reference boxes have a found box at IoU >= 0.5."""
    if not reference:
        return []
    if not faces:
        return [False] * len(reference)
    return list(iou(np.stack(reference), np.stack([f.box for f in faces])).max(1) >= 0.5)


def rate(hits: list[bool]) -> str:
    return f"{100 * np.mean(hits):6.2f} % of {len(hits)}" if hits else "     - of 0"


class Results:
    """Everything found at a low threshold, so that any threshold can be judged afterwards."""

    def __init__(self, root: Path, records: list[Record], predictor: Predictor) -> None:
        self.records = records
        self.found = [predictor(read_image(root / r.path)) for r in records]

    def at(self, threshold: float) -> list[tuple[Record, list[Found]]]:
        # Greedy suppression keeps the best first: cutting its result at a threshold is the same
        # as running it at that threshold.
        kept = [[f for f in found if f.score >= threshold] for found in self.found]
        return list(zip(self.records, kept, strict=True))


def recall(rows: list[tuple[Record, list[Found]]]) -> list[bool]:
    return [hit for r, found in rows if r.kind != "none" for hit in pairs(reference_faces(r), found)]


def false_faces(rows: list[tuple[Record, list[Found]]]) -> tuple[int, int, int]:
    """Faces found, images with any, and images, where there is no face (none/*, n_faces 0)."""
    empty = [found for r, found in rows if r.kind == "none" and r.n_faces == 0]
    return sum(map(len, empty)), sum(map(bool, empty)), len(empty)


def exactly_one(rows: list[tuple[Record, list[Found]]]) -> list[bool]:
    return [count(found) == 1 for r, found in rows if unambiguous(r)]


def by_size(rows: list[tuple[Record, list[Found]]]) -> dict[str, list[bool]]:
    out: dict[str, list[bool]] = {}
    for low, high in SIZES:
        hits = []
        for r, found in rows:
            if r.kind == "none":
                continue
            reference = reference_faces(r)
            for box, hit in zip(reference, pairs(reference, found), strict=True):
                if low <= (box[3] - box[1]) / max(r.width, r.height) < high:
                    hits.append(hit)
        out[f"{low:.2f} to {high:.2f}"] = hits
    return out


def confusion(rows: list[tuple[Record, list[Found]]]) -> np.ndarray:
    """Images by true (0: empty, 1: unambiguous) and counted (0, 1, 2 or more) faces."""
    table = np.zeros((2, 3), int)
    for r, found in rows:
        if r.kind == "none" and r.n_faces == 0:
            table[0, min(count(found), 2)] += 1
        elif unambiguous(r):
            table[1, min(count(found), 2)] += 1
    return table


def report(rows: list[tuple[Record, list[Found]]]) -> None:
    print(f"recall at IoU 0.5, all            {rate(recall(rows))}")
    for source in sorted({(r.kind, r.source) for r in (x[0] for x in rows) if r.kind != "none"}):
        part = [x for x in rows if (x[0].kind, x[0].source) == source]
        print(f"  {'/'.join(source):31s} {rate(recall(part))}    exactly one {rate(exactly_one(part))}")
    print("recall by height / long side")
    for name, hits in by_size(rows).items():
        print(f"  {name:31s} {rate(hits)}")
    faces, images, total = false_faces(rows)
    print(f"false faces on none/* without faces {faces} on {images} of {total} images", end="")
    print(f", {100 * faces / max(total, 1):.2f} per 100")
    print(f"one reference face, one counted   {rate(exactly_one(rows))}")
    table = confusion(rows)
    print("counted            0     1    2+")
    for name, line in zip(("no face", "one face"), table, strict=True):
        print(f"  {name:12s}" + "".join(f"{v:6d}" for v in line))


def sweep(results: Results) -> None:
    print("threshold  recall   exactly one   false faces per 100")
    for threshold in np.arange(0.25, 0.8, 0.05):
        rows = results.at(float(threshold))
        faces, _, total = false_faces(rows)
        one, found = np.mean(exactly_one(rows)), np.mean(recall(rows))
        print(f"{threshold:8.2f} {100 * found:8.2f} {100 * one:11.2f} {100 * faces / max(total, 1):14.2f}")


def montage(rows: list[tuple[Record, list[Found]]], root: Path, path: Path, limit: int = 48) -> None:
    """The worst: false faces, missed faces, wrong counts; red found, green reference."""
    tiles = []
    for r, found in rows:
        wrong = r.kind == "none" and r.n_faces == 0 and found
        missed = r.kind != "none" and not all(pairs(reference_faces(r), found))
        miscounted = unambiguous(r) and count(found) != 1
        if wrong or missed or miscounted:
            image = np.ascontiguousarray(read_image(root / r.path))
            _outline(image, reference_faces(r), (0, 255, 0))
            _outline(image, [f.box for f in found], (255, 0, 0))
            factor = 200 / max(image.shape[:2])
            tile = np.zeros((200, 200, 3), np.uint8)
            small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            tile[: small.shape[0], : small.shape[1]] = small[:200, :200]
            tiles.append(tile)
    print(f"{len(tiles)} images with an error")
    step = max(1, len(tiles) // limit)
    tiles = tiles[::step][:limit]
    tiles += [np.zeros((200, 200, 3), np.uint8)] * (-len(tiles) % 8)
    lines = [np.hstack(tiles[i : i + 8]) for i in range(0, len(tiles), 8)]
    if lines:
        cv2.imwrite(str(path), np.vstack(lines)[:, :, ::-1])


def _outline(image: np.ndarray, boxes: list[np.ndarray], colour: tuple[int, int, int]) -> None:
    for box in boxes:
        low, high = (int(box[0]), int(box[1])), (int(box[2]), int(box[3]))
        cv2.rectangle(image, low, high, colour, max(1, max(image.shape) // 150))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--split", default="val")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--long-side", type=int, help="instead of the manifest's")
    parser.add_argument("--montage", type=Path, help="write the worst images to this PNG file")
    args = parser.parse_args()
    chosen = read_manifest(args.models)["detector"]
    side = args.long_side or chosen["long_side"]
    predictor = Predictor(args.models / chosen["file"], side, LOWEST, chosen["nms_iou"])
    results = Results(args.data, load(args.data, split=args.split), predictor)
    print(f"{len(results.records)} images, long side {side}, threshold {chosen['score_threshold']}")
    rows = results.at(chosen["score_threshold"])
    report(rows)
    sweep(results)
    if args.montage:
        montage(rows, args.data, args.montage)


if __name__ == "__main__":
    main()
