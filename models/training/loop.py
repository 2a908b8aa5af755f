"""One training loop for every network: schedule, averaged weights, checkpoints, exact resume."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn."""

    steps: int
    rate: float
    decay: float = 0.02
    warmup: int = 200
    average: float = 0.999
    clip: float = 5.0
    every: int = 100  # steps between two lines of progress and two checkpoints
    workers: int = 2


class Batches(Dataset):
    """Batch number i is a function of seed and i alone: a resumed run sees the same batches."""

    def __init__(self, make: Callable[[int], object], first: int, steps: int) -> None:
        self.make, self.first, self.steps = make, first, steps

    def __len__(self) -> int:
        return self.steps - self.first

    def __getitem__(self, index: int) -> object:
        return self.make(self.first + index)


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, then a cosine to a hundredth of the peak."""
    if step < plan.warmup:
        return plan.rate * (step + 1) / plan.warmup
    done = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def make_optimizer(network: nn.Module, plan: Plan) -> torch.optim.AdamW:
    """AdamW; biases and normalisations do not decay."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": plan.decay}, {"params": vectors, "weight_decay": 0}]
    return torch.optim.AdamW(groups, lr=plan.rate, betas=(0.9, 0.99))


@torch.no_grad()
def update_average(average: dict, network: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of the weights; short at first, so that it forgets the start."""
    decay = min(decay, (step + 1) / (step + 10))
    for name, value in network.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def save(path: Path, state: dict) -> None:
    """Replace the checkpoint in one step: an interruption never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def train(
    network: nn.Module,
    plan: Plan,
    make_batch: Callable[[int], object],
    loss_of: Callable[[nn.Module, object], dict[str, torch.Tensor]],
    checkpoint: Path,
    stop_after: int | None = None,
) -> dict:
    """Train until plan.steps, continuing the checkpoint if there is one; returns the last state.

    ``loss_of`` gives named losses; their sum is minimised. ``stop_after`` ends a run early, as an
    interruption would.
    """
    network = network.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(network, plan)
    average = {k: v.clone() for k, v in network.state_dict().items()}
    first = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        average, first = state["average"], state["step"]
        print(f"continuing {checkpoint} at step {first}", flush=True)
    last = min(plan.steps, stop_after or plan.steps)
    batches = DataLoader(
        Batches(make_batch, first, last),
        batch_size=None,
        num_workers=plan.workers,
        prefetch_factor=4 if plan.workers else None,
    )
    network.train()
    sums: dict[str, float] = {}
    started, counted = time.monotonic(), 0
    for step, batch in enumerate(batches, first):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        torch.manual_seed(step)  # dropout, the only chance outside the batches
        losses = loss_of(network, batch)
        optimizer.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), plan.clip)
        optimizer.step()
        update_average(average, network, plan.average, step)
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + value.item()
        counted += 1
        done = step + 1
        if done % plan.every == 0 or done == last:
            seconds = (time.monotonic() - started) / counted
            parts = "  ".join(f"{k} {v / counted:.4f}" for k, v in sums.items())
            left = seconds * (plan.steps - done) / 60
            print(f"step {done}/{plan.steps}  {parts}  {seconds:.3f} s/step  {left:.1f} min left", flush=True)
            save(checkpoint, {
                "network": network.state_dict(),
                "average": average,
                "optimizer": optimizer.state_dict(),
                "step": done,
            })
            sums, started, counted = {}, time.monotonic(), 0
    return {"network": network.state_dict(), "average": average, "step": last}
