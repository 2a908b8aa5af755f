"""Figures against hand-computed ones and SciPy, and whole runs on pictures made from the portrait."""

import copy
import csv
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from training.evaluation import __main__ as evaluation
from training.evaluation import card, everything, leave_one_out, markdown, mistakes, quality, sheet, stability
from training.evaluation.figures import Judged, curve, figures, operating_points, part
from training.evaluation.pose import pose
from training.evaluation.presentations import Presentation, load, locate, read
from training.evaluation.rates import Rate
from training.evaluation.scorers import Fusion, Outcome
from training.evaluation.tone import TONES, tone_of
from training.export import MODELS, read_manifest
from training.geometry import MASK_TEMPLATE
from training.spoof import metrics, recapture
from training.spoof.evaluate import ValidationSet, means_so_far, settled
from training.spoof.fuse import WEB_WEIGHT, fit_looks, of_unseen_groups, sample_weights, summary
from training.spoof.train import Plan, Trainer
from training.tests.conftest import PORTRAIT, write_portraits


def presentation(species="live", source="a", group="g", **values) -> Presentation:
    return Presentation(Path("x.png"), f"{source}/{species}/{group}.png", species, source, group, **values)


def judged(*rows: tuple[str, float | None]) -> Judged:
    """Species and score per image, each image its own group."""
    people = [presentation(species, group=str(i)) for i, (species, _) in enumerate(rows)]
    return Judged(people, [Outcome(score, "" if score is not None else "no_face") for _, score in rows])


class TestMetrics:
    @pytest.mark.parametrize(("errors", "count"), [(0, 1), (0, 100), (100, 100), (5, 50), (1, 3), (399, 400)])
    def test_intervals_are_those_of_scipy(self, errors, count):
        exact = binomtest(errors, count).proportion_ci(0.95, "exact")
        assert metrics.clopper_pearson(errors, count) == pytest.approx((exact.low, exact.high), abs=1e-9)

    def test_nothing_measured_may_be_anything(self):
        assert metrics.clopper_pearson(0, 0) == (0.0, 1.0)
        assert str(Rate.of([])) == "-"

    def test_rates(self):
        rate = Rate.of([True, False, False, False])
        assert (rate.errors, rate.count, rate.value) == (1, 4, 0.25)
        assert str(rate) == "25.0 % [0.6, 80.6] (n=4)"

    def test_a_bpcer_is_never_exceeded(self):
        bona = np.arange(20.0)
        assert (bona < metrics.threshold_at_bpcer(bona, 0.05)).sum() == 1
        assert (bona[:19] < metrics.threshold_at_bpcer(bona[:19], 0.05)).sum() == 0
        assert metrics.apcer_at_bpcer(bona, np.array([0.5, 1.0, 7.0, -1.0]), 0.05) == 0.5

    def test_one_group_gives_the_figures_of_the_sample_in_every_round(self):
        rng = np.random.default_rng(4)
        live = rng.random(200) < 0.4
        scores = (live + rng.normal(0, 1, 200)).round(1)
        areas, errors = metrics.bootstrap(scores, live, np.zeros(200), rounds=3)
        assert areas == pytest.approx([metrics.auc(scores[live], scores[~live])] * 3)
        assert errors == pytest.approx([metrics.eer(scores[live], scores[~live])] * 3)

    def test_copies_of_an_image_narrow_nothing(self):
        """A hundred frames of one person are one observation, not a hundred."""
        rng = np.random.default_rng(5)
        live = np.repeat(np.arange(20) % 2 == 0, 100)
        scores = np.repeat(rng.normal(0, 1, 20), 100) + live

        def spread(groups):
            return np.ptp(np.quantile(metrics.bootstrap(scores, live, groups)[0], (0.025, 0.975)))

        assert spread(np.repeat(np.arange(20), 100)) > 5 * spread(np.arange(2000))

    def test_reliability(self):
        stated, live = np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 1.0, 1.0, 1.0])
        assert metrics.reliability(stated, live) == [(pytest.approx(0.1), 0.5, 2), (pytest.approx(0.9), 1.0, 2)]
        assert metrics.expected_calibration_error(stated, live) == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)


