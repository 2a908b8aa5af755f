"""Protocol (b): networks trained without a source, judged on that source alone.

    python -m training.spoof.train --data DATA ... --leave-out nuaa office-phones webcam-replay phone-recapture
    python -m training.evaluation.leave_one_out --data ../../shared/data --teachers ../../shared/teachers --out report

The first trains one more pair of networks for each source, which sees neither the source nor the simulated attacks that
show its persons. The second fits the fusion on the other sources of val, and judges every image of the source, of train
and val, since the networks have seen neither. Each network looks once. The constants by which the teachers are added
(``teachers.STATISTICS``) were fitted on every source of train, the one left out included.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ..export import read_manifest
from ..spoof.clips import CROPS
from ..spoof.evaluate import LABELLED, ValidationSet, torch_logits
from ..spoof.fuse import fit_looks, sample_weights
from ..spoof.train import RUNS, load_average
from . import markdown
from .figures import Figures, Judged, figures
from .presentations import Presentation, load
from .rates import table, write_block
from .scorers import Fusion, Networks, TeacherScores

NOTE = """Each row: networks trained without that source, fusion fitted on val without it, judged on all images of it
(train and val), at threshold 0.5. n counts bona fide, attacks, and groups."""


def one_look(networks: list[dict]) -> list[dict]:
    """Those networks of a manifest that one training run makes, at their first view: what is judged here."""
    return [n | {"views": [next(filter(None, n["views"]))]} for n in networks if n["name"] in CROPS]


def fused(checkpoint: Path, data: ValidationSet, left_out: str, networks: list[dict]) -> Fusion:
    """The networks of a checkpoint with weights and bias fitted on the other sources."""
    nets = load_average(checkpoint)
    spoof = {"networks": copy.deepcopy(networks), "looks": [{}]}
    weights = sample_weights(data, data.source != left_out)
    fit_looks(spoof, torch_logits(data, nets), data.live, weights)
    return Fusion(spoof["networks"], spoof["looks"], {name: _run(net) for name, net in nets.items()})


def _run(net: torch.nn.Module):
    @torch.no_grad()
    def logits(x: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(x)).numpy()

    return logits


def judge(source: str, fusion: Fusion, presentations: list[Presentation], rounds: int) -> Figures:
    networks = Networks(fusion, 0.5, {"left out": source})
    judged = Judged(presentations, networks(presentations))
    return figures(f"trained without {source}", judged, 0.5, networks.identity, None, rounds)


def summary(found: dict[str, Figures]) -> str:
    """A line per source, and the mean AUC of those with both classes."""
    areas = {s: f.parts[0].curve.auc for s, f in found.items() if f.parts[0].curve}
    lines = [[s, markdown.per_species(f.parts[0].apcer), str(f.parts[0].bpcer)] for s, f in found.items()]
    text = table(["left out", "APCER", "BPCER"], lines)
    if areas:
        text += f"\n\nMean AUC over {', '.join(areas)}: {np.mean(list(areas.values())):.3f}"
    return text


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    layout = argparse.RawDescriptionHelpFormatter
    name = "python -m training.evaluation.leave_one_out"
    parser = argparse.ArgumentParser(prog=name, description=__doc__, formatter_class=layout)
    parser.add_argument("--data", type=Path, required=True, help="folder with labels.csv")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--sources", nargs="+", default=list(LABELLED))
    parser.add_argument("--runs", type=Path, default=RUNS, help="folder with without-SOURCE.pt of each source")
    parser.add_argument("--teachers", type=Path)
    parser.add_argument("--rounds", type=int, default=1000, help="of the bootstrap")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    networks = one_look(read_manifest()["spoof"]["networks"])
    checkpoints = {source: args.runs / f"without-{source}.pt" for source in args.sources}
    data = ValidationSet(args.data, networks)
    everything = load(args.data, "all")
    found, lines = {}, []
    for source, checkpoint in checkpoints.items():
        part = [p for p in everything if p.source == source]
        found[source] = judge(source, fused(checkpoint, data, source, networks), part, args.rounds)
        compared = [found[source]]
        if args.teachers:
            columns = TeacherScores(args.teachers)(part)
            compared += [figures(name, Judged(part, o), 0.5, {}, None, args.rounds) for name, o in columns.items()]
        if found[source].parts[0].curve:
            lines.append(markdown.comparison(compared, [source]))
    text = "\n\n".join([NOTE, summary(found), *lines])
    write_block(args.out, "leave-one-out", text)
    (args.out / "leave-one-out.md").write_text(f"# Leave one source out\n\n{text}\n", "utf-8")
    (args.out / "leave-one-out.json").write_text(json.dumps({s: asdict(f) for s, f in found.items()}, indent=1) + "\n", "utf-8")
    print(args.out / "leave-one-out.md")


if __name__ == "__main__":
    main()
