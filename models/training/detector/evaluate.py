"""Figures of the detector: recall by source, size, pose, light and mask; counting; false faces.

    python -m training.detector.evaluate --data ../../shared/data --out report
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ..dataset import Face, Record, load, read_image
from ..evaluation.pose import pose
from ..evaluation.rates import Rate, percent, table, write_block
from ..export import MODELS, read_manifest
from ..mask.faces import known_faces
from .labels import DRAWN, corners, iou
from .predict import SECOND_FACE, Found, Predictor, count

LOWEST = 0.2  # the sweep over thresholds starts here
SIZES = ((0.08, 0.15), (0.15, 0.3), (0.3, 0.6), (0.6, 1.0), (1.0, 9.0))
ANGLES = ((0, 15), (15, 30), (30, 45), (45, 180))
LIGHT = ((0, 0.15), (0.15, 0.25), (0.25, 0.4), (0.4, 0.6), (0.6, 1.01))  # mean luma of the face


def sure_faces(record: Record) -> list[Face]:
    """Faces that count for recall: score >= 0.8 and height >= 8 % of the long side."""
    side = max(record.width, record.height)
    return [f for f in record.faces if f.score >= 0.8 and f.box[3] >= 0.08 * side]


def reference_faces(record: Record) -> list[np.ndarray]:
    """Their boxes."""
    return [corners(f.box) for f in sure_faces(record)]


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


@dataclass(frozen=True)
class Seen:
    """A reference face, how bright it is, and whether it was found."""

    record: Record
    face: Face
    luma: float  # 0..1
    found: bool

    @property
    def share(self) -> float:
        """Of the image's long side."""
        return float(self.face.box[3]) / max(self.record.width, self.record.height)


def mean_luma(image: np.ndarray, box: np.ndarray) -> float:
    """0..1, of the part of a box x0, y0, x1, y1 inside the image."""
    height, width = image.shape[:2]
    x0, y0 = int(np.clip(box[0], 0, width - 1)), int(np.clip(box[1], 0, height - 1))
    part = image[y0 : max(y0 + 1, int(box[3])), x0 : max(x0 + 1, int(box[2]))]
    return float((part.reshape(-1, 3) @ np.float32([0.299, 0.587, 0.114])).mean() / 255)


class Results:
    """Everything found at a low threshold, so that any threshold can be judged afterwards."""

    def __init__(self, root: Path, records: list[Record], predictor: Predictor) -> None:
        self.records, self.found, self.lumas = records, [], []
        for record in records:
            image = read_image(root / record.path)
            self.found.append(predictor(image))
            self.lumas.append([mean_luma(image, box) for box in reference_faces(record)])

    def at(self, threshold: float) -> list[tuple[Record, list[Found]]]:
        # Greedy suppression keeps the best first: cutting its result at a threshold is the same
        # as running it at that threshold.
        kept = [[f for f in found if f.score >= threshold] for found in self.found]
        return list(zip(self.records, kept, strict=True))

    def faces(self, threshold: float) -> list[Seen]:
        """Every reference face where a face can be expected."""
        out = []
        for (record, found), lumas in zip(self.at(threshold), self.lumas, strict=True):
            if record.kind == "none":
                continue
            hits = pairs(reference_faces(record), found)
            for face, luma, hit in zip(sure_faces(record), lumas, hits, strict=True):
                out.append(Seen(record, face, luma, bool(hit)))
        return out


def recall(rows: list[tuple[Record, list[Found]]]) -> list[bool]:
    return [hit for r, found in rows if r.kind != "none" for hit in pairs(reference_faces(r), found)]


def false_faces(rows: list[tuple[Record, list[Found]]]) -> tuple[int, int, int]:
    """Faces found, images said to show any, and images, where there is no face (none/*, n_faces 0)."""
    empty = [found for r, found in rows if r.kind == "none" and r.n_faces == 0]
    return sum(map(len, empty)), sum(count(found) > 0 for found in empty), len(empty)


def exactly_one(rows: list[tuple[Record, list[Found]]]) -> list[bool]:
    return [count(found) == 1 for r, found in rows if unambiguous(r)]


def _intervals(faces: list[Seen], value: Callable[[Seen], float], bounds: Sequence[tuple[float, float]]) -> dict[str, Rate]:
    parts = {f"{low:g} to {high:g}": [f.found for f in faces if low <= value(f) < high] for low, high in bounds}
    return {name: Rate.of(hits) for name, hits in parts.items() if hits}


def recall_by(faces: list[Seen]) -> dict[str, dict[str, Rate]]:
    """Recall by size, pose and light of the reference face."""
    posed = [(f, p) for f in faces if (p := pose(f.face.points)) is not None]
    out = {"height / long side": _intervals(faces, lambda f: f.share, SIZES)}
    for axis in ("yaw", "pitch", "roll"):
        angle = {id(f): abs(getattr(p, axis)) for f, p in posed}
        out[f"{axis}, degrees"] = _intervals([f for f, _ in posed], lambda f, angle=angle: angle[id(f)], ANGLES)
    out["mean luma of the face"] = _intervals(faces, lambda f: f.luma, LIGHT)
    return out


def recall_of_drawn(rows: list[tuple[Record, list[Found]]]) -> dict[str, Rate]:
    """Recall of hand-drawn boxes of at least 8 % of the long side, by what the face wears."""
    hits: dict[str, list[bool]] = {}
    for record, found in rows:
        if record.source not in DRAWN:
            continue
        for known in known_faces(record):
            if known.box[3] - known.box[1] >= 0.08 * max(record.width, record.height):
                # Hand-drawn boxes are looser than the reference's: 0.4 as when they are matched.
                overlap = iou(known.box[None], np.stack([f.box for f in found])).max() if found else 0.0
                hits.setdefault(f"{record.source}, {known.cls}", []).append(bool(overlap >= 0.4))
    return {name: Rate.of(h) for name, h in sorted(hits.items())}


