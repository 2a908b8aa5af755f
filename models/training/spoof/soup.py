"""Averages the weights of checkpoints of one run, each network with proportions of its own.

    python -m training.spoof.soup --tight LAST.pt --context FIRST.pt LAST.pt --out checkpoint.pt

A run that is continued gains on the sources it learns from and loses on cameras it never saw; the
mean of the weights before and after keeps more of both than either (Wortsman et al., "Robust
fine-tuning of zero-shot models", CVPR 2022). All checkpoints must descend from one another: the
mean of runs that started apart means nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .clips import CROPS


def mean_of(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """The mean of every floating-point entry; counters are those of the last."""
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.dtype.is_floating_point else value
        for name, value in states[-1].items()
    }


def soup(paths: dict[str, list[Path]]) -> dict[str, torch.Tensor]:
    """The state of both networks, each the mean of its checkpoints."""
    out = {}
    for name, files in paths.items():
        states = [torch.load(path, weights_only=True)["average"] for path in files]
        own = [{key: value for key, value in state.items() if key.startswith(f"{name}.")} for state in states]
        out |= mean_of(own)
    return out


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in CROPS:
        parser.add_argument(f"--{name}", type=Path, nargs="+", required=True, help="checkpoints to average")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    torch.save({"average": soup({name: getattr(args, name) for name in CROPS})}, args.out)


if __name__ == "__main__":
    main()
