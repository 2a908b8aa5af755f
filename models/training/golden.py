"""Writes what ONNX Runtime computes for fixed inputs, for the tests of the library's engines.

    python -m training.golden            # from models/, after every export

The inputs can be made again bit by bit without this script: a hash of the index for all networks,
and a part of the portrait, cut without resampling, for those that see a face.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
# Left, top of the part of the portrait that each network sees; the face is at (180, 62).
PORTRAIT_AT = {"detector": (96, 0), "mask": (180, 70), "liveness": (160, 50)}
DETECTOR_SIZE = (96, 64)  # height, width


def hashed(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of -1..1 in steps of 1/128 from a hash of their index."""
    index = np.arange(np.prod(shape), dtype=np.uint64)
    value = (index * 2654435761 % 2**32) >> 24
    return ((value.astype(np.float32) - 128) / 128).reshape(shape)


def portrait(left: int, top: int, height: int, width: int) -> np.ndarray:
    image = np.asarray(Image.open(ROOT / "tests/fixtures/astronaut.png").convert("RGB"))
    part = image[top : top + height, left : left + width].astype(np.float32)
    return (part / np.float32(127.5) - np.float32(1)).transpose(2, 0, 1)[None]


def networks(models: Path) -> list[tuple[str, str, tuple[int, int], tuple[int, int]]]:
    """Name, file, height and width, and place in the portrait of each network."""
    manifest = json.loads((models / "manifest.json").read_text())
    size = manifest["mask"]["size"]
    found = [
        ("detector", manifest["detector"]["file"], DETECTOR_SIZE, PORTRAIT_AT["detector"]),
        ("mask", manifest["mask"]["file"], (size, size), PORTRAIT_AT["mask"]),
    ]
    for entry in manifest["spoof"]["networks"]:
        size = entry["size"]
        found.append((entry["name"], entry["file"], (size, size), PORTRAIT_AT["liveness"]))
    return found


def golden(models: Path) -> list[dict]:
    rows = []
    for name, file, (height, width), (left, top) in networks(models):
        data = (models / file).read_bytes()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        inputs = {
            "hash": hashed((1, 3, height, width)),
            "portrait": portrait(left, top, height, width),
        }
        for kind, x in inputs.items():
            outputs = session.run(names, {"input": x})
            rows.append(
                {
                    "network": name,
                    "file": file,
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "input": kind,
                    "height": height,
                    "width": width,
                    "left": left,
                    "top": top,
                    "outputs": {
                        output_name: {
                            "shape": list(y.shape),
                            "data": [round(float(v), 6) for v in y.ravel()],
                        }
                        for output_name, y in zip(names, outputs)
                    },
                }
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=ROOT / "models")
    parser.add_argument("--output", type=Path, default=ROOT / "tests/golden/outputs.json")
    arguments = parser.parse_args()
    rows = golden(arguments.models)
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(f"[\n{lines}\n]\n")
    print(f"{len(rows)} outputs of ONNX Runtime {ort.__version__} in {arguments.output}")


if __name__ == "__main__":
    main()