class TestFigures:
    TABLE = judged(
        *[("live", 0.9)] * 4, ("live", 0.2), ("live", None),
        *[("print", 0.1)] * 2, *[("print", 0.8)] * 2,
        *[("screen", 0.1)] * 3, ("screen", 0.5), ("screen", None),
    )  # fmt: skip

    def test_acer_takes_the_worst_species(self):
        found = part("all", self.TABLE, 0.5, rounds=50)
        assert {name: rate.value for name, rate in found.apcer.items()} == {"print": 0.5, "screen": 0.25}
        assert found.bpcer.value == 0.2
        assert found.acer == pytest.approx((0.5 + 0.2) / 2)

    def test_what_got_no_verdict_is_counted_apart(self):
        found = part("all", self.TABLE, 0.5, rounds=50)
        assert {name: rate.value for name, rate in found.apnrr.items()} == {"print": 0.0, "screen": 0.2}
        assert (found.bpnrr.errors, found.bpnrr.count, found.bpcer.count) == (1, 6, 5)
        assert found.reasons == {"no_face": 2}
        assert (found.curve.bona_fide, found.curve.attacks) == (5, 8)

    def test_one_class_alone_has_no_curve(self):
        found = part("web", judged(("live", 0.9), ("live", 0.1)), 0.5)
        assert found.curve is None
        assert found.acer is None
        assert found.apcer == {}
        assert found.bpcer.value == 0.5

    @pytest.mark.parametrize(("groups", "enough"), [("123456", True), ("113456", False), ("123455", False)])
    def test_intervals_need_three_groups_of_each_class(self, groups, enough):
        people = [presentation(s, group=g) for s, g in zip(["live"] * 3 + ["print"] * 3, groups, strict=True)]
        found = curve(Judged(people, [Outcome(v) for v in (0.9, 0.8, 0.7, 0.3, 0.85, 0.2)]), rounds=200)
        assert found.auc == pytest.approx(7 / 9)
        assert (found.auc_interval is not None) == (found.eer_interval is not None) == enough
        assert not enough or found.auc_interval[0] < 7 / 9 < found.auc_interval[1]

    def test_groups_that_err_nowhere_have_no_interval(self):
        people = [presentation(s, group=g) for s, g in zip(["live"] * 3 + ["print"] * 3, "123456", strict=True)]
        found = curve(Judged(people, [Outcome(v) for v in (0.9, 0.8, 0.7, 0.3, 0.1, 0.2)]), rounds=200)
        assert (found.auc, found.auc_interval, found.eer, found.eer_interval) == (1.0, None, 0.0, None)

    def test_operating_points_hold_portraits_apart(self):
        people = [presentation(), presentation(assumed=True), presentation("print")]
        points = {p.threshold: p for p in operating_points(Judged(people, [Outcome(v) for v in (0.95, 0.45, 0.55)]))}
        assert points[0.5].bpcer_camera.value == 0
        assert points[0.5].bpcer_portraits.value == 1
        assert points[0.5].apcer["print"].value == 1
        assert points[0.6].apcer["print"].value == 0

    def test_a_report_names_every_part(self):
        rows = ("live", "a"), ("print", "a"), ("live", "b"), ("screen", "b")
        people = [presentation(s, source=a, group=str(i)) for i, (s, a) in enumerate(rows)]
        found = figures("test", Judged(people, [Outcome(v) for v in (0.9, 0.1, 0.6, 0.7)]), 0.5, {}, rounds=20)
        assert [p.name for p in found.parts] == ["a", "b", "all with labels"]
        text = markdown.errors(found)
        assert "| a | print 0.0 % [0.0, 97.5] (n=1) | 0.0 % [0.0, 97.5] (n=1) | 0.0 % |" in text
        assert "| b | screen 100.0 % [2.5, 100.0] (n=1) |" in text
        assert "APCER at BPCER 1 %" in markdown.comparison([found, replace(found, title="other")], ["a"])

    def test_unequal_columns_are_refused(self):
        with pytest.raises(ValueError, match="1 presentations but 0 outcomes"):
            Judged([presentation()], [])