def reference_count(record: Record) -> int | None:
    """Faces that matter by the library's rule, as the reference finds them; None where it is in doubt."""
    if not record.faces:
        return 0
    heights = [float(f.box[3]) for f in record.faces if f.score >= 0.8]
    tallest = max(heights, default=0.0)
    # A face at the limit of size, or one that is not sure, could count or not.
    doubtful = [f for f in record.faces if f.score < 0.8 and f.box[3] >= 0.2 * tallest]
    borderline = [h for h in heights if 0.2 * tallest <= h < 1.5 * SECOND_FACE * tallest and h != tallest]
    if doubtful or borderline or not heights:
        return None
    return sum(h >= SECOND_FACE * tallest for h in heights)


def confusion(rows: Iterable[tuple[Record, list[Found]]], truth: Callable[[Record], int | None]) -> np.ndarray:
    """Whole photographs by true and counted number of faces, 0, 1, 2 or more; where the truth is known.

    A sure face that is too small to be judged is one face here: the library refuses it, and still says that it is one.
    """
    matrix = np.zeros((3, 3), int)
    for record, found in rows:
        expected = truth(record)
        if record.framing == "frame" and expected is not None:
            matrix[min(expected, 2), min(count(found), 2)] += 1
    return matrix


def confusion_table(matrix: np.ndarray) -> str:
    names = ("0", "1", "2+")
    rows = []
    for index, (name, line) in enumerate(zip(names, matrix, strict=True)):
        right = Rate.of(np.arange(line.sum()) < line[index])
        rows.append([name, *map(str, line), str(right)])
    return table(["faces", *(f"counted {n}" for n in names), "right"], rows)


def source_table(rows: list[tuple[Record, list[Found]]]) -> str:
    lines = []
    for source in sorted({(r.kind, r.source) for r, _ in rows if r.kind != "none"}):
        part = [x for x in rows if (x[0].kind, x[0].source) == source]
        lines.append(["/".join(source), str(Rate.of(recall(part))), str(Rate.of(exactly_one(part)))])
    lines.append(["all", str(Rate.of(recall(rows))), str(Rate.of(exactly_one(rows)))])
    return table(["source", "recall at IoU 0.5", "exactly one said to be exactly one"], lines)


def empty_line(rows: list[tuple[Record, list[Found]]]) -> str:
    faces, images, total = false_faces(rows)
    clean = Rate.of([True] * (total - images) + [False] * images)
    return f"No face on images of none/* without one: {clean}; {faces} false faces, which count on {images} of the images."


def sweep(results: Results) -> str:
    lines = []
    for threshold in np.arange(0.25, 0.8, 0.05):
        rows = results.at(float(threshold))
        faces, _, total = false_faces(rows)
        shares = [percent(Rate.of(v).value) for v in (recall(rows), exactly_one(rows))]
        lines.append([f"{threshold:.2f}", *shares, f"{100 * faces / max(total, 1):.1f}"])
    return table(["threshold", "recall", "exactly one", "false faces per 100 images"], lines)


def report(results: Results, threshold: float) -> tuple[dict[str, str], dict]:
    """Tables by name as Markdown, and the same for JSON."""
    rows, faces = results.at(threshold), results.faces(threshold)
    by, drawn = recall_by(faces), recall_of_drawn(rows)
    counted, raw = confusion(rows, reference_count), confusion(rows, lambda r: r.n_faces)
    lines = [[what, name, str(value)] for what, parts in by.items() for name, value in parts.items()]
    lines += [["hand-drawn box", name, str(value)] for name, value in drawn.items()]
    tables = {
        "by source": f"{source_table(rows)}\n\n{empty_line(rows)}",
        "recall by size, pose, light and mask": table(["of the face", "range", "recall"], lines),
        "faces counted on whole photographs, reference unambiguous": confusion_table(counted),
        "the same against n_faces, passers-by and doubtful faces included": confusion_table(raw),
        "thresholds": sweep(results),
    }
    data = {
        "recall": asdict(Rate.of(recall(rows))),
        "exactly_one": asdict(Rate.of(exactly_one(rows))),
        "false_faces": dict(zip(("faces", "images", "of"), false_faces(rows), strict=True)),
        "by": {what: {n: asdict(v) for n, v in parts.items()} for what, parts in by.items()},
        "drawn": {name: asdict(v) for name, v in drawn.items()},
        "confusion": counted.tolist(),
        "confusion_n_faces": raw.tolist(),
    }
    return tables, data


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


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--split", default="val")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--long-side", type=int, help="instead of the manifest's")
    parser.add_argument("--out", type=Path, help="write detector.md, detector.json and the model card's table here")
    parser.add_argument("--montage", type=Path, help="write the worst images to this PNG file (for local use only)")
    args = parser.parse_args(argv)
    threshold = read_manifest(args.models)["detector"]["score_threshold"]
    predictor = Predictor.shipped(args.models, args.long_side, LOWEST)
    results = Results(args.data, load(args.data, split=args.split), predictor)
    tables, data = report(results, threshold)
    head = f"{len(results.records)} images, long side {predictor.long_side}, threshold {threshold}."
    body = "\n\n".join(f"### Detector: {name}\n\n{text}" for name, text in tables.items())
    print(f"{head}\n\n{body}")
    if args.out:
        write_block(args.out, "detector", f"{head}\n\n{body}")
        (args.out / "detector.md").write_text(f"# Detector\n\n{head}\n\n{body}\n", "utf-8")
        (args.out / "detector.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    if args.montage:
        montage(results.at(threshold), args.data, args.montage)


if __name__ == "__main__":
    main()
