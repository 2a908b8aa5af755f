"""Protocol (b): networks trained without a source, judged on that source alone.

    python -m training.spoof.train --data DATA ... --leave-out nuaa office-phones webcam-replay phone-recapture
    python -m training.evaluation.leave_one_out --data ../../shared/data --teachers ../../shared/teachers --out report

The first trains one more pair of networks for each source, which sees neither the source nor the simulated attacks
that show its persons; A+B leaves both out of one pair, which then judges each. The second fits the fusion on the sources
of val that the pair has seen, and judges every image of the source, of train and val, since the networks have seen
neither. Each network looks once. The constants by which the teachers are added (``teachers.STATISTICS``) were fitted on
every source of train, the one left out included.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..export import read_manifest
from ..spoof.clips import CROPS
from ..spoof.evaluate import ValidationSet, logits_by, torch_logits
from ..spoof.fuse import fit_looks, sample_weights
from ..spoof.network import IMITATION_SHARE
from ..spoof.train import RUNS, left_out_of, load_average
from . import markdown
from .figures import Figures, Judged, figures
from .presentations import Presentation, load
from .rates import table, write_block
from .scorers import Fusion, Networks, TeacherScores

SOURCES = ("nuaa", "office-phones", "webcam-replay", "phone-recapture")
NOTE = """Each row: networks trained without that source, fusion fitted on val without it, judged on all images of it
(train and val), at threshold 0.5. n counts bona fide, attacks, and groups."""


def one_look(networks: list[dict]) -> list[dict]:
    """Those networks of a manifest that one training run makes, at their first view: what is judged here."""
    return [n | {"views": [next(filter(None, n["views"]))]} for n in networks if n["name"] in CROPS]


def fused(checkpoint: Path, data: ValidationSet, networks: list[dict], share: float = IMITATION_SHARE) -> Fusion:
    """The networks of a checkpoint with weights and bias fitted on the sources that they saw."""
    nets = load_average(checkpoint, share)
    spoof = {"networks": copy.deepcopy([n for n in networks if n["name"] in nets]), "looks": [{}]}
    weights = sample_weights(data, ~np.isin(data.source, left_out_of(checkpoint)))
    fit_looks(spoof, torch_logits(data, nets), data.live, weights)
    return Fusion(spoof["networks"], spoof["looks"], {name: logits_by(net) for name, net in nets.items()})


def checkpoint_without(runs: Path, source: str) -> Path:
    """The networks that did not see the source, and saw most of the others."""
    left_out = {path: left_out_of(path) for path in sorted(runs.glob("without-*.pt"))}
    found = [path for path, sources in left_out.items() if source in sources]
    if not found:
        raise SystemExit(f"{runs}: no networks that did not see {source}; train some with --leave-out {source}")
    fewest = min(len(left_out[path]) for path in found)
    best = [path for path in found if len(left_out[path]) == fewest]
    if len(best) > 1:
        names = " and ".join(path.name for path in best)
        raise SystemExit(f"{runs}: {names} could all judge {source}; leave one of them in the folder")
    return best[0]


def judge(left_out: list[str], fusion: Fusion, presentations: list[Presentation], rounds: int) -> Figures:
    name = " and ".join(left_out)
    networks = Networks(fusion, 0.5, {"left out": name})
    judged = Judged(presentations, networks(presentations))
    return figures(f"trained without {name}", judged, 0.5, networks.identity, None, rounds)


def summary(found: dict[str, Figures]) -> str:
    """A line per source, and the mean AUC of those with both classes."""
    areas = {s: f.parts[0].curve.auc for s, f in found.items() if f.parts[0].curve}
    lines = [[s, markdown.per_species(f.parts[0].apcer), str(f.parts[0].bpcer)] for s, f in found.items()]
    text = table(["left out", "APCER", "BPCER"], lines)
    if areas:
        text += f"\n\nMean AUC over {', '.join(areas)}: {np.mean(list(areas.values())):.3f}"
    return text


def shares_table(judged: dict[float, dict[str, Figures]]) -> str:
    """What other shares of the imitation give: AUC of each source, or the attacks accepted where it has nothing else."""
    sources = list(next(iter(judged.values())))
    lines = []
    for share, found in judged.items():
        areas = [f.parts[0].curve.auc for f in found.values() if f.parts[0].curve]
        cells = [_figure_of(found[source]) for source in sources]
        lines.append([f"{share:g}", *cells, f"{np.mean(areas):.3f}" if areas else "-"])
    return table(["imitation", *sources, "mean AUC"], lines)


def _figure_of(found: Figures) -> str:
    part = found.parts[0]
    return f"AUC {part.curve.auc:.3f}" if part.curve else f"APCER {markdown.per_species(part.apcer)}"


def compared(found: Figures, part: list[Presentation], args: argparse.Namespace) -> str:
    """The figures of a source beside those of the teachers, where there are any."""
    columns = TeacherScores(args.teachers)(part) if args.teachers else {}
    teachers = [figures(name, Judged(part, o), 0.5, {}, None, args.rounds) for name, o in columns.items()]
    return markdown.comparison([found, *teachers], [part[0].source])


def write(out: Path, text: str, found: dict[str, Figures]) -> None:
    """The report as Markdown, for the model card and as JSON."""
    write_block(out, "leave-one-out", text)
    path = out / "leave-one-out.md"
    path.write_text(f"# Leave one source out\n\n{text}\n", "utf-8")
    data = {source: asdict(f) for source, f in found.items()}
    path.with_suffix(".json").write_text(json.dumps(data, indent=1) + "\n", "utf-8")
    print(path)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    layout = argparse.RawDescriptionHelpFormatter
    name = "python -m training.evaluation.leave_one_out"
    parser = argparse.ArgumentParser(prog=name, description=__doc__, formatter_class=layout)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--sources", nargs="+", default=list(SOURCES))
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with the without-*.pt of the training")
    parser.add_argument("--teachers", type=Path)
    parser.add_argument("--shares", type=float, nargs="*", default=[], help="shares of the imitation to compare")
    parser.add_argument("--rounds", type=int, default=1000, help="of the bootstrap")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    networks = one_look(read_manifest()["spoof"]["networks"])
    checkpoints = {source: checkpoint_without(args.runs, source) for source in args.sources}
    data = ValidationSet(args.data, networks)
    everything = load(args.data, "all")
    parts = {source: [p for p in everything if p.source == source] for source in args.sources}

    def found_with(share: float) -> dict[str, Figures]:
        return {
            source: judge(left_out_of(path), fused(path, data, networks, share), parts[source], args.rounds)
            for source, path in checkpoints.items()
        }

    judged = {share: found_with(share) for share in {IMITATION_SHARE, *args.shares}}
    found, lines = judged[IMITATION_SHARE], []
    if args.shares:
        lines.append(shares_table({share: judged[share] for share in args.shares}))
    lines += [compared(f, parts[source], args) for source, f in found.items() if f.parts[0].curve]
    write(args.out, "\n\n".join([NOTE, summary(found), *lines]), found)


if __name__ == "__main__":
    main()