class TestLoading:
    def picture(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))

    def test_folders_name_label_and_source(self, tmp_path):
        for name in ("a/live/1.png", "a/replay/2.png", "print/3.png"):
            self.picture(tmp_path / name)
        found = {p.name: (p.species, p.source) for p in load(tmp_path)}
        assert found == {
            "a/live/1.png": ("live", "a"), "a/replay/2.png": ("screen", "a"), "print/3.png": ("print", tmp_path.name),
        }  # fmt: skip

    def test_a_csv_of_your_own(self, tmp_path):
        (tmp_path / "mine.csv").write_text("path,label,source,group,split\nx.png,genuine,s,anna,val\ny.png,print,s,anna,train\n")
        (found,) = load(tmp_path / "mine.csv")
        assert (found.species, found.source, found.group, found.path) == ("live", "s", "anna", tmp_path / "x.png")
        assert len(load(tmp_path / "mine.csv", "all")) == 2

    def test_what_is_no_set_is_said(self, tmp_path):
        with pytest.raises(ValueError, match="no labelled image"):
            load(tmp_path)
        self.picture(tmp_path / "loose.png")
        with pytest.raises(ValueError, match="no folder that names its label"):
            load(tmp_path)
        (tmp_path / "bad.csv").write_text("path,label\nx.png,\n")
        with pytest.raises(ValueError, match="needs a path and a label"):
            load(tmp_path / "bad.csv")

    def test_images_without_one_face_have_no_box(self, tmp_path):
        self.picture(tmp_path / "live" / "empty.png")
        (tmp_path / "live" / "broken.png").write_bytes(b"no image")
        portrait = cv2.imread(str(PORTRAIT))
        cv2.imwrite(str(tmp_path / "live" / "one.png"), portrait)
        cv2.imwrite(str(tmp_path / "live" / "two.png"), np.hstack([portrait, portrait]))
        cv2.imwrite(str(tmp_path / "live" / "small.png"), cv2.resize(portrait, None, fx=0.25, fy=0.25))
        found = {Path(p.name).stem: p for p in locate(load(tmp_path), MODELS)}
        assert {name: p.missing for name, p in found.items() if p.box is None} == {
            "empty": "no_face", "broken": "002", "two": "several_faces", "small": "face_too_small",
        }  # fmt: skip
        assert found["one"].box is not None
        assert found["one"].points.shape == (5, 2)


