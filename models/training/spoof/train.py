"""Trains both liveness networks together: ``python -m training.spoof.train --data DIR``.

The two networks see the same clips through different crops; each learns from the labels and from
the teachers' answers (knowledge distillation, online: the teachers judge the very clip that the
networks see). A run that was interrupted goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..export import read_manifest
from ..geometry import to_input
from .clips import CROPS, Sample, Source, Stream, real_sources, simulated_source
from .evaluate import ValidationSet, summary_line
from .network import LivenessNet

RUNS = Path(__file__).resolve().parents[1] / "runs" / "spoof"
SPECIES_WEIGHT, IMITATION_WEIGHT = 0.2, 0.5
EMA_DECAY = 0.9985


class Batch(dict):
    """Arrays of samples: one uint8 NHWC array per network, and target, taught, live, species, source."""


def collate(clips: list[list[Sample]]) -> Batch:
    samples = [sample for clip in clips for sample in clip]
    batch = Batch({name: np.stack([s.crops[name] for s in samples]) for name in CROPS})
    batch["target"] = np.float32([s.target for s in samples])
    batch["taught"] = np.stack([s.taught for s in samples])
    for name in ("live", "species", "source"):
        batch[name] = np.int64([getattr(s, name) for s in samples])
    return batch


class _Clips(IterableDataset):
    def __init__(self, sources: list[Source], teachers: str | None, seed: int):
        self._sources, self._teachers, self._seed = sources, teachers, seed

    def __iter__(self):
        worker = get_worker_info()
        return iter(Stream(self._sources, self._teachers, self._seed * 1000 + (worker.id if worker else 0)))


class ShufflePool:
    """Mixes samples over time, so that the cuts of one clip do not meet in one batch.

    Each sample is used ``uses`` times on average: making one costs more than learning from it.
    """

    def __init__(self, size: int, seed: int, uses: int = 1):
        self._rng, self._size, self._uses, self._store = np.random.default_rng(seed), size, uses, None

    def exchange(self, batch: Batch) -> list[Batch]:
        """Takes a batch in and gives older ones of the same size out; none while filling up."""
        count = len(batch["target"])
        if self._store is None:
            self._store = {k: np.empty((self._size, *v.shape[1:]), v.dtype) for k, v in batch.items()}
            self._filled = 0
        if self._filled + count <= self._size:
            for key, value in batch.items():
                self._store[key][self._filled : self._filled + count] = value
            self._filled += count
            return []
        slots = self._rng.choice(self._filled, (self._uses, count), replace=False)
        out = [Batch({key: value[chosen].copy() for key, value in self._store.items()}) for chosen in slots]
        for key, value in batch.items():
            self._store[key][slots[0]] = value
        return out


def loss_of(logits: torch.Tensor, target: torch.Tensor, live: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
    """Cross-entropy to the (soft) target, and to the species where it is an attack of a known one."""
    loss = F.binary_cross_entropy_with_logits(logits[:, 0], target)
    known = (species >= 0) & (live == 0)
    if known.any():
        loss = loss + SPECIES_WEIGHT * F.cross_entropy(logits[known, 1:], species[known])
    return loss


def imitation_loss(answers: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """How far the answers are from those of the teachers; zero where no teacher was asked."""
    known = ~taught.isnan()
    if not known.any():
        return answers.sum() * 0
    return F.smooth_l1_loss(answers[known], taught[known].clamp(-2.5, 2.5))


class Trainer:
    """Both networks, their moving averages and one optimiser; the rate falls with the progress."""

    def __init__(self, rate: float, seed: int, bfloat16: bool = False):
        torch.manual_seed(seed)
        self.nets = nn.ModuleDict({name: LivenessNet() for name in CROPS}).to(memory_format=torch.channels_last)
        self.average = nn.ModuleDict({name: LivenessNet() for name in CROPS}).to(memory_format=torch.channels_last)
        self.average.load_state_dict(self.nets.state_dict())
        self.average.eval()
        self.optimizer = torch.optim.AdamW(self.nets.parameters(), lr=rate, weight_decay=0.02)
        self.rate, self.step, self.bfloat16 = rate, 0, bfloat16

    def _rate(self, progress: float) -> float:
        warm = min(1.0, (self.step + 1) / 200)
        return float(self.rate * warm * (0.505 + 0.5 * np.cos(np.pi * min(1.0, progress))))

    def train_batch(self, batch: Batch, progress: float) -> dict[str, float]:
        """One step; ``progress`` is the share of the whole training that is done, 0..1."""
        self.nets.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(progress)
        target, live = torch.from_numpy(batch["target"]), torch.from_numpy(batch["live"])
        taught = torch.from_numpy(batch["taught"])
        species, losses = torch.from_numpy(batch["species"]), {}
        self.optimizer.zero_grad(set_to_none=True)
        for name, net in self.nets.items():
            x = torch.from_numpy(to_input(batch[name])).to(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                features = net.embed(x)
            features = features.float()
            loss = loss_of(net.head(features), target, live, species)
            loss = loss + IMITATION_WEIGHT * imitation_loss(net.imitation(features), taught)
            loss.backward()
            losses[name] = float(loss.detach())
        nn.utils.clip_grad_norm_(self.nets.parameters(), 5.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return losses

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        for kept, new in zip(self.average.state_dict().values(), self.nets.state_dict().values()):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def save(self, path: Path) -> None:
        state = {"nets": self.nets.state_dict(), "average": self.average.state_dict()}
        state |= {"optimizer": self.optimizer.state_dict(), "step": self.step}
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.nets.load_state_dict(state["nets"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def load_average(path: Path) -> nn.ModuleDict:
    """The averaged networks of a checkpoint, ready to evaluate or export."""
    nets = nn.ModuleDict({name: LivenessNet() for name in CROPS})
    nets.load_state_dict(torch.load(path, weights_only=True)["average"])
    return nets.eval()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--teachers", help="folder with the teachers; without it labels alone decide")
    parser.add_argument("--recapture", help="folder that training.spoof.render wrote")
    parser.add_argument("--out", type=Path, default=RUNS, help="folder for the checkpoint")
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end sooner, rate lowered in time")
    parser.add_argument("--clips", type=int, default=32, help="clips per batch, each cut three times")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--pool", type=int, default=4800, help="samples in the shuffle pool")
    parser.add_argument("--uses", type=int, default=2, help="how often each sample is learned from")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="convolve in bfloat16: twice as fast on CPUs with AMX")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--leave-out", nargs="*", default=[], help="sources to keep away from training")
    parser.add_argument("--report", type=int, default=50, help="steps between progress lines")
    parser.add_argument("--validate", type=int, default=750, help="steps between validations")
    return parser.parse_args()


def main() -> None:
    args = _arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    trainer, checkpoint = Trainer(args.rate, args.seed, args.bfloat16), args.out / "checkpoint.pt"
    if checkpoint.exists():
        trainer.resume(checkpoint)
        print(f"resumed at step {trainer.step}", flush=True)
    sources = real_sources(args.data, tuple(args.leave_out))
    if args.recapture:
        sources.append(simulated_source(args.recapture))
    for source in sources:
        print(f"{source.name:16} {'bona fide' if source.live else 'attack':9} {len(source.clips):6} clips", flush=True)
    validation = ValidationSet(args.data, read_manifest()["spoof"]["networks"])
    # Clips after an interruption are new ones, not those that were seen before it.
    stream = _Clips(sources, args.teachers, args.seed + trainer.step)
    loader = DataLoader(stream, args.clips, collate_fn=collate, num_workers=args.workers, prefetch_factor=4)
    pool, started, first = ShufflePool(args.pool, args.seed, args.uses), time.time(), trainer.step
    for batch in (old for fresh in loader for old in pool.exchange(fresh)):
        progress = max(trainer.step / args.steps, (time.time() - started) / (args.minutes * 60))
        losses = trainer.train_batch(batch, progress)
        done = trainer.step >= args.steps or progress >= 1
        if trainer.step % args.report == 0:
            pace = (time.time() - started) / (trainer.step - first)
            left = min(pace * (args.steps - trainer.step) / 60, args.minutes - (time.time() - started) / 60)
            text = " ".join(f"{name} {value:.4f}" for name, value in losses.items())
            print(f"step {trainer.step}/{args.steps} loss {text} | {pace:.2f} s/step, {left:.0f} min left", flush=True)
        if trainer.step % args.validate == 0 or done:
            trainer.save(checkpoint)
            print(summary_line(validation, trainer.average), flush=True)
        if done:
            break


if __name__ == "__main__":
    main()
