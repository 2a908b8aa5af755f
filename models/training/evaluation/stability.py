"""How far the verdict moves when the image hardly does: ``python -m training.evaluation.stability``.

    python -m training.evaluation.stability --data ../../shared/data --out report \
        --library ../target/release/libliveness.so

Two measurements. *Jitter*: the networks on every image, its box moved by up to 10 % of its sides and scaled by 0.9
to 1.1. *Disturbances*, with --library: the built library on the image recompressed, rescaled, brightened,
darkened, sharpened and seen through a hazy lens. Stated are the standard deviation of live_probability per image (its mean), and the share of
verdicts that differ from that of the undisturbed image; an image that loses or gains its verdict is counted apart.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from .. import augment
from ..export import MODELS, read_manifest
from ..geometry import clip_box, cut
from .presentations import Presentation, load, locate, read
from .rates import Rate, percent, table, write_block
from .scorers import Fusion, Library, Outcome

SPREAD, WORST = 0.1, 20
Disturbance = Callable[[np.ndarray], "np.ndarray | bytes"]


def _jpeg(quality: int) -> Disturbance:
    def apply(image: np.ndarray) -> bytes:
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        return cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1].tobytes()

    return apply


def _scale(factor: float) -> Disturbance:
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return lambda image: cv2.resize(image, None, fx=factor, fy=factor, interpolation=mode)


def _tone(curve: Callable[[np.ndarray], np.ndarray]) -> Disturbance:
    levels = (curve(np.arange(256) / 255) * 255).round().clip(0, 255).astype(np.uint8)
    return lambda image: levels[image]


def _haze(share: float) -> Disturbance:
    """Stray light, as much everywhere, of a lens that is not clean: so much of what white gives, in linear light."""
    return _tone(lambda v: ((1 - share) * v**2.2 + share) ** (1 / 2.2))


DISTURBANCES: dict[str, Disturbance] = {
    "JPEG 95": _jpeg(95),
    "JPEG 85": _jpeg(85),
    "JPEG 75": _jpeg(75),
    "JPEG 60": _jpeg(60),
    "half size": _scale(0.5),
    "size x 0.75": _scale(0.75),
    "size x 1.5": _scale(1.5),
    "double size": _scale(2.0),
    "brightness x 0.7": _tone(lambda v: 0.7 * v),
    "brightness x 1.3": _tone(lambda v: 1.3 * v),
    "gamma 0.7": _tone(lambda v: v**0.7),
    "gamma 1.4": _tone(lambda v: v**1.4),
    "sharpened": partial(augment.sharpened, amount=2.0, radius=2.0),
    "haze of 2 %": _haze(0.02),
    "haze of 5 %": _haze(0.05),
}


@dataclass(frozen=True)
class Series:
    """One image: the undisturbed answer and those to its disturbances, None where there was no verdict."""

    presentation: Presentation
    plain: float | None
    moved: dict[str, float | None]
    looks: dict[str, float]

    @property
    def answered(self) -> list[float]:
        return [v for v in self.moved.values() if v is not None]

    @property
    def deviation(self) -> float:
        """Standard deviation of all answers, the undisturbed one included."""
        return float(np.std([self.plain, *self.answered]))

    def flips(self, threshold: float) -> list[bool]:
        return [(v >= threshold) != (self.plain >= threshold) for v in self.answered]


def subsample(presentations: Sequence[Presentation], limit: int) -> list[Presentation]:
    """At most ``limit`` images, as evenly as possible over sources and classes; 0 means all."""
    cells: dict[tuple[str, str], list[Presentation]] = {}
    for p in sorted(presentations, key=lambda p: zlib.crc32(p.name.encode())):
        cells.setdefault((p.source, p.species), []).append(p)
    chosen: list[Presentation] = []
    wanted = limit or len(presentations)
    for depth in range(max(map(len, cells.values()), default=0)):
        layer = [cell[depth] for _, cell in sorted(cells.items()) if depth < len(cell)]
        chosen += layer[: wanted - len(chosen)]
    return chosen


def jittered(box: np.ndarray, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """Boxes moved by up to SPREAD of their sides and scaled by up to as much."""
    boxes = []
    for _ in range(count):
        centre = box[:2] + box[2:] / 2 + rng.uniform(-SPREAD, SPREAD, 2) * box[2:]
        size = box[2:] * (1 + rng.uniform(-SPREAD, SPREAD))
        boxes.append(np.float32([*(centre - size / 2), *size]))
    return boxes


def looks(image: np.ndarray, box: np.ndarray) -> dict[str, float]:
    """What the face looks like in numbers, as src/quality.rs measures it."""
    height, width = image.shape[:2]
    face = cv2.cvtColor(cut(image, clip_box(box, width, height), 128), cv2.COLOR_RGB2GRAY)
    sharpness = cv2.Laplacian(face.astype(np.float32), cv2.CV_32F)[1:-1, 1:-1].var()
    return {
        "face_size": round(float(box[3]), 1),
        "brightness": round(float(face.mean()) / 255, 3),
        "contrast": round(float(face.std()) / 255, 3),
        "sharpness": round(float(sharpness), 1),
    }


def jitter_series(presentations: Sequence[Presentation], fusion: Fusion, count: int) -> Iterator[Series]:
    """Networks on given boxes; the boxes of an image depend on its name alone."""
    for p in presentations:
        if p.box is None:
            continue
        image = read(p)
        rng = np.random.default_rng(zlib.crc32(p.name.encode()))
        scores, _ = fusion.judge(image, [p.box, *jittered(p.box, rng, count)])
        moved = {f"jitter {i + 1}": float(v) for i, v in enumerate(scores[1:])}
        yield Series(p, float(scores[0]), moved, looks(image, p.box))


def _measured(outcome: Outcome) -> dict[str, float]:
    quality = outcome.details.get("quality") or {}
    return {k: round(float(quality[k]), 3) for k in ("face_size", "brightness", "contrast", "sharpness") if k in quality}


def disturbed_series(presentations: Sequence[Presentation], library: Library) -> Iterator[Series]:
    """The library on each image and its disturbances, those without a verdict at first included."""
    for p in presentations:
        try:
            image = np.ascontiguousarray(read(p))
        except ValueError:
            yield Series(p, None, dict.fromkeys(DISTURBANCES), {})
            continue
        plain, *moved = library.check([image, *(apply(image) for apply in DISTURBANCES.values())])
        answers = {name: o.probability for name, o in zip(DISTURBANCES, moved, strict=True)}
        yield Series(p, plain.probability, answers, _measured(plain))


@dataclass(frozen=True)
class Stability:
    """Of one class of images under all or one of the disturbances."""

    name: str
    images: int
    deviation: float  # mean over images of the standard deviation of P(live)
    deviation_95: float  # its 95th percentile
    flips: Rate
    changed_response: Rate  # verdicts that were lost or won


def _changed(series: Series) -> list[bool]:
    return [(v is None) != (series.plain is None) for v in series.moved.values()]


def stability(name: str, series: Sequence[Series], threshold: float) -> Stability:
    judged = [s for s in series if s.plain is not None]
    deviations = [s.deviation for s in judged] or [float("nan")]
    return Stability(
        name,
        len(judged),
        float(np.mean(deviations)),
        float(np.quantile(deviations, 0.95)),
        Rate.of([flip for s in judged for flip in s.flips(threshold)]),
        Rate.of([changed for s in series for changed in _changed(s)]),
    )


def by_class(series: Sequence[Series], threshold: float) -> list[Stability]:
    """Over all, bona fide, attacks by species, and portraits of the web."""
    labelled = [s for s in series if not s.presentation.assumed]
    out = [stability("all images", series, threshold), stability("all with labels", labelled, threshold)]
    for species in sorted({s.presentation.species for s in labelled}):
        part = [s for s in labelled if s.presentation.species == species]
        out.append(stability("bona fide" if species == "live" else species, part, threshold))
    portraits = [s for s in series if s.presentation.assumed]
    return out + ([stability("web portraits", portraits, threshold)] if portraits else [])


def by_source(series: Sequence[Series], threshold: float) -> list[Stability]:
    sources = sorted({s.presentation.source for s in series if not s.presentation.assumed})
    return [stability(name, [s for s in series if s.presentation.source == name], threshold) for name in sources]


def by_disturbance(series: Sequence[Series], threshold: float) -> list[Stability]:
    """The deviation is then that of two answers, with and without this disturbance alone."""
    out = []
    for name in series[0].moved if series else ():
        alone = [Series(s.presentation, s.plain, {name: s.moved[name]}, s.looks) for s in series]
        out.append(stability(name, alone, threshold))
    return out


def rows(found: Sequence[Stability]) -> str:
    header = ["images", "n", "mean SD of P(live)", "95th percentile of SD", "verdicts that flip", "verdict lost or won"]
    return table(header, [_row(s) for s in found])


def _share(rate: Rate) -> str:
    """Without an interval: disturbances of one image are no independent trials."""
    return f"{percent(rate.value)} of {rate.count}" if rate.count else "-"


def _row(s: Stability) -> list[str]:
    return [s.name, str(s.images), f"{s.deviation:.3f}", f"{s.deviation_95:.3f}", _share(s.flips), _share(s.changed_response)]


def worst(series: Sequence[Series], limit: int = WORST) -> list[Series]:
    return sorted((s for s in series if s.plain is not None), key=lambda s: -s.deviation)[:limit]


def worst_rows(series: Sequence[Series]) -> str:
    """Paths and measured looks, for a person who has the images."""
    out = []
    for s in worst(series):
        found = ", ".join(f"{name} {value:g}" for name, value in s.looks.items())
        low, high = min(s.answered, default=s.plain), max(s.answered, default=s.plain)
        answers = [f"{s.plain:.2f}", f"{low:.2f} to {high:.2f}", f"{s.deviation:.3f}"]
        out.append([s.presentation.name, s.presentation.species, *answers, found])
    return table(["image", "label", "P(live)", "disturbed", "SD", "face"], out)


def chapter(title: str, series: Sequence[Series], threshold: float, each: bool) -> tuple[str, str, dict]:
    """Tables for the card, Markdown for the report, and JSON."""
    classes, sources = by_class(series, threshold), by_source(series, threshold)
    card = rows([*classes, *sources])
    data = {"classes": [asdict(s) for s in classes], "sources": [asdict(s) for s in sources]}
    if each:
        single = by_disturbance(series, threshold)
        card += "\n\n" + rows(single)
        data["disturbances"] = [asdict(s) for s in single]
    data["worst"] = [{"path": s.presentation.name, "plain": s.plain, "moved": s.moved, "looks": s.looks} for s in worst(series)]
    return card, f"## {title}\n\n{card}\n\n### The worst {WORST}\n\n{worst_rows(series)}", data


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.evaluation.stability", description=__doc__, formatter_class=layout)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--split", default="val", choices=("train", "val", "all"))
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--library", type=Path, help="libliveness.so; without it the jitter alone is measured")
    parser.add_argument("--onnxruntime", type=Path, help="ONNX Runtime library for --library, instead of its own engine")
    parser.add_argument("--jitters", type=int, default=8, help="jittered boxes per image")
    parser.add_argument("--jitter-images", type=int, default=0, help="sub-sample for the jitter; 0 is all")
    parser.add_argument("--images", type=int, default=0, help="sub-sample for the library; 0 is all")
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args(argv)


class _Report:
    """stability.md and stability.json, written anew with every chapter: the next one may take long."""

    def __init__(self, out: Path):
        self._out, self._chapters, self._data = out, ["# Stability"], {}

    def add(self, name: str, title: str, series: Sequence[Series], threshold: float, each: bool) -> None:
        card, text, self._data[name] = chapter(title, series, threshold, each)
        self._chapters.append(text)
        write_block(self._out, f"stability-{name}", f"{title}.\n\n{card}")
        (self._out / "stability.md").write_text("\n\n".join(self._chapters) + "\n", "utf-8")
        (self._out / "stability.json").write_text(json.dumps(self._data, indent=1) + "\n", "utf-8")


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    presentations = locate(load(args.data, args.split), args.models)
    threshold, report = float(read_manifest(args.models)["spoof"]["threshold"]), _Report(args.out)
    chosen = subsample(presentations, args.jitter_images)
    series = list(jitter_series(chosen, Fusion.shipped(args.models), args.jitters))
    title = f"Box jitter of 10 %: {args.jitters} boxes on each of {len(series)} images, networks"
    report.add("jitter", title, series, threshold, each=False)
    if args.library:
        library = Library(args.library, args.models, args.workers, onnxruntime=args.onnxruntime)
        series = list(disturbed_series(subsample(presentations, args.images), library))
        title = f"Disturbances: {len(DISTURBANCES)} of each of {len(series)} images, built library"
        report.add("library", title, series, threshold, each=True)
    print(args.out / "stability.md")


if __name__ == "__main__":
    main()