class TestPeople:
    def test_pose(self):
        straight = MASK_TEMPLATE.copy()
        straight[2, 1] = 34.5 + 0.572 * 26.1
        assert np.abs(pose(straight)).max() < 1
        tilt = np.radians(30)
        turned = straight @ np.float32([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
        assert pose(turned).roll == pytest.approx(30, abs=0.1)
        straight[2, 0] += 10
        assert pose(straight).yaw > 35
        assert pose(np.zeros((5, 2))) is None

    def test_tone(self):
        for shade, expected in (((240, 205, 180), TONES[0]), ((60, 40, 25), TONES[2])):
            assert tone_of(np.full((96, 96, 3), shade, np.uint8), MASK_TEMPLATE) == expected


class TestStability:
    def test_jitter_stays_in_its_bounds(self):
        box = np.float32([100, 50, 40, 60])
        for moved in stability.jittered(box, np.random.default_rng(1), 200):
            assert np.abs(moved[:2] + moved[2:] / 2 - (120, 80)).max() <= 6.01
            assert 0.899 <= moved[2] / 40 <= 1.101
            assert moved[2] / 40 == pytest.approx(moved[3] / 60, abs=1e-4)

    def test_a_network_that_sees_nothing_is_stable(self, tmp_path):
        spec = {"name": "n", "views": [{"scale": 1.5, "mirror": False}], "crop": "square", "size": 32, "weights": [1.0]}
        fusion = Fusion([spec], [{"bias": 0.0}], {"n": lambda x: np.ones((len(x), 3), np.float32)})
        cv2.imwrite(str(tmp_path / "x.png"), np.full((64, 64, 3), 90, np.uint8))
        p = replace(presentation(), path=tmp_path / "x.png", box=np.float32([10, 10, 30, 30]))
        (series,) = stability.jitter_series([p], fusion, 5)
        assert series.deviation == pytest.approx(0, abs=1e-9)
        assert series.plain == pytest.approx(1 / (1 + np.exp(-1)))
        assert series.flips(0.5) == [False] * 5
        assert series.looks["brightness"] == pytest.approx(90 / 255, abs=1e-3)

    def test_flips_and_lost_verdicts(self):
        moved = {"a": 0.6, "b": 0.3, "c": None, "d": 0.4}
        found = stability.stability("x", [stability.Series(presentation(), 0.7, moved, {})], 0.5)
        assert (found.flips.errors, found.flips.count) == (2, 3)
        assert (found.changed_response.errors, found.changed_response.count) == (1, 4)
        assert found.deviation == pytest.approx(np.std([0.7, 0.6, 0.3, 0.4]))

    def test_disturbances_do_what_they_say(self):
        image = np.full((40, 60, 3), 100, np.uint8)
        done = {name: apply(image) for name, apply in stability.DISTURBANCES.items()}
        assert done["half size"].shape == (20, 30, 3)
        assert done["double size"].shape == (80, 120, 3)
        assert done["brightness x 0.7"][0, 0, 0] == 70
        assert done["gamma 1.4"][0, 0, 0] < 100 < done["gamma 0.7"][0, 0, 0]
        assert (done["sharpened"] == 100).all()
        black, white = (stability.DISTURBANCES["haze of 5 %"](np.full((1, 1, 3), level, np.uint8))[0, 0, 0] for level in (0, 255))
        assert black == round(0.05 ** (1 / 2.2) * 255) and white == 255
        assert 100 < done["haze of 2 %"][0, 0, 0] < done["haze of 5 %"][0, 0, 0]
        image[:, 30:] = 120
        edge = stability.DISTURBANCES["sharpened"](image)[0, 29:31, 0]
        assert edge[0] < 100 and edge[1] > 120
        assert cv2.imdecode(np.frombuffer(done["JPEG 60"], np.uint8), cv2.IMREAD_COLOR).shape == (40, 60, 3)

    def test_mistakes_are_what_they_say(self):
        image = np.zeros((20, 30, 3), np.uint8)
        image[0, 0] = (200, 100, 0)
        done = {name: apply(image) for name, apply in mistakes.MISTAKES.items()}
        turned = {"turned by 90 degrees": (0, 19), "turned by 180 degrees": (19, 29), "turned by 270 degrees": (29, 0)}
        for name, corner in {"none": (0, 0), "mirrored": (0, 29), **turned}.items():
            assert done[name][corner].tolist() == [200, 100, 0], name
        assert done["red and blue exchanged"][0, 0].tolist() == [0, 100, 200]
        assert len(set(done["grey"][0, 0])) == 1
        white = mistakes.MISTAKES["YUV of video range, read as of full range"](np.full((1, 1, 3), 255, np.uint8))
        assert white.tolist() == [[[235] * 3]]
        assert done["warm: red x 1.1, blue x 0.8"][0, 0].tolist() == [220, 100, 0]
        assert done["cold: red x 0.85, blue x 1.1"][0, 0].tolist() == [170, 100, 0]
        assert done["black bars above and below"].shape == (26, 30, 3)

    def test_what_a_mistake_costs(self):
        outcomes = [Outcome(0.7), Outcome(0.2), Outcome(None, "no_face"), Outcome(0.5)]
        found = mistakes.consequence("grey", "attacks", outcomes, 0.5)
        assert (found.live.errors, found.live.count) == (2, 3)
        assert (found.no_verdict.errors, found.no_verdict.count) == (1, 4)

    def test_what_cannot_be_read_has_no_verdict(self, tmp_path):
        (tmp_path / "x.png").write_bytes(b"no image")
        series = list(stability.disturbed_series([replace(presentation(), path=tmp_path / "x.png")], library=None))
        found = stability.stability("x", series, 0.5)
        assert (found.images, found.flips.count, found.changed_response.errors) == (0, 0, 0)

    def test_a_sub_sample_is_balanced_and_repeatable(self):
        many = [presentation(source=s, group=str(i)) for s, n in (("big", 50), ("small", 5)) for i in range(n)]
        chosen = stability.subsample(many, 8)
        assert sorted(p.source for p in chosen) == ["big"] * 4 + ["small"] * 4
        assert chosen == stability.subsample(many[::-1], 8)
        assert len(stability.subsample(many, 0)) == 55


def verdict(species: str, score: float, **measures: float) -> tuple[Presentation, Outcome]:
    usual = {"face_size": 200.0, "outside": 0.0, "yaw": 0.0, "pitch": 0.0, "roll": 0.0, "brightness": 0.5}
    usual |= {"contrast": 0.2, "clipped": 0.0, "sharpness": 100.0}
    return presentation(species, framing="frame"), Outcome(score, "", {"quality": usual | measures})


class TestQuality:
    def verdicts(self) -> quality.Verdicts:
        rng = np.random.default_rng(1)
        rows = [verdict("live", 0.9, sharpness=float(s)) for s in rng.uniform(50, 150, 380)]
        rows += [verdict("live", 0.1, sharpness=float(s)) for s in rng.uniform(1, 10, 20)]
        rows += [verdict("print", 0.2, sharpness=30.0)] * 30
        return quality.Verdicts(Judged([p for p, _ in rows], [o for _, o in rows]), 0.5)

    def test_a_gate_that_pays_is_proposed(self):
        blurred = next(g for g in quality.GATES if g.reason == "blurred")
        chosen, evidence = quality.proposal(quality.error_versus_reject(blurred, self.verdicts()))
        assert evidence
        assert 9 < chosen.limit < 55
        assert chosen.bpcer_kept.value < 0.01
        assert chosen.bpcer_refused.value > 0.9

    def test_one_that_does_not_is_not(self):
        dark = next(g for g in quality.GATES if g.reason == "too_dark")
        _, evidence = quality.proposal(quality.error_versus_reject(dark, self.verdicts()))
        assert not evidence

    def test_what_a_limit_refuses(self):
        blurred = next(g for g in quality.GATES if g.reason == "blurred")
        found = quality.kept(blurred, self.verdicts(), 40.0)
        assert (found.refused_bona_fide.errors, found.refused_bona_fide.count) == (20, 400)
        assert found.refused_attacks.value == 1
        assert found.bpcer_kept.value == 0

    def test_the_limits_of_the_library_are_read(self):
        limits = quality.shipped_limits()
        assert set(limits) == {g.reason for g in quality.GATES}
        assert all(np.isfinite(v) and v > 0 for v in limits.values())
        assert limits["too_dark"] < limits["too_bright"]


class TestCard:
    TEXT = "a\n<!-- begin:table x -->\nold\n<!-- end:table -->\nb\n<!-- begin:table y -->\nkept\n<!-- end:table -->\n"

    def test_blocks_are_replaced_and_nothing_else(self):
        text, missing = card.filled(self.TEXT, {"x": "| new |"})
        assert missing == ["y"]
        assert text == self.TEXT.replace("old", "\n| new |\n")
        assert card.filled(text, {"x": "| new |"})[0] == text

    def test_every_block_of_the_model_card_has_an_end(self):
        text = (MODELS / "MODEL_CARD.md").read_text("utf-8")
        assert text.count("<!-- begin:table") == text.count("<!-- end:table -->") == len(card.BLOCK.findall(text)) > 0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Bona fide variants of the portrait, simulated prints and screens of it, and an empty picture."""
    folder = tmp_path_factory.mktemp("pictures")
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    box, scene = np.float32([166, 66, 118, 146]), np.full((300, 400, 3), 120, np.uint8)
    images = {f"live/{i}.png": cv2.resize(portrait, None, fx=f, fy=f) for i, f in enumerate((1.0, 0.8, 0.6))}
    for i, species in enumerate(("print", "replay", "replay")):
        images[f"{species}/{i}.png"] = recapture.render(np.random.default_rng(i), portrait, box, scene, species, 400)[0]
    images["live/empty.png"] = scene
    for name, image in images.items():
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return folder


def rows_of(path: Path) -> list[dict]:
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


def test_a_whole_run_on_a_folder(pictures, tmp_path):
    evaluation.main(["--data", str(pictures), "--out", str(tmp_path), "--rounds", "20"])
    rows = rows_of(tmp_path / "networks.csv")
    assert sorted(r["species"] for r in rows) == ["live"] * 4 + ["print"] + ["screen"] * 2
    assert next(r["reason"] for r in rows if r["path"] == "live/empty.png") == "no_face"
    assert all(0 <= float(r["probability"]) <= 1 for r in rows if not r["reason"])
    (networks,) = json.loads((tmp_path / "evaluation.json").read_text())
    (only,) = networks["parts"]
    assert (only["bona_fide"], only["attacks"], only["bpnrr"]["errors"]) == (4, 3, 1)
    for name in ("det", "scores", "reliability"):
        assert cv2.imread(str(tmp_path / f"networks-{name}.png")) is not None
    assert "## Networks on given boxes" in (tmp_path / "evaluation.md").read_text()
    assert not (tmp_path / sheet.NAME).exists()
    again = evaluation.load_scores(tmp_path / "networks.csv")
    assert [p.species for p in again.presentations] == [r["species"] for r in rows]


def test_looks_are_counted_for_each_class():
    people = [presentation(), presentation(), presentation("print"), presentation(assumed=True), presentation()]
    outcomes = [*(Outcome(0.5, "", {"looks": n}) for n in (1, 3, 2, 1)), Outcome(None, "no_face")]
    text = markdown.looks(Judged(people, outcomes))
    assert "| bona fide, sources with labels | 50.0 % | 0.0 % | 50.0 % | 2 |" in text
    assert "| attacks | 0.0 % | 100.0 % | 0.0 % | 1 |" in text and "| all | 50.0 % | 25.0 % | 25.0 % | 4 |" in text


def test_the_sheet_is_made_on_request_and_kept_from_git(tmp_path):
    cv2.imwrite(str(tmp_path / "x.png"), cv2.imread(str(PORTRAIT)))
    rows = [(replace(presentation(s), path=tmp_path / "x.png"), Outcome(v)) for s, v in (("live", 0.1), ("print", 0.1))]
    wrong = Judged([p for p, _ in rows], [o for _, o in rows])
    assert sheet.worst(wrong, 0.5) == [0]
    path = sheet.write(wrong, 0.5, tmp_path)
    assert cv2.imread(str(path)) is not None
    assert (tmp_path / ".gitignore").read_text() == "*.LOCAL-ONLY.*\n"


def write_dataset(folder: Path, sources: str = "ab") -> None:
    """Sources with bona fide images and prints of the portrait."""
    portrait = cv2.imread(str(PORTRAIT))
    kinds = (("live", "train", 1.0), ("live", "val", 0.9), ("print", "train", 0.5), ("print", "val", 0.4))
    write_portraits(folder, (
        ({"kind": "liveness", "source": source, "label": label, "split": split}, portrait * dim)
        for source in sources for label, split, dim in kinds
    ))  # fmt: skip


def untrained(path: Path, networks: tuple[str, ...] = ("tight", "context")) -> Path:
    """The checkpoint of a pair of which twice the imitation ranks images the other way round than none of it."""
    trainer = Trainer(Plan(blocks=(1, 1, 1), networks=networks))
    for net in trainer.average.values():
        net.imitation.weight.data.copy_(-0.75 * net.head.weight[:1])
    trainer.save_average(path)
    return path


def test_leave_one_out_judges_the_source_that_was_left_out(tmp_path):
    write_dataset(tmp_path)
    untrained(tmp_path / "without-a+c.pt")
    args = ["--data", str(tmp_path), "--out", str(tmp_path / "report"), "--sources", "a", "--rounds", "20"]
    leave_one_out.main([*args, "--runs", str(tmp_path), "--shares", "0", "2"])
    found = json.loads((tmp_path / "report" / "leave-one-out.json").read_text())["a"]["parts"]
    assert [(p["name"], p["bona_fide"], p["attacks"]) for p in found] == [("a", 2, 2)]
    with pytest.raises(SystemExit, match="did not see b; train some with --leave-out b"):
        leave_one_out.main([*args, "--sources", "b", "--runs", str(tmp_path)])
    text = (tmp_path / "report" / "blocks" / "leave-one-out.md").read_text()
    assert "Mean AUC over a: " in text and "| imitation | a | mean AUC |" in text
    rows = {share: text.split(f"| {share} | AUC ")[1].splitlines()[0] for share in ("0", "2")}
    assert text.count("| 0 | AUC ") == text.count("| 2 | AUC ") == 1 and rows["0"] != rows["2"]


def test_one_network_of_a_pair_is_judged_alone(tmp_path):
    write_dataset(tmp_path)
    untrained(tmp_path / "without-a.pt", ("context",))
    args = ["--data", str(tmp_path), "--out", str(tmp_path / "report"), "--sources", "a", "--rounds", "20"]
    leave_one_out.main([*args, "--runs", str(tmp_path)])
    assert "Mean AUC over a: " in (tmp_path / "report" / "leave-one-out.md").read_text()


def test_the_fusion_learns_nothing_from_what_a_pair_did_not_see(tmp_path):
    write_dataset(tmp_path, "abc")
    networks = leave_one_out.one_look(read_manifest()["spoof"]["networks"])
    data = ValidationSet(tmp_path, networks)
    turned = copy.copy(data)
    turned.live = data.live ^ (data.source == "c")

    def differ(name: str) -> bool:
        one, other = (leave_one_out.fused(untrained(tmp_path / name), d, networks) for d in (data, turned))
        return (one.networks, one.looks) != (other.networks, other.looks)

    assert differ("without-a.pt") and not differ("without-a+c.pt")


def test_a_source_is_judged_by_the_pair_that_saw_most_of_the_others(tmp_path):
    for name in ("without-a+b+c.pt", "without-a+b.pt", "without-c.pt"):
        (tmp_path / name).touch()
    assert leave_one_out.checkpoint_without(tmp_path, "a").name == "without-a+b.pt"
    assert leave_one_out.checkpoint_without(tmp_path, "c").name == "without-c.pt"
    (tmp_path / "without-a+c.pt").touch()
    with pytest.raises(SystemExit, match="without-a[+]b.pt and without-a[+]c.pt could all judge a"):
        leave_one_out.checkpoint_without(tmp_path, "a")


@pytest.fixture(scope="module")
def library() -> str:
    """The built library; .ci/evaluation.sh names it."""
    path = os.environ.get("LIVENESS_LIBRARY")
    if not path:
        pytest.skip("LIVENESS_LIBRARY names no built library")
    return path


def test_the_built_library_is_measured(pictures, tmp_path, library):
    evaluation.main(["--data", str(pictures), "--out", str(tmp_path), "--rounds", "20", "--library", library, "--embedded"])
    rows = {r["path"]: r for r in rows_of(tmp_path / "library.csv")}
    assert rows["live/empty.png"]["reason"] == "no_face"
    details = json.loads(rows["live/0.png"]["details"])
    assert details["faces"] == 1
    assert details["live_probability"] == pytest.approx(float(rows["live/0.png"]["probability"]))
    quality.main(["--out", str(tmp_path)])
    assert "face_too_small" in (tmp_path / "blocks" / "quality.md").read_text()
    args = ["--data", str(pictures), "--out", str(tmp_path), "--library", library, "--jitters", "2", "--images", "3"]
    stability.main(args)
    data = json.loads((tmp_path / "stability.json").read_text())
    assert data["library"]["classes"][0]["images"] > 0
    assert len(data["library"]["disturbances"]) == len(stability.DISTURBANCES)
    mistakes.main(["--data", str(pictures), "--out", str(tmp_path), "--library", library])
    found = json.loads((tmp_path / "mistakes.json").read_text())
    lost = {c["mistake"]: c["no_verdict"]["errors"] for c in found if c["no_verdict"]["count"]}
    assert lost["none"] < lost["turned by 180 degrees"]


def test_everything_renews_the_card(tmp_path, library):
    """Every command once, on a set that lacks most of what they tell apart."""
    write_dataset(tmp_path)
    copy = tmp_path / "MODEL_CARD.md"
    copy.write_text(card.BLOCK.sub(r"\1old\n\4", (MODELS / "MODEL_CARD.md").read_text("utf-8")), "utf-8")
    args = ["--data", str(tmp_path), "--library", library, "--out", str(tmp_path / "report"), "--images", "2"]
    everything.main([*args, "--jitter-images", "2", "--card", str(copy)])
    kept = [name for _, name, text, _ in card.BLOCK.findall(copy.read_text("utf-8")) if text == "old\n"]
    assert kept == ["leave-one-out", "teachers"]
    assert "| bona fide, sources with labels |" in (tmp_path / "report" / "blocks" / "looks.md").read_text("utf-8")


def test_library_and_networks_see_the_same_face(pictures, library):
    """The engine inside the library may differ by 1e-3, the detector's resampling by a little more."""
    from training.evaluation.scorers import Library, Networks

    located = [p for p in locate(load(pictures), MODELS) if p.box is not None]
    networks = Networks.shipped(MODELS)(located)
    built = Library(Path(library), MODELS)(located)
    pairs = [(a.probability, b.probability) for a, b in zip(networks, built, strict=True) if b.probability is not None]
    assert len(pairs) >= 3
    assert all(abs(a - b) < 0.1 for a, b in pairs)
    assert read(located[0]).dtype == np.uint8


def test_further_looks_count_by_doubt():
    """The figures of src/spoof.rs's own test."""

    def look(attack: float, live: float) -> dict:
        return {"doubt": {"attack": attack, "live": live}}

    def logits(fused: np.ndarray, looks: list[dict]) -> np.ndarray:
        return settled(fused, looks)[0]

    fused = np.array([[1.0, 0.0], [-1.0, 0.0]])
    for doubt, expected in ((1.0, 1.0), (1.25, 0.75), (2.0, 0.0), (np.inf, 0.0)):
        assert logits(fused, [{}, look(doubt, doubt)]) == pytest.approx([expected, -expected])
    # Without numbers there is always doubt, as the library has it.
    assert logits(fused, [{}, {}]) == pytest.approx([0.0, 0.0])
    # A look that was not taken asks for no other; one that leaves doubt does.
    fused = np.array([[3.0, 0.0, -9.0], [0.0, 0.5, -9.0], [0.0, 3.0, -9.0]])
    found, taken = settled(fused, [{}, look(1.0, 1.0), look(1.5, 1.5)])
    assert found == pytest.approx([3.0, -9.0, 3.0]) and taken.tolist() == [1, 3, 2]
    fused = np.array([[2.5, 7.5], [1.5, 6.5], [2.0, 7.0], [-2.5, 2.5], [-3.5, 1.5], [-3.0, 2.0]])
    assert logits(fused, [{}, look(3.5, 2.5)]) == pytest.approx([2.5, 6.5, 4.5, 2.5, -3.5, -0.5])
    assert logits(fused, [{}, {"doubt": {"live": 2.5}}]) == pytest.approx([2.5, 6.5, 4.5, 2.5, 1.5, 2.0])


def test_a_network_that_looks_later_says_nothing_before():
    views = [None, {"scale": 1.5, "mirror": False}, {"scale": 3.0, "mirror": True}]
    means = means_so_far(np.array([[4.0, 2.0]]), views)
    assert means.tolist() == [[0.0, 4.0, 3.0]]
    assert means_so_far(np.array([[4.0]]), [*views[1:2], None]).tolist() == [[4.0, 4.0]]


@dataclass
class Labelled:
    """What the fusion asks a validation set for."""

    group: np.ndarray
    live: np.ndarray

    def __post_init__(self) -> None:
        self.records, self.source = list(self.group), np.array([g.split("/")[0] for g in self.group])
        self.labelled = self.source != "portraits"

    def part(self, source: str, live: bool) -> np.ndarray:
        return (self.source == source) & (self.live == live)


def test_a_group_is_judged_by_weights_that_it_did_not_help_to_fit():
    live = np.tile([True, False], 60)
    group = np.repeat(["nuaa/a", "office-phones/b", "webcam-replay/c"], 40)
    # What tells the classes of one group apart misleads about the others.
    right = np.where(group == "webcam-replay/c", -1.0, 1.0) * (live * 2.0 - 1)
    view = {"scale": 1.5, "mirror": False}
    logits = {"one": 3 * right[:, None], "two": np.full((120, 1), 0.01)}
    spoof = {"networks": [{"name": n, "views": [view]} for n in logits], "looks": [{}]}
    data = Labelled(group, live)
    found = of_unseen_groups(spoof, logits, data)
    assert (found[group == "webcam-replay/c"] > 0).tolist() == [False, True] * 20
    assert "weights" not in spoof["networks"][0]
    seen = copy.deepcopy(spoof)
    fit_looks(seen, logits, live, sample_weights(data))
    assert abs(found).min() > 0 and seen["networks"][0]["weights"][0] < 1


def test_sources_of_any_name_count_as_labelled_where_they_have_labels():
    group = np.repeat(["mine/a", "mine/b", "portraits/c"], 4)
    data = Labelled(group, (np.arange(12) % 2 == 0) | (group == "portraits/c"))
    weights = sample_weights(data)
    own, portraits = (weights[data.live & (data.source == name)].sum() for name in ("mine", "portraits"))
    assert portraits / own == pytest.approx(WEB_WEIGHT)
    spoof = {"networks": [{"name": "one", "views": [{"scale": 1.5, "mirror": False}]}], "looks": [{}]}
    logits = {"one": (data.live * 2.0 - 1)[:, None]}
    found = of_unseen_groups(spoof, logits, data)
    assert np.isnan(found).tolist() == [False] * 8 + [True] * 4
    assert "AUC 1.000, BPCER 0.0%" in summary(found[:8], data.live[:8])
    with pytest.raises(ValueError, match="4 of 12 images have no fused logit"):
        summary(found, data.live)


def test_a_fusion_needs_both_classes():
    data = Labelled(np.array(["mine/a", "mine/a", "mine/b"]), np.array([True, True, False]))
    spoof = {"networks": [{"name": "one", "views": [{"scale": 1.5, "mirror": False}]}], "looks": [{}]}
    assert np.isnan(of_unseen_groups(spoof, {"one": np.ones((3, 1))}, data)).all()
    with pytest.raises(ValueError, match="no attack to fit the fusion on"):
        sample_weights(data, data.live)


def test_looks_are_fitted_on_what_was_seen_by_then():
    """The second network alone tells the classes apart, and looks at the second look only."""
    rng = np.random.default_rng(2)
    live = np.arange(200) % 2 == 0
    logits = {"blind": rng.normal(0, 1, (200, 1)), "late": (live * 2.0 - 1 + rng.normal(0, 1, 200))[:, None]}
    view = {"scale": 1.5, "mirror": False}
    spoof = {
        "networks": [{"name": "blind", "views": [view, None]}, {"name": "late", "views": [None, view]}],
        "looks": [{}, {}],
    }
    fit_looks(spoof, logits, live, np.full(200, 1 / 200))
    blind, late = (network["weights"] for network in spoof["networks"])
    assert late[0] == 0 and late[1] > 1 and blind[0] > 0
    fused = spoof["looks"][1]["bias"] + blind[1] * logits["blind"][:, 0] + late[1] * logits["late"][:, 0]
    assert ((fused > 0) == live).mean() > 0.8
