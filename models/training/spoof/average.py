"""The mean of several checkpoints of one run, which generalises better than any of them.

    python -m training.spoof.average --data DIR --recapture DIR --unlabelled --mixtures 0.6 \
        --checkpoints FIRST.pt SECOND.pt --out training/runs/spoof/mean.pt

Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018. Take the ends of legs of
a run, where the rate was low. What batch normalisations expect is measured anew, on samples as training shows them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from .mixtures import Batch, with_mixtures
from .train import (
    add_stream_arguments, as_input, left_out_of, loader_of, names_of, networks_of, numbers_of, permitted, sources_of,
    taught_samples,
)  # fmt: skip


def mean_of(paths: Sequence[Path]) -> dict:
    """A checkpoint whose averaged networks have the mean of the weights of these."""
    states = [torch.load(path, map_location="cpu", weights_only=True) for path in paths]
    if any(state["blocks"] != states[0]["blocks"] for state in states):
        raise SystemExit("the checkpoints have networks of different sizes: only those of one run have a mean")
    networks = [state["average"] for state in states]
    mean = {
        name: torch.stack([n[name].double() for n in networks]).mean(0).to(value.dtype)
        for name, value in networks[0].items()
    }
    return {"average": mean, "step": max(state["step"] for state in states), "blocks": states[0]["blocks"]}


@torch.no_grad()
def measure(nets: nn.ModuleDict, batches: Iterable[Batch]) -> None:
    """Lets the batch normalisations expect what these samples show, each batch counting alike."""
    for module in nets.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    nets.train()
    for batch in batches:
        for name, net in nets.items():
            net.embed(as_input(batch[name]))


def refuse_others(left_out: list[str], paths: Sequence[Path]) -> None:
    """Networks that a source was left out of must not see it here, and their mean keeps a name that says so."""
    for path in paths:
        if set(left_out_of(path)) != set(left_out):
            said = f"--leave-out {'+'.join(left_out)}" if left_out else "no --leave-out"
            raise SystemExit(f"{path}: the name does not fit {said}: without-SOURCE.pt goes with --leave-out SOURCE")


def main(argv: Sequence[str] | None = None) -> None:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.spoof.average", description=__doc__, formatter_class=layout)
    add_stream_arguments(parser)
    parser.add_argument("--checkpoints", type=Path, nargs="+", required=True, help="of one run")
    parser.add_argument("--leave-out", help="what these networks did not see: A of without-A.pt, A+B of without-A+B.pt")
    parser.add_argument("--out", type=Path, required=True, help="file for the mean; without-A.pt of those without A")
    parser.add_argument("--batches", type=int, default=50, help="what is measured on")
    args = parser.parse_args(argv)
    left_out = args.leave_out.split("+") if args.leave_out else []
    refuse_others(left_out, [*args.checkpoints, args.out])
    checkpoint = mean_of(args.checkpoints)
    nets = networks_of(checkpoint)
    chance = torch.Generator().manual_seed(args.seed)
    sources = sources_of(args)
    numbers = numbers_of(left_out, names_of(sources))
    fresh = islice(loader_of(args, sources, args.seed), args.batches)
    samples = (taught_samples(with_mixtures(batch, args.mixtures, chance), None, "cpu") for batch in fresh)
    measure(nets, (permitted(batch, numbers) for batch in samples))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint | {"average": nets.state_dict()}, args.out)


if __name__ == "__main__":
    main()
