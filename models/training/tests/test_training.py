"""One network learns a batch, resumes exactly, and says the same after the export."""

import cv2
import numpy as np
import pytest
import torch

from training.compare import TOLERANCE, difference
from training.detector import train as detector
from training.detector.loss import KNOWN, SCORE, WEIGHT, giou_loss, target_map
from training.detector.network import Detector
from training.detector.scenes import Scene, SceneMaker
from training.export import as_shipped, export_detector, export_mask, export_spoof, read_manifest, sha256, write_manifest
from training.geometry import MASK_TEMPLATE
from training.loop import Plan, train
from training.mask import paint
from training.mask import train as mask
from training.mask.faces import CLIP_MARGIN, CLIP_SCALE, CLIP_SIDE, Clip
from training.mask.network import MaskClassifier
from training.spoof.network import LivenessNet


@pytest.fixture
def face_maker():
    points = MASK_TEMPLATE * CLIP_SCALE + CLIP_MARGIN
    clips = []
    for seed in range(4):
        image = np.full((CLIP_SIDE, CLIP_SIDE, 3), 60 + 30 * seed, np.uint8)
        for x, y in points:
            cv2.circle(image, (int(x), int(y)), 5, (10, 10, 10), -1)
        bare = seed % 2 == 0
        painted = image if bare else paint.worn_mask(image, points, np.random.default_rng(seed))
        clips.append(Clip(painted, [points], not bare, "lfw" if bare else "news"))
    return mask.FaceMaker(clips)


def falls(network, loss_of, batch):
    optimizer = torch.optim.AdamW(network.parameters(), 2e-3)
    values = []
    for _ in range(8):
        loss = sum(loss_of(network, batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.9 * values[0], values


def test_detector_learns_a_batch(pictures):
    torch.manual_seed(0)
    batch = detector.make_batch(SceneMaker(pictures), 1, 4, 0, 96)
    falls(Detector(), detector.loss_of, batch)


def test_mask_classifier_learns_a_batch(face_maker):
    torch.manual_seed(0)
    falls(MaskClassifier(), mask.loss_of, mask.make_batch(face_maker, 1, 8, 0))


def test_a_resumed_run_equals_an_uninterrupted_one(face_maker, tmp_path):
    def run(path, stop_after=None):
        torch.manual_seed(0)
        plan = Plan(steps=4, rate=1e-3, warmup=2, every=2, workers=0)
        make = lambda step: mask.make_batch(face_maker, 1, 4, step)
        return train(MaskClassifier(), plan, make, mask.loss_of, path, stop_after)

    whole = run(tmp_path / "whole.pt")
    run(tmp_path / "parts.pt", stop_after=2)
    resumed = run(tmp_path / "parts.pt")
    for name in ("network", "average"):
        for key, value in whole[name].items():
            assert torch.equal(value, resumed[name][key]), key


def test_the_same_step_draws_the_same_scene(pictures):
    first = detector.make_batch(SceneMaker(pictures), 1, 3, 7, 96)
    again = detector.make_batch(SceneMaker(pictures), 1, 3, 7, 96)
    other = detector.make_batch(SceneMaker(pictures), 1, 3, 8, 96)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_labels_follow_a_flipped_picture(pictures):
    scene = Scene(np.zeros((128, 128, 3), np.uint8))
    scene.paste(pictures[0], np.float32([[1, 0, 0], [0, 1, 0]]), flip=True)
    x0, y0, x1, y1 = pictures[0].targets.boxes[0]
    assert np.allclose(scene.boxes[0], [128 - x1, y0, 128 - x0, y1])
    # The subject's right eye stays on the left of the image.
    assert scene.points[0][0, 0] < scene.points[0][1, 0]


def test_target_map_marks_the_centre_and_leaves_the_ring_open(pictures):
    scene = Scene(np.zeros((128, 128, 3), np.uint8))
    scene.paste(pictures[0], np.float32([[1, 0, 0], [0, 1, 0]]), flip=False)
    out = target_map(scene)
    row, column = 60 // 8, 48 // 8
    assert out[SCORE, row, column] == 1 and out[KNOWN, row, column] == 1
    assert out[SCORE, 0, 15] == 0 and out[WEIGHT, 0, 15] == 1
    assert (out[WEIGHT] == 0).any()


def test_giou_is_zero_for_equal_boxes_and_grows():
    a = torch.tensor([[4.0, 4, 4, 4]])
    assert giou_loss(a, a).item() == pytest.approx(0)
    assert giou_loss(a, a * 2).item() < giou_loss(a, a * 4).item()


@pytest.mark.parametrize("network, write, shapes", [
    (Detector, export_detector, [(1, 3, 256, 256), (1, 3, 96, 160)]),
    (MaskClassifier, export_mask, [(1, 3, 96, 96)]),
    (LivenessNet, export_spoof, [(1, 3, 128, 128), (2, 3, 128, 128)]),
])
def test_exported_networks_say_the_same(network, write, shapes, tmp_path):
    torch.manual_seed(0)
    model = network().train()
    for _ in range(3):  # statistics that a missing folding would not reproduce
        model(torch.randn(4, *shapes[0][1:]) * 0.7)
    model.eval()
    write(model, tmp_path / "model.onnx")
    inputs = [np.random.default_rng(0).uniform(-1, 1, s).astype(np.float32) for s in shapes]
    worst = difference(as_shipped(model), tmp_path / "model.onnx", inputs)
    assert max(worst.values()) < TOLERANCE, worst
    # Rounding the weights to float16 is what makes the file small; it must not change the answers.
    rounding = difference(model, tmp_path / "model.onnx", inputs)
    assert max(rounding.values()) < 2e-2, rounding
    weights = sum(p.numel() for p in model.parameters())
    assert (tmp_path / "model.onnx").stat().st_size < 2.2 * weights


def test_manifest_carries_the_hash_of_the_file(tmp_path):
    (tmp_path / "mask.onnx").write_bytes(b"weights")
    write_manifest(read_manifest(tmp_path), tmp_path)
    assert read_manifest(tmp_path)["mask"]["sha256"] == sha256(tmp_path / "mask.onnx")
