"""Figures of the mask classifier with the detector's own landmarks: errors by source and by people.

    python -m training.mask.evaluate --data ../../shared/data --out report

A masked face that is not called masked is *missed*; a bare face that is called masked is a *false mask*.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from ..dataset import load, read_image
from ..detector.predict import Predictor
from ..evaluation.rates import Rate, percent, table, write_block
from ..evaluation.tone import tone_of
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
    tone: str = ""  # how light the forehead looks, skin and light together


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
            out.append(Judged(face, used, classify(image, used), points is not None, tone_of(image, used)))
    return out


def balanced(rows: list[Judged], threshold: float) -> float:
    """Mean of the shares of masked and of bare faces that are told right; nan without both."""
    return 1 - (missed(rows, threshold).value + false_masks(rows, threshold).value) / 2


def called(rows: list[Judged], threshold: float) -> Rate:
    """Share called masked."""
    return Rate.of(r.probability >= threshold for r in rows)


def missed(rows: list[Judged], threshold: float) -> Rate:
    return Rate.of(r.probability < threshold for r in rows if r.known.cls == "mask")


def false_masks(rows: list[Judged], threshold: float) -> Rate:
    return Rate.of(r.probability >= threshold for r in rows if r.known.cls == "no_mask")


def drawn_boxes(rows: list[Judged]) -> list[Judged]:
    return [r for r in rows if r.known.drawn_side > 0]


def _descent(row: Judged) -> str:
    record = row.known.record
    return SKIN.get(Path(record.path).name[0], "") if record.source == "ages" else ""


# How faces are told apart; an empty name leaves a face out.
GROUPINGS: dict[str, Callable[[Judged], str]] = {
    "source": lambda r: r.known.record.source,
    "ages, descent as the file name says": _descent,
    "forehead, ITA (skin and light)": lambda r: r.tone,
}


def by_group(rows: list[Judged], threshold: float) -> dict[str, dict[str, tuple[Rate, Rate]]]:
    """Missed masks and false masks per grouping and group."""
    out: dict[str, dict[str, tuple[Rate, Rate]]] = {}
    for grouping, name_of in GROUPINGS.items():
        names = sorted({name_of(r) for r in rows} - {""})
        parts = {name: [r for r in rows if name_of(r) == name] for name in names}
        out[grouping] = {n: (missed(p, threshold), false_masks(p, threshold)) for n, p in parts.items()}
    return out


def summary(rows: list[Judged], threshold: float) -> str:
    drawn = drawn_boxes(rows)
    wrongly = [r for r in drawn if r.known.cls == "mask_worn_wrongly"]
    lines = [
        ["masked faces missed", str(missed(drawn, threshold))],
        ["bare faces called masked", str(false_masks(drawn, threshold))],
        ["balanced accuracy", percent(balanced(drawn, threshold))],
        ["worn wrongly, called masked", str(called(wrongly, threshold))],
        ["landmarks from the detector", str(Rate.of(r.detected for r in drawn))],
    ]
    return table([f"hand-drawn boxes of {DRAWN_SIDE} px and more", "share"], lines)


def sweep(rows: list[Judged]) -> str:
    drawn, lines = drawn_boxes(rows), []
    for value in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        lines.append([f"{value:.1f}", percent(balanced(drawn, value)), str(missed(drawn, value)), str(false_masks(drawn, value))])
    return table(["threshold", "balanced accuracy, hand-drawn", "masked missed", "bare called masked"], lines)


def report(rows: list[Judged], threshold: float) -> tuple[dict[str, str], dict]:
    """Tables by name as Markdown, and the same for JSON."""
    groups = by_group(rows, threshold)
    lines = [[g, n, str(a), str(b)] for g, parts in groups.items() for n, (a, b) in parts.items()]
    tables = {
        "hand-drawn boxes": summary(rows, threshold),
        "by source and group": table(["grouping", "group", "masked missed", "bare called masked"], lines),
        "thresholds": sweep(rows),
    }
    data = {
        "balanced_accuracy": balanced(drawn_boxes(rows), threshold),
        "missed": asdict(missed(drawn_boxes(rows), threshold)),
        "false_masks": asdict(false_masks(drawn_boxes(rows), threshold)),
        "groups": {g: {n: [asdict(a), asdict(b)] for n, (a, b) in p.items()} for g, p in groups.items()},
    }
    return tables, data


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


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--split", default="val")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--montage", type=Path, help="write the errors to this PNG file (for local use only)")
    parser.add_argument("--out", type=Path, help="write mask.md, mask.json and the model card's table here")
    args = parser.parse_args(argv)
    manifest = read_manifest(args.models)
    detect = Predictor.shipped(args.models)
    classify = MaskPredictor(args.models / manifest["mask"]["file"])
    rows = judge(args.data, load(args.data, split=args.split), detect, classify)
    threshold = manifest["mask"]["threshold"]
    tables, data = report(rows, threshold)
    head = f"{len(rows)} faces, threshold {threshold}."
    body = "\n\n".join(f"### Mask: {name}\n\n{text}" for name, text in tables.items())
    print(f"{head}\n\n{body}")
    if args.out:
        write_block(args.out, "mask", f"{head}\n\n{body}")
        (args.out / "mask.md").write_text(f"# Mask classifier\n\n{head}\n\n{body}\n", "utf-8")
        (args.out / "mask.json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    if args.montage:
        montage(rows, args.data, threshold, args.montage)


if __name__ == "__main__":
    main()
