from dataclasses import replace

import numpy as np
import pytest

from training.detector.predict import Found, count, decode, prepare, refusal, suppress
from training.geometry import MASK_TEMPLATE, align, crop_rect, cut, similarity


@pytest.mark.parametrize("kind", ["square", "box"])
@pytest.mark.parametrize("box", [(10, 20, 30, 40), (-20, -5, 60, 50), (180, 90, 60, 60), (0, 0, 200, 100)])
def test_crops_lie_inside_the_image(kind, box):
    x, y, w, h = crop_rect(np.float32(box), 200, 100, kind, 3.2)
    assert x >= 0 and y >= 0 and x + w <= 200.001 and y + h <= 100.001 and w > 0 and h > 0


def test_cut_takes_the_rectangle():
    image = np.zeros((40, 40, 3), np.uint8)
    image[7:33, 7:33] = 255  # the antialiasing filter reaches a little over the rectangle
    assert cut(image, np.float32([10, 10, 20, 20]), 16).min() == 255
    assert cut(image, np.float32([0, 0, 6, 6]), 16).max() == 0


def test_similarity_recovers_a_turn():
    turn = np.float32([[0.6, -0.8], [0.8, 0.6]]) * 1.7
    source = MASK_TEMPLATE @ turn.T + np.float32([5, -7])
    found = similarity(source, MASK_TEMPLATE)
    assert np.allclose(source @ found[:, :2].T + found[:, 2], MASK_TEMPLATE, atol=1e-3)


@pytest.mark.parametrize("scale", [0.5, 1, 4])
def test_align_brings_landmarks_to_the_template(scale):
    side = round(160 * scale)
    points = (MASK_TEMPLATE + 20) * scale
    image = np.zeros((side, side, 3), np.uint8)
    for x, y in points[:2]:
        r = max(1, round(2 * scale))
        image[round(y) - r : round(y) + r + 1, round(x) - r : round(x) + r + 1] = 255
    face = align(image, points)
    x, y = MASK_TEMPLATE[0].round().astype(int)
    assert face[y, x].min() > 120 and face[70, 48].max() == 0


def test_input_is_padded_with_mid_grey_to_a_multiple_of_32():
    x, ratio = prepare(np.full((100, 200, 3), 255, np.uint8), 256)
    assert x.shape == (1, 3, 128, 256) and ratio.tolist() == [200 / 256, 100 / 128]
    x, _ = prepare(np.full((90, 200, 3), 255, np.uint8), 256)
    assert x.shape == (1, 3, 128, 256)
    assert (x[:, :, :115] == 1).all() and (x[:, :, 115:] == 0).all()


def test_decode_reads_distances_from_the_cell_centre():
    score, box = np.zeros((1, 1, 4, 4), np.float32), np.ones((1, 4, 4, 4), np.float32)
    points = np.full((1, 10, 4, 4), 0.5, np.float32)
    score[0, 0, 1, 2], box[0, :, 1, 2] = 0.9, (4, 6, 8, 10)
    (found,) = decode(score, box, points, 0.5)
    assert found.box.tolist() == [16, 6, 28, 22] and found.points[0].tolist() == [22, 14]


def faces(*boxes):
    return [Found(np.float32(b), np.zeros((5, 2)), 1 - i / 10) for i, b in enumerate(boxes)]


def test_suppression_keeps_the_best_and_a_small_face_inside_it():
    kept = suppress(faces((0, 0, 100, 100), (5, 5, 100, 100), (30, 30, 70, 70), (90, 0, 180, 90)), 0.4)
    assert [f.box[0] for f in kept] == [0, 30, 90]


def test_a_passer_by_does_not_count():
    assert count(faces((0, 0, 100, 100), (120, 0, 140, 29))) == 1
    assert count(faces((0, 0, 100, 100), (120, 0, 140, 31))) == 2
    assert count([]) == 0


def test_a_face_that_is_not_certain_is_not_judged():
    main, other = faces((0, 0, 100, 100), (120, 0, 220, 90))
    assert count([replace(main, certain=False)]) == 0
    assert count([replace(main, certain=False), other]) == 2


def test_what_is_not_judged_has_the_reason_of_the_library():
    main, other = faces((0, 0, 100, 100), (120, 0, 220, 90))
    assert (refusal([]), refusal([main]), refusal([main, other])) == ("no_face", "", "several_faces")
    assert refusal([replace(main, certain=False)]) == "no_face"
    small, enough = faces((0, 0, 30, 39.9), (0, 0, 30, 40))
    assert (refusal([small]), refusal([enough])) == ("face_too_small", "")
    # It is still counted: the library says that there is one face.
    assert count([small]) == 1
    assert refusal([replace(small, certain=False)]) == "no_face"
