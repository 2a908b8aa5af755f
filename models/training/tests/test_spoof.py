"""The liveness networks' training, on generated pictures only."""

import numpy as np
import pytest
import torch

from training.geometry import crop_rect, cut
from training.spoof import metrics, recapture
from training.spoof.camera import Camera
from training.spoof.clips import CROPS, SIZE, Source, Stream
from training.spoof.fuse import fit
from training.spoof.soup import main as soup
from training.spoof.train import ShufflePool, Trainer, collate, imitation_loss, load_average


def picture(seed: int, height: int = 240, width: int = 200) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (recapture.smooth_noise(rng, height, width, 12)[..., None] * 40 + rng.uniform(90, 160, 3)).clip(0, 255).astype(np.uint8)


BOX = np.float32([60, 70, 80, 100])


def sources() -> list[Source]:
    live = tuple((picture(i), BOX) for i in range(4))
    attack = tuple((255 - picture(i) // 2, BOX) for i in range(4, 8))
    return [Source("a", True, (-1,) * 4, 1.0, live, 1.0), Source("b", False, (0, 1, 0, 1), 1.0, attack, 1.0)]


def batches(count: int, seed: int = 3):
    stream = iter(Stream(sources(), None, seed))
    return [collate([next(stream) for _ in range(6)]) for _ in range(count)]


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


def test_samples_are_balanced_and_carry_their_label():
    batch = collate([next(iter(Stream(sources(), None, seed))) for seed in range(40)])
    assert 0.25 < batch["live"].mean() < 0.75
    assert np.array_equal(batch["target"], batch["live"].astype(np.float32))
    assert set(batch["species"][batch["live"] == 1]) == {-1}


@pytest.mark.parametrize("uses", [1, 2])
def test_the_pool_gives_back_what_it_took(uses):
    pool, taken = ShufflePool(36, 1, uses), batches(40)
    given = [batch for x in taken for batch in pool.exchange(x)]
    assert len(given) == 38 * uses and all(len(b["target"]) == 18 for b in given)
    seen = {crop.tobytes() for b in given for crop in b["tight"]}
    made = {crop.tobytes() for b in taken for crop in b["tight"]}
    assert seen <= made and len(seen) > 0.8 * len(made)


def test_imitation_counts_known_answers_only():
    answers = torch.tensor([[1.0, 2.0, 0.0]], requires_grad=True)
    unknown = torch.full((1, 3), torch.nan)
    assert imitation_loss(answers, unknown).item() == 0
    assert imitation_loss(answers, torch.tensor([[1.0, torch.nan, 0.0]])).item() == 0
    assert imitation_loss(answers, torch.tensor([[1.0, 0.0, 0.0]])).item() == pytest.approx(1.5 / 3)


def test_training_lowers_the_loss_and_resumes(tmp_path):
    torch.set_num_threads(1)
    # The rate warms up over 200 steps, of which this test sees the first twenty.
    trainer, batch = Trainer(4e-2, 1), batches(1)[0]
    losses = [sum(trainer.train_batch(batch, 0.0).values()) for _ in range(20)]
    assert losses[-1] < 0.6 * losses[0]
    trainer.save(tmp_path / "checkpoint.pt")
    other = Trainer(3e-3, 2)
    other.resume(tmp_path / "checkpoint.pt")
    assert other.step == 20
    for mine, theirs in zip(trainer.nets.parameters(), other.nets.parameters()):
        assert torch.equal(mine, theirs)
    loaded = load_average(tmp_path / "checkpoint.pt").state_dict()
    assert loaded.keys() == trainer.average.state_dict().keys()
    assert all(torch.equal(loaded[name], value) for name, value in trainer.average.state_dict().items())


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


def test_a_soup_is_the_mean_of_each_networks_own_checkpoints(tmp_path):
    paths = [tmp_path / "first.pt", tmp_path / "last.pt"]
    for seed, path in enumerate(paths):
        Trainer(1e-3, seed).save(path)
    first, last = (load_average(path).state_dict() for path in paths)
    soup(["--tight", str(paths[1]), "--context", *map(str, paths), "--out", str(tmp_path / "soup.pt")])
    mixed = load_average(tmp_path / "soup.pt").state_dict()
    tight, context = (f"{name}.features.0.weight" for name in ("tight", "context"))
    assert torch.equal(mixed[tight], last[tight]) and not torch.equal(first[tight], last[tight])
    assert torch.allclose(mixed[context], (first[context] + last[context]) / 2)
