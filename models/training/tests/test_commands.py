"""The liveness networks' training, command after command, on one portrait."""

import json
import shutil

import cv2
import pytest
import torch

from training import compare
from training.evaluation.presentations import load
from training.export import MODELS, read_manifest
from training.spoof import average, fuse, pack, render, train
from training.spoof.clips import real_sources
from training.spoof.evaluate import ValidationSet
from training.spoof.train import load_average
from training.tests.conftest import PORTRAIT, write_portraits


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A web portrait, a photographed person and a print of her, each in train and val, and an empty room."""
    folder = tmp_path_factory.mktemp("data")
    portrait = cv2.imread(str(PORTRAIT))
    kinds = (
        ("faces", "lfw", "", 1.0), ("liveness", "nuaa", "live", 0.8), ("liveness", "nuaa", "print", 0.5), ("none", "rooms", "none", 0.0)
    )  # fmt: skip
    write_portraits(folder, (
        ({"kind": kind, "source": source, "label": label, "split": split}, portrait * dim + 40)
        for kind, source, label, dim in kinds for split in ("train", "val")
    ))  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def recapture(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("recapture")
    render.main(["--data", str(data), "--out", str(out), "--count", "4", "--workers", "1"])
    return out


def trained(data, recapture, out, *options):
    size = ["--clips", "4", "--pool", "16", "--workers", "0", "--save", "1", "--uses", "1"]
    train.main(["--data", str(data), "--recapture", str(recapture), "--out", str(out), *size, *options])
    return out / "blocks-111.pt"


def test_from_images_to_files_that_the_library_reads(data, recapture, tmp_path, capsys):
    checkpoint = trained(data, recapture, tmp_path / "run", "--steps", "2", "--leave-out", "nuaa")
    assert "blocks-111: val tight: nuaa " in capsys.readouterr().out and (tmp_path / "run" / "without-nuaa.pt").exists()
    wide = trained(data, recapture, tmp_path / "wide", "--steps", "1", "--networks", "context", "--seed", "2")
    assert list(load_average(wide)) == ["context"] and "tight" not in capsys.readouterr().out
    models = tmp_path / "models"
    models.mkdir()
    for file in [*MODELS.glob("*.onnx"), MODELS / "manifest.json"]:
        shutil.copy(file, models)
    before = {n["name"]: n["sha256"] for n in read_manifest(models)["spoof"]["networks"]}
    fuse.main(["--data", str(data), "--checkpoint", str(checkpoint), "--wide", str(wide), "--out", str(models)])
    after = {n["name"]: n["sha256"] for n in read_manifest(models)["spoof"]["networks"]}
    assert before.keys() == after.keys() and not set(before.values()) & set(after.values())
    none = str(tmp_path / "none.pt")
    others = ["--detector", none, "--mask", none]
    named = ["--data", str(data), "--models", str(models), "--spoof", str(checkpoint), "--wide", str(wide), *others]
    compare.main(named)
    files = {line.split()[0] for line in capsys.readouterr().out.splitlines() if ".onnx" in line}
    assert files == {"liveness_tight.onnx", "liveness_context.onnx", "liveness_wide.onnx"}
    with pytest.raises(SystemExit, match="export the checkpoint again"):
        compare.main(["--data", str(data), "--models", str(MODELS), "--spoof", str(checkpoint), *others])


def test_the_mean_of_checkpoints_is_one(data, recapture, tmp_path):
    checkpoints = [trained(data, recapture, tmp_path / name, "--steps", "1", "--seed", name) for name in "12"]
    stream = ["--data", str(data), "--recapture", str(recapture), "--clips", "4", "--workers", "0", "--batches", "2"]
    out = tmp_path / "runs" / "mean.pt"
    average.main([*stream, "--mixtures", "0.5", "--checkpoints", *map(str, checkpoints), "--out", str(out)])
    mean, *nets = (torch.load(path, weights_only=True)["average"] for path in (out, *checkpoints))
    for name, value in mean.items():
        expected = (nets[0][name].float() + nets[1][name].float()) / 2
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(value.float(), expected, atol=1e-3), name
    first = "tight.features.1.running_mean"
    assert not torch.allclose(mean[first], nets[0][first].float(), atol=1e-3)
    assert load_average(out)["tight"].features[1].num_batches_tracked == 2


def test_the_mean_of_networks_without_a_source_does_not_see_it_either(data, recapture, tmp_path, monkeypatch):
    checkpoints = [tmp_path / "a" / "without-nuaa.pt", tmp_path / "b" / "without-nuaa.pt"]
    for path in checkpoints:
        trained(data, recapture, path.parent, "--steps", "1", "--leave-out", "nuaa", "--only-leave-out")
    seen, measure = [], average.measure
    monkeypatch.setattr(average, "measure", lambda nets, batches: measure(nets, (seen.append(b) or b for b in batches)))
    stream = ["--data", str(data), "--recapture", str(recapture), "--clips", "8", "--workers", "0", "--batches", "3"]
    args = [*stream, "--mixtures", "0.5", "--checkpoints", *map(str, checkpoints)]
    average.main([*args, "--leave-out", "nuaa", "--out", str(tmp_path / "without-nuaa.pt")])
    assert len(seen) == 3 and all((batch["origin"] == 0).all() for batch in seen)  # of ("lfw", "nuaa")
    assert all(0 < len(batch["tight"]) == len(batch["origin"]) < 24 for batch in seen)
    for more in (["without-nuaa.pt"], ["mean.pt", "--leave-out", "nuaa"], ["without-lfw.pt", "--leave-out", "lfw"]):
        with pytest.raises(SystemExit, match="without-SOURCE.pt goes with --leave-out SOURCE"):
            average.main([*args, "--out", str(tmp_path / "refused" / more[0]), *more[1:]])


def test_pairs_that_a_source_is_left_out_of_are_trained_alone(data, recapture, tmp_path, capsys):
    def steps(number: int) -> int:
        left_out = ["--leave-out", "nuaa", "lfw", "--only-leave-out", "--sparing", "2"]
        trained(data, recapture, tmp_path, "--steps", str(number), *left_out)
        return torch.load(tmp_path / "without-nuaa.pt", weights_only=True)["step"]

    assert steps(2) == 1 and torch.load(tmp_path / "without-lfw.pt", weights_only=True)["step"] == 1
    assert sorted(path.name for path in tmp_path.glob("*.pt")) == ["without-lfw.pt", "without-nuaa.pt"]
    assert steps(2) == 1 and "all of the 2 steps are done" in capsys.readouterr().out
    assert steps(3) == 2 and "resumed at step 1" in capsys.readouterr().out


def test_a_run_goes_on_where_it_ended_and_minutes_end_it(data, recapture, tmp_path, capsys):
    trained(data, recapture, tmp_path, "--steps", "1")
    trained(data, recapture, tmp_path, "--minutes", "0.0001")
    out = capsys.readouterr().out
    assert "resumed at step 1" in out and "step 2 loss" in out
    trained(data, recapture, tmp_path, "--steps", "2")
    assert torch.load(tmp_path / "blocks-111.pt", weights_only=True)["step"] == 2
    assert "all of the 2 steps are done" in capsys.readouterr().out


def test_shipped_networks_are_trained_further(data, recapture, tmp_path, capsys):
    trained(data, recapture, tmp_path, "--steps", "1", "--start", str(MODELS))
    assert "blocks-111 step 1 loss" in capsys.readouterr().out


def test_what_is_packed_for_another_machine_is_enough_to_train_there(data, recapture, tmp_path, capsys):
    pack.main(["--data", str(data), "--out", str(tmp_path / "packed")])
    trained(tmp_path / "packed", recapture, tmp_path / "run", "--steps", "1")
    assert "val tight" not in capsys.readouterr().out


def write_own(folder, *labels, background=True):
    """Pictures of one source that this project does not know."""
    kinds = [("liveness", "mine", label) for label in labels] + [("none", "wall", "none")] * background
    portrait = cv2.imread(str(PORTRAIT))
    write_portraits(folder, (
        ({"kind": kind, "source": source, "label": label, "split": split}, portrait)
        for kind, source, label in kinds for split in ("train", "val")
    ))  # fmt: skip


def test_attacks_are_simulated_from_photographed_people_where_there_are_no_portraits(tmp_path):
    write_own(tmp_path, "live", "print")
    args = ["--data", str(tmp_path), "--count", "4", "--workers", "1", "--out", str(tmp_path / "out")]
    render.main(args)
    assert {item["origin"] for item in json.loads((tmp_path / "out" / "index.json").read_text())} == {"mine"}
    write_own(tmp_path, "live", background=False)
    with pytest.raises(SystemExit, match="no image of kind none as a background"):
        render.main(args)


def test_a_label_means_the_same_to_every_command(tmp_path):
    write_own(tmp_path, "live", "cutout")
    assert {s.name: s.live for s in real_sources(tmp_path) if s.live is False} == {"mine": False}
    data = ValidationSet(tmp_path, read_manifest()["spoof"]["networks"])
    assert data.live.tolist() == [True, False] and data.labelled.all()
    assert [p.species for p in load(tmp_path)] == ["live", "cutout"]
    write_own(tmp_path, "live", "")
    for reads in (real_sources, lambda root: ValidationSet(root, []), load):
        with pytest.raises(ValueError, match="mine--(train|val).png: an image of kind liveness needs a label"):
            reads(tmp_path)
