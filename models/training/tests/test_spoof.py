"""The liveness networks' training, on generated pictures only."""

import copy

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from training.export import MODELS, export_spoof
from training.geometry import crop_rect, cut
from training.spoof import metrics, recapture
from training.spoof.camera import Camera
from training.spoof.clips import CROPS, MIRRORED, SIZE, WITHIN, Source, Stream, mirrored_cut, truncated
from training.spoof.fuse import fit
from training.spoof.hints import HINTED_SAMPLE, as_samples, moved_loss
from training.spoof.mixtures import Mixture, with_mixtures
from training.spoof.network import IMITATION_SHARE, LivenessNet
from training.spoof.teachers import Teachers, Told, TorchTeachers, views
from training.spoof.train import (
    Plan, ShufflePool, Trainer, _arguments, collate, imitation_loss, initial_weights, load_average, loss_of, taught_samples,
    permitted, trainers_of,
)  # fmt: skip


def picture(seed: int, height: int = 240, width: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (recapture.smooth_noise(rng, height, width, 12)[..., None] * 40 + rng.uniform(90, 160, 3)).clip(0, 255).astype(np.uint8)


BOX = np.float32([60, 70, 80, 100])


def told(answers: torch.Tensor) -> Told:
    """What teachers say with these answers, n x 3, and everything else drawn by lot."""
    count = len(answers)
    maps = [torch.randn(count, 128, side, side) for side in (5, 5, 8)]
    return Told(answers, maps, [torch.randn(count, 128) for _ in maps])


def sources() -> list[Source]:
    live = tuple((picture(i), BOX) for i in range(4))
    attack = tuple((255 - picture(i) // 2, BOX) for i in range(4, 8))
    return [
        Source("a", True, (-1,) * 4, 1.0, live, 1.0, ("a",) * 4),
        Source("b", False, (0, 1, 0, 1), 1.0, attack, 1.0, ("a", "b", "b", "b")),
    ]


def gathered(clips):
    batch = with_mixtures(collate(clips, ("a", "b")), 0.0, torch.Generator())
    return taught_samples(batch, None, "cpu")


def batches(count: int, seed: int = 3):
    stream = iter(Stream(sources(), seed))
    return [gathered([next(stream) for _ in range(9)]) for _ in range(count)]


@pytest.mark.parametrize("species", ["print", "replay"])
def test_a_simulated_attack_is_a_frame_with_the_face_in_it(species):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        frame, box = recapture.render(rng, picture(1), BOX, picture(2), species, height=200)
        assert frame.dtype == np.uint8 and frame.shape[0] == 200
        centre = box[:2] + box[2:] / 2
        assert 0 < centre[0] < frame.shape[1] and 0 < centre[1] < 200


def test_a_simulated_attack_depends_on_its_seed_alone():
    first, second = (recapture.render(np.random.default_rng(5), picture(1), BOX, picture(2), "replay", 160) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    with pytest.raises(ValueError, match="species"):
        recapture.render(np.random.default_rng(5), picture(1), BOX, picture(2), "mask")


def test_the_box_of_a_turned_face_is_no_larger_than_the_face():
    turn = 0.3
    matrix = np.array([[np.cos(turn), -np.sin(turn), 40], [np.sin(turn), np.cos(turn), 9], [0, 0, 1]])
    for width, height in [(80, 80), (80, 100)]:
        box = recapture._box_after(matrix, np.float32([10, 20, width, height]))
        reach = np.hypot(width * np.array([np.cos(turn), np.sin(turn)]), height * np.array([np.sin(turn), np.cos(turn)]))
        assert np.allclose(box[2:], reach, rtol=0.005)
        assert np.allclose(box[:2] + box[2:] / 2, matrix[:2, :2] @ [10 + width / 2, 20 + height / 2] + [40, 9], atol=0.1)


@pytest.mark.parametrize("frame", [(200, 130), (200, 280)])
def test_a_medium_that_fills_the_frame_has_no_border_in_it(frame):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shape = (int(rng.uniform(60, 300)), int(rng.uniform(60, 300)))
        light = np.ones((*shape, 3), np.float32)
        face = np.float32([shape[1] * rng.uniform(0, 0.6), shape[0] * rng.uniform(0, 0.6), 40, 50])
        matrix = recapture._place(rng, recapture.Medium(light, light[..., 0], face), True, frame)
        shown = cv2.warpPerspective(light, matrix, frame[::-1], borderMode=cv2.BORDER_CONSTANT)
        assert shown.min() > 0.999


def test_the_camera_keeps_size_and_type():
    camera = Camera(np.random.default_rng(1))
    for _ in range(30):
        shot = camera.shoot(picture(1))
        assert shot.shape == (240, 200, 3) and shot.dtype == np.uint8


@pytest.mark.parametrize("kind, scale", CROPS.values())
@pytest.mark.parametrize("box", [(60, 70, 80, 100), (-30, -30, 300, 400), (190, 230, 5, 5), (0, 0, 10, 10)])
def test_crops_lie_inside_the_image(kind, scale, box):
    x, y, w, h = crop_rect(np.float32(box), 200, 240, kind, scale)
    assert x >= 0 and y >= 0 and x + w <= 200.001 and y + h <= 240.001
    assert cut(picture(1), np.float32([x, y, w, h]), SIZE).shape == (SIZE, SIZE, 3)


def test_the_third_teacher_sees_the_tight_crop_where_the_image_goes_on():
    tight = cut(picture(1), crop_rect(BOX, 200, 240, *CROPS["tight"]), SIZE)
    assert np.array_equal(mirrored_cut(picture(1), BOX), tight)


@pytest.mark.parametrize("box", [(2, 3, 80, 100), (110, 130, 88, 108), (5, 5, 190, 230), (60, 0, 80, 100)])
def test_the_third_teacher_sees_what_it_was_trained_with_where_the_image_ends(box):
    image, box = picture(1), np.float32(box)
    moved = cut(image, crop_rect(box, 200, 240, *CROPS["tight"]), SIZE)
    # They differ by how they resample, not by what they show.
    off, far = (np.abs(crop.astype(float) - views(image, box)[2]).mean() for crop in (mirrored_cut(image, box), moved))
    assert off < 3 and far > 3 * off


def test_some_images_end_within_the_face_at_one_side_or_another():
    rng, image, beyond = np.random.default_rng(5), picture(2), []
    for _ in range(1000):
        part, (x, y, w, h) = truncated(rng, image, BOX)
        left, top = (BOX[:2] - (x, y)).astype(int)
        assert (part == image[top : top + part.shape[0], left : left + part.shape[1]]).all()
        beyond.append([-x / w, -y / h, (x + w - part.shape[1]) / w, (y + h - part.shape[0]) / h])
    beyond = np.array(beyond)
    gone = (beyond > 0.02).sum(0)
    assert (gone > 10).all() and 50 < gone.sum() < 130
    assert ((beyond > 0.02).sum(1) <= 1).all() and beyond.max() < 0.33


def test_teachers_are_asked_about_the_mirrored_crop_and_the_context():
    batch = collate([next(iter(Stream(sources(), seed))) for seed in range(12)], ("a", "b"))
    mirrored, context = batch[MIRRORED], batch["context"]
    assert not torch.equal(mirrored, batch["tight"])  # some of these images end beside the face
    asked = []

    class Recorder:
        def told(self, seen):
            asked.extend(seen)
            return told(torch.zeros(len(seen[0]), 3))

    samples = taught_samples(batch, Recorder(), "cpu")
    assert torch.equal(asked[2], mirrored) and asked[0].shape == asked[1].shape == (len(context), 80, 80, 3)
    assert MIRRORED not in samples


def test_teachers_answer_alike_in_both_engines():
    folder = MODELS.parent.parent / "shared" / "teachers"
    if not folder.is_dir():
        pytest.skip("the teachers are not part of this project")
    shown = [torch.from_numpy(np.stack([view, view[:, ::-1]])) for view in views(picture(1), BOX)]
    one, other = Teachers(folder).told(shown), TorchTeachers(folder, "cpu").told(shown)
    assert torch.allclose(one.answers, other.answers, atol=1e-2) and len(one.answers.unique()) > 3
    assert [seen.shape for seen in one.maps] == [(2, 128, 5, 5), (2, 128, 5, 5), (2, 128, 8, 8)]
    for mine, theirs in zip(one.maps + one.embeddings, other.maps + other.embeddings, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-2 * mine.std()) and mine.std() > 0.1


def test_samples_are_balanced_and_carry_their_label():
    batch = gathered([next(iter(Stream(sources(), seed))) for seed in range(40)])
    assert 0.25 < batch["live"].mean() < 0.75
    assert torch.equal(batch["target"], batch["live"])
    assert set(batch["species"][batch["live"] == 1].tolist()) == {-1}


@pytest.mark.parametrize("uses", [1, 2])
def test_the_pool_gives_back_what_it_took(uses):
    pool, taken = ShufflePool(36, 1, uses), batches(40)
    given = [batch for x in taken for batch in pool.exchange(x)]
    assert len(given) == 38 * uses and all(len(b["target"]) == 18 for b in given)
    seen = {crop.numpy().tobytes() for b in given for crop in b["tight"]}
    made, mirrored = ({x.numpy().tobytes() for b in taken for crop in b["tight"] for x in [crop.flip(f)]} for f in ([], [1]))
    assert seen <= made | mirrored and len(seen) > 0.8 * len(made)
    assert 0.3 < len(seen & mirrored) / len(seen) < 0.7


def test_a_mirrored_sample_is_mirrored_in_every_crop():
    pool = ShufflePool(18, 1)
    numbers = torch.arange(36, dtype=torch.uint8).view(18, 1, 2, 1)  # each sample's picture is two pixels beside each other
    batch = batches(1)[0] | {"tight": numbers}
    batch["context"] = batch["tight"] + 100
    pool.exchange(batch)
    (given,) = pool.exchange(batch)
    assert torch.equal(given["context"], given["tight"] + 100) and len(given["tight"].unique()) == 36
    assert (given["tight"][:, 0, 0] > given["tight"][:, 0, 1]).sum() == 9


def test_hints_are_learned_but_not_those_of_mirrored_samples():
    torch.manual_seed(3)
    wanted = told(torch.zeros(18, 3))
    places = {WITHIN: torch.tensor([[0.1, 0.0, 0.8, 0.8]]).expand(18, 4)}
    batch = batches(1)[0] | as_samples(wanted.maps, wanted.embeddings) | places
    trainer = Trainer(Plan(2e-2))
    first = trainer.train_batch(batch, 0.0)
    for _ in range(15):
        last = trainer.train_batch(batch, 0.0)
    for name in CROPS:
        assert last[f"{name}'s hints"] < 0.9 * first[f"{name}'s hints"]
    pool = ShufflePool(18, 1)
    pool.exchange(batch)
    (given,) = pool.exchange(batch)
    assert given[HINTED_SAMPLE].sum() == 9
    hints, maps, features = trainer.hints["tight"], torch.rand(18, 128, 8, 8), torch.rand(18, 256)
    known = given[HINTED_SAMPLE].view(-1, 1)
    changed = given | {"embedding2": torch.where(known, given["embedding2"], torch.nan).half()}
    assert torch.equal(hints(maps, features, given), hints(maps, features, changed)) and hints(maps, features, given) > 0
    assert hints(maps, features, given | {HINTED_SAMPLE: torch.zeros(18, dtype=torch.bool)}) == 0


def test_the_tight_crop_lies_where_the_mirrored_one_shows_the_same():
    """A ramp across and one down tell for every pixel of a crop where it lies in the picture."""
    yy, xx = np.mgrid[0:240, 0:200]
    ramps = np.stack([xx, yy, 0 * xx], 2).astype(np.uint8)
    stream, displaced = Stream(sources(), 7), 0
    for box in ([60, 70, 80, 100], [2, 3, 80, 100], [110, 130, 88, 108], [5, 5, 190, 230]) * 8:
        cuts = stream._cuts(ramps, np.float32(box))
        left, top, wide, high = cuts[WITHIN]
        tight, mirrored = cuts["tight"].astype(float), cuts[MIRRORED].astype(float)
        for at in ((20, 30), (64, 64), (100, 90)):
            x, y = left + wide * at[1] / SIZE, top + high * at[0] / SIZE
            if 0.1 < x < 0.9 and 0.1 < y < 0.9:  # a little of the crop may lie beyond, or where the other is mirrored
                difference = np.abs(mirrored[int(y * SIZE), int(x * SIZE)] - tight[at])
                displaced += difference.max() < 4
    assert displaced > 70


def test_maps_are_compared_where_they_show_the_same():
    torch.manual_seed(5)
    seen = F.interpolate(torch.randn(3, 128, 4, 4), (8, 8), mode="bilinear")
    places = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.5, 0.5], [torch.nan] * 4])
    part = F.interpolate(seen[1:2, :, 4:8, 2:6], (8, 8), mode="bilinear")
    guessed = torch.cat([seen[:1], part, torch.full((1, 128, 8, 8), 9.0)])
    assert moved_loss(guessed, seen, places) < 0.02 < 0.2 < moved_loss(guessed, seen, places[[0, 0, 2]])
    assert moved_loss(guessed, seen, places[[2, 2, 2]]) == 0


def test_haze_darkens_no_class_more_than_the_other():
    """Stray light and levels are those of one camera for all; a hazy frame is as likely as a deep black."""
    camera, dark = Camera(np.random.default_rng(2)), np.zeros((40, 40, 3), np.uint8)
    dark[:, 20:] = 255
    blacks = [camera.shoot(dark)[10:30, 4:12].mean() for _ in range(300)]
    assert 0.1 < np.mean(np.array(blacks) > 50) < 0.4 and np.mean(np.array(blacks) < 12) > 0.25


def test_large_faces_are_enlarged_as_often_as_small_ones():
    """An enlarged picture has no fine detail left; noise has all of it."""
    stream, noise = Stream(sources(), 5), np.random.default_rng(1).integers(0, 256, (480, 400, 3), np.uint8)
    shares = []
    for factor in (1, 5):
        image, box = np.ascontiguousarray(noise[: 480 // factor, : 400 // factor]), BOX * np.float32(2 / factor)
        made = [stream._distance(image, box) for _ in range(300)]
        assert all(max(face[2:]) <= max(box[2:]) * 1.02 for _, face in made)
        fine = [cv2.Laplacian(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std() / picture.std() for picture, _ in made]
        shares.append(np.mean(np.array(fine) < 0.75 * np.median(fine)))
    assert all(0.05 < share < 0.4 for share in shares) and abs(shares[0] - shares[1]) < 0.12


def test_imitation_counts_known_answers_only():
    answers = torch.tensor([[1.0, 2.0, 0.0]], requires_grad=True)
    shares, unknown = torch.tensor([0.5, 0.3, 0.2]), torch.full((1, 3), torch.nan)
    assert imitation_loss(answers, unknown, shares).item() == 0
    assert imitation_loss(answers, torch.tensor([[1.0, torch.nan, 0.0]]), shares).item() == 0
    # An answer that is off by two costs one and a half.
    taught = torch.cat([torch.tensor([[1.0, 0.0, 0.0]]), unknown])
    assert imitation_loss(answers.expand(2, 3), taught, shares).item() == pytest.approx(1.5 * 0.3)


def test_training_lowers_the_loss_and_resumes(tmp_path):
    torch.set_num_threads(1)
    # The rate warms up over 200 steps, of which this test sees the first twenty.
    trainer, batch = Trainer(Plan(4e-2, 1, blocks=(1, 1, 1))), batches(1)[0]
    losses = [sum(trainer.train_batch(batch, 0.0).values()) for _ in range(20)]
    assert losses[-1] < 0.6 * losses[0]
    trainer.save(tmp_path / "checkpoint.pt")
    other = Trainer(Plan(3e-3, 2, blocks=(1, 1, 1)))
    other.resume(tmp_path / "checkpoint.pt")
    assert other.step == 20
    for mine, theirs in zip(trainer.nets.parameters(), other.nets.parameters()):
        assert torch.equal(mine, theirs)
    loaded = load_average(tmp_path / "checkpoint.pt").state_dict()
    assert loaded.keys() == trainer.average.state_dict().keys()
    kept = {name: value for name, value in trainer.average.state_dict().items() if ".head." not in name}
    assert all(torch.equal(loaded[name], value) for name, value in kept.items())


def test_a_source_that_is_left_out_teaches_nothing():
    batch = batches(1, seed=5)[0]
    kept = permitted(batch, (0,))
    # Attacks of the other source that show a person of this one are left out with it.
    assert set(kept["origin"].flatten().tolist()) == {1} and set(kept["live"].tolist()) == {0.0}
    assert len(kept["tight"]) == len(kept["target"]) == int((batch["origin"][:, 0] == 1).sum()) > 0
    # What the others look like makes no difference to a pair.
    others = batch["origin"][:, 0] == 0
    changed = batch | {name: torch.where(others.view(-1, 1, 1, 1), 0, batch[name]) for name in CROPS}
    trainers = [Trainer(Plan(left_out=(0,), blocks=(1, 1, 1))) for _ in range(2)]
    for trainer, seen in zip(trainers, (batch, changed), strict=True):
        torch.manual_seed(2)  # of the dropout
        trainer.train_batch(seen, 0.0)
    one, other = (trainer.nets.state_dict() for trainer in trainers)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_several_sources_may_be_left_out_of_one_pair(tmp_path):
    args = _arguments(["--data", "-", "--out", str(tmp_path), "--leave-out", "b", "a+c", "--only-leave-out"])
    plans = {name: trainer.plan.left_out for name, trainer in trainers_of(args, ("a", "b", "c")).items()}
    assert plans == {"without-b": (1,), "without-a+c": (0, 2)}
    for refused in (["--only-leave-out"], ["--only-leave-out", "--leave-out", "b", "--blocks", "1,1,1", "1,2,2"]):
        with pytest.raises(SystemExit):
            _arguments(["--data", "-", *refused])


@pytest.mark.parametrize(("left_out", "said"), [("b+x", "no source x; there are a, b"), ("b+a", "nothing would be left")])
def test_what_cannot_be_left_out_is_said(tmp_path, left_out, said):
    args = _arguments(["--data", "-", "--out", str(tmp_path), "--leave-out", left_out])
    with pytest.raises(SystemExit, match=said):
        trainers_of(args, ("a", "b"))


def test_mixtures_lie_between_two_clips_and_have_no_label():
    stream = iter(Stream(sources(), 4))
    batch = collate([next(stream) for _ in range(6)], ("a", "b"))
    more = with_mixtures(batch, 0.5, torch.Generator().manual_seed(1))
    assert len(more["tight"]) == len(more["context"]) == 18 and len(more["live"]) == 9
    assert torch.equal(more["tight"][:12], batch["tight"]) and torch.equal(more["live"][:6], batch["live"])
    assert more["live"][6:].isnan().all() and set(more["trust"][6:].tolist()) == {0.0}
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.randperm(6, generator=generator)[:3] for _ in range(2))
    assert torch.equal(more["origin"][6:], torch.cat([batch["origin"][first], batch["origin"][second]], 1))
    cuts = batch["context"].unflatten(0, (6, 2)).float()
    made, one, other = more["context"][12:].unflatten(0, (3, 2)).float(), cuts[first], cuts[second]
    low, high = torch.minimum(one, other)[0], torch.maximum(one, other)[0]
    assert ((made[0] >= low) & (made[0] <= high)).all()
    assert ((made[1] == one[1]) | (made[1] == other[1])).all()


def test_a_texture_leaves_the_shapes_of_the_other_clip():
    """A hundredth of the brightness stays coarse: what is reduced and enlarged again is not quite what it was."""
    shapes, texture = (torch.from_numpy(picture(i, 64, 64)).float()[None, None] for i in (1, 2))
    texture = texture + 20 * (torch.arange(64) % 2)[:, None]
    mixed = Mixture(1, torch.Generator().manual_seed(2))(shapes, texture)
    assert (mixed.mean() - shapes.mean()).abs() < 1
    assert ((mixed[..., 1::2, :] - mixed[..., ::2, :]).mean() - 20).abs() < 1


def test_mixtures_are_alike_in_every_crop():
    a, b = torch.zeros(3, 2, 8, 8, 3), torch.full((3, 2, 8, 8, 3), 200.0)
    mixture = Mixture(3, torch.Generator().manual_seed(3))
    assert torch.equal(mixture(a, b), mixture(a, b))
    assert not torch.equal(mixture(a, b)[0], mixture(a, b)[1])


def test_a_pair_sees_no_mixture_with_the_source_that_is_left_out():
    origin = torch.tensor([[0, 0], [1, 1], [1, 0], [0, 1]])
    assert permitted({"origin": origin}, (0,))["origin"].tolist() == [[1, 1]]


def test_what_has_no_label_teaches_the_imitation_alone():
    logits = torch.zeros(2, 3, requires_grad=True)
    live, species = torch.tensor([1.0, torch.nan]), torch.tensor([-1, -1])
    loss_of(logits, torch.tensor([0.9, torch.nan]), live, species).backward()
    assert logits.grad[0, 0] != 0 and torch.equal(logits.grad[1], torch.zeros(3))
    assert loss_of(logits, torch.full((2,), torch.nan), torch.full((2,), torch.nan), species).item() == 0


def test_unlabelled_clips_get_their_share():
    clips = tuple((picture(i), BOX) for i in range(2))
    stream = iter(Stream([*sources(), Source("c", None, (-1,) * 2, 0.0, clips, 1.0, ("c",) * 2)], 4))
    drawn = [next(stream).live for _ in range(200)]
    assert 0.1 < drawn.count(None) / 200 < 0.3 and 60 < drawn.count(True) < 100


def test_exported_networks_are_trained_further_from_the_same_answers(tmp_path):
    torch.manual_seed(1)
    net, x = LivenessNet((1, 1, 1)), torch.randn(40, 3, 128, 128)
    net.imitation.reset_parameters()
    with torch.no_grad():
        for _ in range(10):
            net.train()(x)
        taught = net.eval().imitation(net.embed(x))
        answers = copy.deepcopy(net).fold_imitation()(x)
    export_spoof(copy.deepcopy(net).fold_imitation(), tmp_path / "net.onnx")
    again = LivenessNet((1, 1, 1)).unfold(initial_weights(tmp_path / "net.onnx"), x, taught)
    with torch.no_grad():
        assert torch.allclose(again.fold_imitation()(x), answers, atol=0.01 * answers.std())
        learning = again.train().features(x)
        assert torch.allclose(learning, again.eval().features(x), atol=1e-3)
    untaught = LivenessNet((1, 1, 1)).unfold(initial_weights(tmp_path / "net.onnx"), x, torch.full((40, 3), torch.nan))
    with torch.no_grad():
        assert torch.allclose(untaught(x), answers, atol=0.01 * answers.std())
    with pytest.raises(ValueError, match="other layers"):
        LivenessNet((2, 1, 1)).unfold(initial_weights(tmp_path / "net.onnx"), x, taught)


def test_teachers_decide_where_the_label_is_not_trusted():
    class Certain:
        def told(self, shown):
            assert [x.shape for x in shown] == [(12, 80, 80, 3), (12, 80, 80, 3), (12, 128, 128, 3)]
            return told(torch.full((len(shown[0]), 3), 9.0))

    stream = iter(Stream(sources(), 4))
    clips = [next(stream) for _ in range(6)]
    for clip in clips:
        clip.trust = 0.25
    samples = taught_samples(collate(clips, ("a", "b")), Certain(), "cpu")
    expected = 0.25 * samples["live"] + 0.75
    assert torch.allclose(samples["target"], expected, atol=1e-2) and samples["taught"].shape == (12, 3)


def test_imitation_is_folded_into_the_live_logit_alone():
    torch.manual_seed(1)
    net, x = LivenessNet((1, 1, 1), (0.5, 0.3, 0.2)).eval(), torch.randn(2, 3, 80, 80)
    net.imitation.reset_parameters()
    with torch.no_grad():
        before, imitated = net(x), net.imitation(net.embed(x))
        after = net.fold_imitation()(x)
    expected = before[:, 0] + IMITATION_SHARE * (imitated * torch.tensor([0.5, 0.3, 0.2])).sum(1)
    assert torch.allclose(after[:, 0], expected, atol=1e-5)
    assert torch.equal(after[:, 1:], before[:, 1:])


def test_without_teachers_the_labels_alone_decide():
    trainer, stream = Trainer(Plan()), iter(Stream(sources(), 4))
    batch = taught_samples(collate([next(stream) for _ in range(4)], ("a", "b")), None, "cpu")
    start = copy.deepcopy(trainer.nets.state_dict())
    trainer.train_batch(batch, 0.0)
    for name, net in trainer.nets.eval().items():
        x = torch.randn(2, 3, 128, 128)
        with torch.no_grad():
            assert not torch.equal(net.head.weight, start[f"{name}.head.weight"])
            assert torch.equal(copy.deepcopy(net).fold_imitation()(x), net(x))


def test_fusion_finds_the_weights_of_known_data():
    rng = np.random.default_rng(1)
    z = rng.normal(0, 2, (4000, 2))
    live = (rng.random(4000) < 1 / (1 + np.exp(-(z[:, 0] + z[:, 1] - 0.7)))).astype(float)
    weights, bias = fit(z, live, np.full(4000, 1 / 4000))
    assert abs(weights - 1).max() < 0.2 and abs(bias + 0.7) < 0.2


def test_metrics_by_hand():
    bona, attack = np.array([0.9, 0.8, 0.4]), np.array([0.5, 0.3, 0.1, 0.4])
    assert metrics.auc(bona, attack) == pytest.approx((4 + 4 + 2.5) / 12)
    assert metrics.eer(np.array([0.9, 0.8]), np.array([0.1, 0.2])) == 0
    assert metrics.apcer_at_bpcer(bona, attack, 0.0) == 0.5
    low, high = metrics.clopper_pearson(0, 100)
    assert low == 0 and high == pytest.approx(0.0362, abs=2e-4)
    low, high = metrics.clopper_pearson(5, 50)
    assert (low, high) == (pytest.approx(0.0333, abs=2e-4), pytest.approx(0.2181, abs=2e-4))
