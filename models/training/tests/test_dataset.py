import json

import cv2
import numpy as np
import pytest

from training.dataset import load, read_image
from training.detector.labels import targets
from training.tests.conftest import record

COLUMNS = (
    "path,kind,source,label,group,split,framing,width,height,encoding,original_width,"
    "original_height,n_faces,faces,boxes,ref_live"
)


def write_set(folder, rows):
    import csv

    with open(folder / "labels.csv", "w", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS.split(","))
        writer.writeheader()
        writer.writerows(rows)


def row(**values):
    return dict.fromkeys(COLUMNS.split(","), "") | {"width": 10, "height": 8} | values


def test_rows_are_parsed_and_filtered(tmp_path):
    face = {"box": [1, 2, 3, 4], "points": list(range(10)), "score": 0.9}
    drawn = {"box": [5, 6, 7, 8], "cls": "mask"}
    write_set(tmp_path, [
        row(path="a.jpg", split="train", faces=json.dumps([face]), boxes=json.dumps([drawn])),
        row(path="b.jpg", split="val", ref_live="0.25"),
    ])
    (first,) = load(tmp_path, split="train")
    assert first.faces[0].points[1].tolist() == [2, 3]
    assert first.largest.size == 4
    assert first.boxes[0].cls == "mask" and first.ref_live is None
    (second,) = load(tmp_path, split="val")
    assert second.largest is None and second.ref_live == 0.25


def test_images_come_as_rgb_and_ignore_exif(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((2, 3, 3), (0, 0, 255), np.uint8))
    assert read_image(tmp_path / "a.png")[0, 0].tolist() == [255, 0, 0]
    (tmp_path / "b.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="b.png"):
        read_image(tmp_path / "b.png")


def face(box, score):
    from training.dataset import Face

    return Face(np.float32(box), np.zeros((5, 2), np.float32), score)


def test_doubtful_faces_are_ignored_and_drawn_ones_added():
    from training.dataset import DrawnBox

    known = targets(record(
        kind="masks", source="news",
        faces=(face((10, 10, 20, 20), 0.9), face((60, 60, 20, 20), 0.65)),
        boxes=(DrawnBox(np.float32([10, 13, 20, 18]), "mask"), DrawnBox(np.float32([90, 10, 20, 20]), "mask")),
    ))
    assert known.has_points.tolist() == [True, False]
    assert len(known.ignored) == 1 and known.ignored[0].tolist() == [60, 60, 80, 80]


def test_an_image_without_known_faces_is_a_negative_only_where_none_can_be():
    assert targets(record(kind="masks", source="street")) is None
    assert len(targets(record(kind="none", source="rooms")).boxes) == 0
