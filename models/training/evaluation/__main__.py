"""ISO/IEC 30107-3 figures as Markdown, PNG and JSON.

    python -m training.evaluation --data ../../shared/data --out report
    python -m training.evaluation --data ../../shared/data --out report --library ../target/release/libliveness.so \
        --teachers ../../shared/teachers
    python -m training.evaluation --data MY/IMAGES --out report

DATA is a folder with labels.csv, a CSV of yours, or a folder with sub-folders live, print, screen ...
(presentations.py says more). Judged are the networks of --models on the boxes of labels.csv (else the detector's);
with --library the built library, its own detector, gates and all; with --teachers open networks for comparison.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..export import MODELS
from . import markdown, plots, sheet
from .figures import Figures, Judged, figures
from .presentations import Presentation, groupings, load, locate, read
from .rates import write_block
from .scorers import Library, Networks, Outcome, TeacherScores


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder or CSV of labelled images")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--split", default="val", choices=("train", "val", "all"))
    parser.add_argument("--models", type=Path, default=MODELS, help="folder with manifest.json")
    parser.add_argument("--library", type=Path, help="libliveness.so to judge as well")
    parser.add_argument("--embedded", action="store_true", help="judge the networks inside the library, not those of --models")
    parser.add_argument("--onnxruntime", type=Path, help="ONNX Runtime library for --library, instead of its own engine")
    parser.add_argument("--workers", type=int, default=1, help="checks of the library at once")
    parser.add_argument("--teachers", type=Path, help="folder with the teachers, to compare with")
    parser.add_argument("--rounds", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--sheet", action="store_true", help=f"write {sheet.NAME} too; {sheet.WARNING}")
    return parser.parse_args(argv)


def people_of(presentations: Sequence[Presentation]) -> list[dict[str, str]]:
    """Groups of people, from images of bona fide presentations only."""
    out = []
    for p in presentations:
        measurable = p.live and p.box is not None and p.points is not None
        out.append(groupings(p, read(p) if measurable else None))
    return out


def save_scores(judged: Judged, path: Path) -> None:
    """One row per image: for your own analysis, and for training.evaluation.quality."""
    with open(path, "w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["path", "source", "group", "species", "framing", "assumed", "probability", "reason", "details"])
        for p, o in zip(judged.presentations, judged.outcomes, strict=True):
            score = "" if o.probability is None else f"{o.probability:.6f}"
            details = json.dumps(o.details) if o.details else ""
            writer.writerow([p.name, p.source, p.group, p.species, p.framing, int(p.assumed), score, o.reason, details])


def load_scores(path: Path) -> Judged:
    """What ``save_scores`` wrote."""
    presentations, outcomes = [], []
    with open(path, newline="", encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            known = {name: row[name] for name in ("species", "source", "group", "framing")}
            presentations.append(Presentation(Path(row["path"]), row["path"], **known, assumed=row["assumed"] == "1"))
            details = json.loads(row["details"]) if row["details"] else {}
            outcomes.append(Outcome(float(row["probability"]) if row["probability"] else None, row["reason"], details))
    return Judged(presentations, outcomes)


def section(found: Figures) -> str:
    """One scorer's chapter of the report."""
    parts = [f"## {found.title}", f"Threshold {found.threshold}. {markdown.identity(found)}"]
    parts += ["### Errors", markdown.errors(found)]
    if any(p.curve for p in found.parts):
        parts += ["### Without a threshold", markdown.curves(found)]
    parts += ["### No verdict", markdown.non_responses(found), "### Operating points", markdown.operating_points(found)]
    parts.append(markdown.calibration_line(found))
    if found.people:
        parts += ["### Groups of people", markdown.people(found)]
    return "\n\n".join(p for p in parts if p)


def _draw(out: Path, name: str, judged: Judged, found: Figures) -> None:
    plots.det(judged, out / f"{name}-det.png")
    plots.histograms(judged, found.threshold, out / f"{name}-scores.png")
    if found.calibration:
        plots.reliability_diagram(found.calibration, out / f"{name}-reliability.png")


def _blocks(out: Path, name: str, found: Figures) -> None:
    """Fragments for the model card."""
    text = [markdown.errors(found), markdown.curves(found), markdown.calibration_line(found)]
    write_block(out, f"{name}-errors", "\n\n".join(t for t in text if t))
    write_block(out, f"{name}-no-verdict", markdown.non_responses(found))
    write_block(out, f"{name}-operating-points", markdown.operating_points(found))
    if found.people:
        write_block(out, f"{name}-people", markdown.people(found))


def judge(args: argparse.Namespace, presentations: list[Presentation]) -> dict[str, tuple[Judged, Figures]]:
    """Networks, and the library where one is named."""
    people = people_of(presentations)
    networks = Networks.shipped(args.models)
    scorers = {"networks": ("Networks on given boxes", networks)}
    if args.library:
        models = None if args.embedded else args.models
        scorers["library"] = ("Built library", Library(args.library, models, args.workers, onnxruntime=args.onnxruntime))
    out = {}
    for name, (title, scorer) in scorers.items():
        judged = Judged(presentations, scorer(presentations))
        out[name] = judged, figures(title, judged, scorer.threshold, scorer.identity, people, args.rounds)
    return out


def compare(args: argparse.Namespace, presentations: list[Presentation], networks: Figures) -> list[Figures]:
    """The networks and the teachers on the same images."""
    columns = TeacherScores(args.teachers)(presentations)
    teachers = [figures(name, Judged(presentations, o), 0.5, {}, None, args.rounds) for name, o in columns.items()]
    return [networks, *teachers]


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    presentations = locate(load(args.data, args.split), args.models)
    chapters = [f"# Presentation attack detection\n\n{len(presentations)} images, split {args.split}.\n\n{markdown.NOTES}"]
    results = judge(args, presentations)
    for name, (judged, found) in results.items():
        save_scores(judged, args.out / f"{name}.csv")
        _draw(args.out, name, judged, found)
        _blocks(args.out, name, found)
        chapters.append(section(found))
    write_block(args.out, "looks", markdown.looks(results["networks"][0]))
    collected = [found for _, found in results.values()]
    if args.teachers:
        compared = compare(args, presentations, results["networks"][1])
        names = [p.name for p in compared[0].parts if p.curve]
        text = markdown.comparison(compared, names)
        write_block(args.out, "teachers", text)
        chapters.append(f"## Compared with the teachers\n\n{text}")
        collected += compared[1:]
    (args.out / "evaluation.md").write_text("\n\n".join(chapters) + "\n", "utf-8")
    (args.out / "evaluation.json").write_text(json.dumps([asdict(f) for f in collected], indent=1) + "\n", "utf-8")
    if args.sheet:
        judged, found = results.get("library", results["networks"])
        print(f"{sheet.write(judged, found.threshold, args.out)}: {sheet.WARNING}")
    print(f"{args.out / 'evaluation.md'}: {len(presentations)} images")


if __name__ == "__main__":
    main()
