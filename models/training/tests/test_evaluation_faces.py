"""Counting, recall by group and mask errors on tables made by hand."""

from pathlib import Path

import numpy as np
import pytest

from training.dataset import Face
from training.detector import evaluate as detector
from training.detector.predict import Found
from training.mask import evaluate as mask
from training.mask.faces import Known
from training.tests.conftest import record

POINTS = np.float32([(36.6, 34.5), (59.3, 34.5), (48.0, 49.4), (38.7, 60.6), (57.4, 60.6)])


def face(height: float, score: float = 0.9, left: float = 0.0, points=POINTS) -> Face:
    return Face(np.float32([left, 0, height * 0.8, height]), points, score)


def found(height: float, left: float = 0.0) -> Found:
    return Found(np.float32([left, 0, left + height * 0.8, height]), POINTS, 0.9)


@pytest.mark.parametrize(
    ("faces", "expected"),
    [
        ((), 0),
        ((face(50),), 1),
        ((face(50), face(8, left=60)), 1),  # a passer-by
        ((face(50), face(40, left=60)), 2),
        ((face(50), face(14, left=60)), None),  # at the limit of what counts
        ((face(50), face(40, 0.65, left=60)), None),  # not sure
        ((face(50, 0.65),), None),
    ],
)
def test_the_true_count_is_known_or_in_doubt(faces, expected):
    assert detector.reference_count(record(faces=faces)) == expected


def test_counts_are_confused_as_constructed():
    rows = [
        (record(faces=(face(50),)), [found(50)]),
        (record(faces=(face(50),)), []),
        (record(faces=(face(50), face(40, left=60))), [found(50), found(40, 60)]),
        (record(faces=()), [found(20)]),
        (record(faces=(face(50),), framing="crop"), []),
    ]
    matrix = detector.confusion(rows, detector.reference_count)
    assert matrix.tolist() == [[0, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert "| 1 | 1 | 1 | 0 | 50.0 %" in detector.confusion_table(matrix)


def test_recall_is_told_apart_by_size_pose_and_light():
    turned = POINTS.copy()
    turned[2, 0] += 8
    big = record(faces=(face(100),))
    seen = [
        detector.Seen(big, face(100), 0.5, True),
        detector.Seen(big, face(15, points=turned), 0.1, False),
    ]
    by = detector.recall_by(seen)
    assert {name: r.value for name, r in by["height / long side"].items()} == {"0.08 to 0.15": 0.0, "0.6 to 1": 1.0}
    assert {name: r.value for name, r in by["yaw, degrees"].items()} == {"0 to 15": 1.0, "30 to 45": 0.0}
    assert {name: r.value for name, r in by["mean luma of the face"].items()} == {"0 to 0.15": 0.0, "0.4 to 0.6": 1.0}


def test_luma_of_a_box_that_reaches_over_the_edge():
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, 5:] = 255
    assert detector.mean_luma(image, np.float32([5, -4, 20, 20])) == pytest.approx(1.0)
    assert detector.mean_luma(image, np.float32([-3, 0, 5, 10])) == 0


def judged(source: str, cls: str, probability: float, path: str = "a.png", side: float = 50) -> mask.Judged:
    known = Known(record(source=source, path=path), cls, np.zeros(4), POINTS, side)
    return mask.Judged(known, POINTS, probability, True, "light")


def test_mask_errors_by_group():
    rows = [
        judged("news", "mask", 0.9),
        judged("news", "mask", 0.2),
        judged("news", "no_mask", 0.8),
        judged("ages", "no_mask", 0.1, "faces/ages/1_x.jpg", side=0),
        judged("ages", "no_mask", 0.9, "faces/ages/1_y.jpg", side=0),
        judged("news", "mask_worn_wrongly", 0.9),
    ]
    groups = mask.by_group(rows, 0.7)
    missed, false_masks = groups["source"]["news"]
    assert (missed.errors, missed.count, false_masks.errors, false_masks.count) == (1, 2, 1, 1)
    (descent,) = groups["ages, descent as the file name says"]
    assert descent == mask.SKIN["1"]
    assert groups["ages, descent as the file name says"][descent][1].value == 0.5
    assert mask.balanced(mask.drawn_boxes(rows), 0.7) == 0.25
    tables, data = mask.report(rows, 0.7)
    assert "masked faces missed | 50.0 %" in tables["hand-drawn boxes"]
    assert data["missed"]["count"] == 2


def test_paths_of_other_sources_say_nothing_about_descent():
    row = judged("news", "mask", 0.9, "masks/news/0001.jpg")
    assert Path(row.known.record.path).name.startswith("0")
    assert mask.GROUPINGS["ages, descent as the file name says"](row) == ""
