"""Labelled images to judge: from labels.csv, from a CSV of your own, or from folders.

A folder with a ``labels.csv`` in the layout of dataset.py gives its liveness images, and portraits
of the web as bona fide presentations by assumption. A CSV needs the columns ``path`` (relative to
the CSV) and ``label``, and may have ``source``, ``group`` and ``split``. Any other folder gives one
label per sub-folder: ``live``, ``print``, ``screen``, ``spoof`` or another name of an attack; a
folder above these names the source.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from .. import dataset
from ..detector.evaluate import unambiguous
from ..detector.predict import Predictor, refusal
from ..mask.evaluate import SKIN
from ..spoof.clips import BONA_FIDE_WEB, is_usable
from .tone import tone_of

BONA_FIDE = ("live", "bona fide", "bonafide", "bona_fide", "genuine", "real")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


@dataclass(frozen=True)
class Presentation:
    """One image and what is known about it."""

    path: Path
    name: str  # for lists: the path relative to its set
    species: str  # "live", else the species of the attack
    source: str
    group: str
    framing: str = ""
    box: np.ndarray | None = None  # of a reference detector, where the set has one
    points: np.ndarray | None = None
    missing: str = "no_face"  # why there is no box, where there is none
    upright: bool = True  # the box counts pixels of the upright image, not of the stored one
    assumed: bool = False  # bona fide by assumption: a portrait of the web
    descent: str = ""  # as the name of the file says, where it does

    @property
    def live(self) -> bool:
        return self.species == "live"


def load(where: Path, split: str = "val") -> list[Presentation]:
    """Presentations of a folder or CSV; ``split`` is ``train``, ``val`` or ``all``."""
    if where.is_file():
        found = _from_csv(where, split)
    elif (where / "labels.csv").is_file() and "kind" in _header(where / "labels.csv"):
        found = _from_dataset(where, split)
    elif (where / "labels.csv").is_file():
        found = _from_csv(where / "labels.csv", split)
    else:
        found = _from_folders(where)
    if not found:
        raise ValueError(f"{where}: no labelled image of split {split!r} found; see {__name__} for the layouts")
    return found


def read(presentation: Presentation) -> np.ndarray:
    """RGB, turned by its EXIF orientation unless the box of the set counts stored pixels."""
    path = presentation.path
    if not presentation.upright:
        return dataset.read_image(path)
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"{path}: not an image that OpenCV can decode")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def locate(presentations: list[Presentation], models: Path) -> list[Presentation]:
    """Boxes by the detector for images of a set that has none, by the library's rule of one face."""
    detect = Predictor.shipped(models)
    return [_located(p, detect) if p.upright and p.box is None else p for p in presentations]


def _located(presentation: Presentation, detect: Predictor) -> Presentation:
    try:
        found = detect(read(presentation))
    except ValueError:
        return replace(presentation, missing="002")
    if reason := refusal(found):
        return replace(presentation, missing=reason)
    face = max(found, key=lambda f: f.height)
    x0, y0, x1, y1 = face.box
    return replace(presentation, box=np.float32([x0, y0, x1 - x0, y1 - y0]), points=face.points)


def groupings(presentation: Presentation, image: np.ndarray | None = None) -> dict[str, str]:
    """Groups of people that figures are stated for, where they can be told."""
    out = {}
    if presentation.descent:
        out["descent (file name)"] = presentation.descent
    if image is not None and presentation.points is not None:
        out["forehead, ITA (skin and light)"] = tone_of(image, presentation.points)
    return out


def _header(path: Path) -> list[str]:
    with open(path, newline="", encoding="utf-8") as handle:
        return next(csv.reader(handle), [])


def _from_dataset(root: Path, split: str) -> list[Presentation]:
    equal = {} if split == "all" else {"split": split}
    return [_presentation(root, r) for r in dataset.load(root, **equal) if _is_presentation(r)]


def _is_presentation(record: dataset.Record) -> bool:
    # A portrait of the web with several people is rightly refused and tells nothing about liveness.
    return record.kind == "liveness" or (record.source in BONA_FIDE_WEB and unambiguous(record))


def _presentation(root: Path, record: dataset.Record) -> Presentation:
    face = record.largest if is_usable(record) else None
    labelled = record.kind == "liveness"
    return Presentation(
        path=root / record.path,
        name=record.path,
        species="live" if record.live else record.label,
        source=record.source,
        group=record.group,
        framing=record.framing,
        box=None if face is None else face.box,
        points=None if face is None else face.points,
        upright=False,
        assumed=not labelled,
        descent=SKIN.get(Path(record.path).name[0], "") if record.source == "ages" else "",
    )


def _species(label: str) -> str:
    name = label.strip().lower()
    return "live" if name in BONA_FIDE else {"replay": "screen"}.get(name, name)


def _from_csv(path: Path, split: str) -> list[Presentation]:
    out = []
    with open(path, newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            if not row.get("path") or not row.get("label"):
                raise ValueError(f"{path}: every row needs a path and a label, not {row}")
            if split == "all" or row.get("split", split) in ("", split):
                source = row.get("source") or path.parent.name
                group = row.get("group") or row["path"]
                out.append(Presentation(path.parent / row["path"], row["path"], _species(row["label"]), source, group))
    return out


def _from_folders(root: Path) -> list[Presentation]:
    out = []
    for path in sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES):
        inside = path.relative_to(root)
        if len(inside.parts) < 2:
            raise ValueError(f"{path}: lies in no folder that names its label, such as {root / 'live'}")
        source = "/".join(inside.parts[:-2]) or root.name
        out.append(Presentation(path, str(inside), _species(path.parent.name), source, str(inside)))
    return out
