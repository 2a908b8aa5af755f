"""Renders simulated attacks once, for training to draw from: ``python -m training.spoof.render``.

Writes ``frames.bin`` (uint8 RGB clips, one after another) and ``index.json`` (offset, shape, face
box, species, source of the person) into the output folder. Clips reach 4.4 times the face box, where the frame does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from .. import dataset
from ..geometry import crop_rect
from . import recapture
from .clips import BONA_FIDE_WEB, is_usable

REACH = 4.4


class _Renderer:
    """Picks a face, a background and a species for a number, so that frame N is always the same."""

    def __init__(self, root: str, seed: int):
        records = dataset.load(root, split="train")
        faces = [r for r in records if is_usable(r) and r.framing == "frame"]
        self._root, self._seed = Path(root), seed
        self._camera = [r for r in records if r.kind == "liveness" and is_usable(r) and r.live]
        # Your own images may all be from cameras.
        self._web = [r for r in faces if r.source in BONA_FIDE_WEB and r.largest.size >= 60] or self._camera
        self._scenes = [r for r in records if r.kind == "none" and r.n_faces == 0 and r.source != "hair"]
        self._rooms = [r for r in self._scenes if r.source == "rooms"] or self._scenes
        if not self._web or not self._scenes:
            raise SystemExit(f"{root}: no clear bona fide face in train, or no image of kind none as a background")

    def _read(self, record: dataset.Record) -> np.ndarray:
        return dataset.read_image(self._root / record.path)

    def _scene(self, rng: np.random.Generator) -> np.ndarray:
        chance = rng.random()
        if chance < 0.35:  # a face would be a second one: keep only what stands beside it
            image = self._read(record := self._web[rng.integers(len(self._web))])
            x = int(np.clip(record.largest.box[0], 0, image.shape[1]))
            if x > 48:
                return image[:, :x]
        pool = self._rooms if chance < 0.75 else self._scenes
        return self._read(pool[rng.integers(len(pool))])

    def __call__(self, number: int) -> tuple[np.ndarray, list[float], str, str]:
        rng = np.random.default_rng((self._seed, number))
        pool = self._web if not self._camera or rng.random() < 0.75 else self._camera
        record = pool[rng.integers(len(pool))]
        species = "replay" if rng.random() < 0.55 else "print"
        frame, box = recapture.render(rng, self._read(record), record.largest.box, self._scene(rng), species)
        x, y, w, h = crop_rect(box, frame.shape[1], frame.shape[0], "box", REACH)
        x0, y0, x1, y1 = int(x), int(y), int(x + w), int(y + h)
        return frame[y0:y1, x0:x1], [float(v) for v in box - np.float32([x0, y0, 0, 0])], species, record.source


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--out", default="training/runs/recapture", help="folder to write")
    parser.add_argument("--count", type=int, default=14_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args(argv)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    index, offset = [], 0
    with open(out / "frames.bin", "wb") as frames, Pool(args.workers) as pool:
        rendered = pool.imap(_Renderer(args.data, args.seed), range(args.count), chunksize=16)
        for number, (clip, box, species, origin) in enumerate(rendered):
            frames.write(np.ascontiguousarray(clip).tobytes())
            index.append({"offset": offset, "shape": list(clip.shape), "box": box, "species": species, "origin": origin})
            offset += clip.size
            if (number + 1) % 500 == 0:
                print(f"rendered {number + 1} of {args.count}", flush=True)
    (out / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
