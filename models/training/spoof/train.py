"""Trains both liveness networks together: ``python -m training.spoof.train --data DIR``.

The two networks see the same clips through different crops; each learns from the labels and from
the teachers' answers (knowledge distillation, online: the teachers judge the very crops that the
networks see). Further pairs, each of which sees nothing of one source, learn from the same clips at
the same time (``--leave-out``): they say what an unseen source costs. A run that was interrupted
goes on from its last checkpoints.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .. import dataset
from ..export import read_manifest
from .clips import CROPS, CUTS, MIRRORED, WITHIN, Clip, Source, Stream, real_sources, simulated_source, unlabelled_sources
from .evaluate import ValidationSet, summary_line
from .hints import HINTED_SAMPLE, Hints, as_samples
from .mixtures import Batch, with_mixtures
from .network import IMITATION_SHARE, WIDTHS, LivenessNet
from .teachers import combine, seen_in, standardise, teachers_on

RUNS = Path(__file__).resolve().parents[1] / "runs" / "spoof"
SPECIES_WEIGHT, IMITATION_WEIGHT, HINT_WEIGHT = 0.2, 2.0, 1.0
# How much each teacher counts for a network: most where it is asked about the network's own pixels.
IMITATED = {"tight": (0.15, 0.15, 0.7), "context": (0.425, 0.425, 0.15)}
EMA_DECAY = 0.9985
START_BATCHES = 20  # enough samples for the means of layers when training goes on from exported networks
WARM_UP = 200


def collate(clips: list[Clip], names: tuple[str, ...]) -> Batch:
    """Tensors of the clips; ``names`` are the sources that ``origin`` counts."""
    batch = {name: torch.from_numpy(np.concatenate([c.crops[name] for c in clips])) for name in clips[0].crops}
    batch["trust"] = torch.tensor([c.trust for c in clips])
    batch["live"] = torch.tensor([torch.nan if c.live is None else float(c.live) for c in clips])
    batch["species"] = torch.tensor([c.species for c in clips])
    batch["origin"] = torch.tensor([[names.index(c.origin)] for c in clips])
    return batch


def taught_samples(batch: Batch, teachers, device: str) -> Batch:
    """Samples on the device, CUTS of each clip, with their targets: label and teachers mixed, NaN without a label."""
    # It stays in main memory: what to leave out is decided there, without waiting for the device.
    origin = batch.pop("origin")
    batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
    samples = {name: batch[name] for name in CROPS}
    each = {name: batch[name].repeat_interleave(CUTS, 0) for name in ("trust", "live", "species")}
    trust, target = each.pop("trust"), each["live"]
    if teachers:
        logits, maps, embeddings = teachers.told(seen_in(batch[MIRRORED], samples["context"]))
        target = trust * target + (1 - trust) * combine(logits)
        taught = standardise(logits)
        samples |= as_samples(maps, embeddings) | {WITHIN: batch[WITHIN]}
    else:
        taught = torch.full((len(target), 3), torch.nan, device=device)
    return samples | each | {"target": target, "taught": taught, "origin": origin.repeat_interleave(CUTS, 0)}


class _Clips(IterableDataset):
    def __init__(self, sources: list[Source], seed: int):
        self._sources, self._seed = sources, seed

    def __iter__(self) -> Iterator[Clip]:
        worker = get_worker_info()
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        return iter(Stream(self._sources, self._seed * 1000 + (worker.id if worker else 0)))


def _chosen(batch: Batch, numbers: torch.Tensor) -> Batch:
    return {name: value[numbers.to(value.device)] for name, value in batch.items()}


def permitted(batch: Batch, left_out: tuple[int, ...]) -> Batch:
    """The samples that show nobody of the sources with these numbers."""
    if not left_out:
        return batch
    return _chosen(batch, (~torch.isin(batch["origin"], torch.tensor(left_out)).any(1)).nonzero().flatten())


class ShufflePool:
    """Mixes samples over time, so that the cuts of one clip do not meet in one batch.

    Each sample is used ``uses`` times on average: making one costs more than learning from it.
    """

    def __init__(self, size: int, seed: int, uses: int = 1):
        self._rng, self._size, self._uses, self._store = torch.Generator().manual_seed(seed), size, uses, {}
        self._filled = 0

    def exchange(self, batch: Batch) -> list[Batch]:
        """Takes a batch in and gives older ones of the same size out; none while filling up."""
        count = len(batch["target"])
        if not self._store:
            self._store = {k: v.new_empty((self._size, *v.shape[1:])) for k, v in batch.items()}
        if self._filled + count <= self._size:
            for key, value in batch.items():
                self._store[key][self._filled : self._filled + count] = value
            self._filled += count
            return []
        slots = torch.randperm(self._filled, generator=self._rng)[: self._uses * count].split(count)
        out = [self._mirrored(_chosen(self._store, chosen)) for chosen in slots]
        for key, value in batch.items():
            self._store[key][slots[0].to(value.device)] = value
        return out

    def _mirrored(self, batch: Batch) -> Batch:
        """Half of the samples the other way round, so that one that is used again is not the same."""
        chosen = torch.randperm(len(batch["target"]), generator=self._rng)[::2]
        for images in batch.values():
            if images.dtype == torch.uint8:
                turned = chosen.to(images.device)
                images[turned] = images[turned].flip(2)
        if HINTED_SAMPLE in batch:  # what teachers see of a mirrored picture is not what they saw mirrored
            batch[HINTED_SAMPLE][chosen.to(batch[HINTED_SAMPLE].device)] = False
        return batch


def loss_of(logits: torch.Tensor, target: torch.Tensor, live: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
    """Cross-entropy to the (soft) target where it is not NaN, and to the species where it is an attack of a known one."""
    told = ~target.isnan()
    each = F.binary_cross_entropy_with_logits(logits[:, 0], target.nan_to_num(), reduction="none")
    loss = (each * told).sum() / told.sum().clamp(min=1)
    known = ((species >= 0) & (live == 0)).float()
    each = F.cross_entropy(logits[:, 1:], species.clamp(min=0), reduction="none")
    return loss + SPECIES_WEIGHT * (each * known).sum() / known.sum().clamp(min=1)


def imitation_loss(answers: torch.Tensor, taught: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """How far the answers are from those of the teachers, each with its share; zero where no teacher was asked."""
    known = ~taught.isnan()
    each = F.smooth_l1_loss(answers, taught.clamp(-2.5, 2.5).nan_to_num(), reduction="none")
    return (each * known * shares).sum() / known.any(1).sum().clamp(min=1)


@dataclass(frozen=True)
class Plan:
    """How a pair of networks, or one of a pair, is trained."""

    rate: float = 2e-3
    seed: int = 1
    device: str = "cpu"
    bfloat16: bool = False
    blocks: tuple[int, int, int] = (1, 1, 1)
    networks: tuple[str, ...] = tuple(CROPS)
    left_out: tuple[int, ...] = ()  # numbers of the sources whose samples it never sees


def started_from(models: Path, nets: nn.ModuleDict, samples: Batch) -> None:
    """Gives the networks the weights of a models folder, prepared for training by samples of what they will see."""
    for name, net in nets.items():
        net.unfold(initial_weights(models / f"liveness_{name}.onnx"), as_input(samples[name]), samples["taught"])


def initial_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights that ``export`` wrote, by their names in the network."""
    tensors = onnx.load(str(path)).graph.initializer
    return {t.name.removesuffix(".half"): torch.from_numpy(numpy_helper.to_array(t).astype(np.float32)) for t in tensors}


def as_input(images: torch.Tensor) -> torch.Tensor:
    """uint8 RGB n x h x w x 3 to what a network takes."""
    return images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)


def new_networks(blocks: tuple[int, int, int], names: Iterable[str] = CROPS) -> nn.ModuleDict:
    return nn.ModuleDict({name: LivenessNet(blocks, IMITATED[name]) for name in names})


def networks_of(state: dict) -> nn.ModuleDict:
    """The averaged networks of a checkpoint as they were trained."""
    average = state["average"]
    nets = new_networks(state["blocks"], dict.fromkeys(key.partition(".")[0] for key in average))
    nets.load_state_dict(average)
    return nets


@dataclass
class Progress:
    """Mean losses since they were last asked for, kept on the device: reading them waits for it."""

    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    count: int = 0

    def add(self, losses: dict[str, torch.Tensor]) -> None:
        self.sums = {name: self.sums.get(name, 0) + loss for name, loss in losses.items()}
        self.count += 1

    def take(self) -> dict[str, float]:
        means = {name: float(value) / self.count for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


class Trainer:
    """Both networks, their moving averages and one optimiser; the rate falls with the progress."""

    def __init__(self, plan: Plan):
        torch.manual_seed(plan.seed)
        self.plan, self.step, self.progress = plan, 0, Progress()
        self.nets = new_networks(plan.blocks, plan.networks).to(plan.device, memory_format=torch.channels_last)
        self.average = new_networks(plan.blocks, plan.networks).to(plan.device, memory_format=torch.channels_last)
        self.average.load_state_dict(self.nets.state_dict())
        self.average.eval()
        self.hints = nn.ModuleDict({name: Hints(name, WIDTHS[-1]) for name in plan.networks}).to(plan.device)
        fused, learned = plan.device == "cuda", [*self.nets.parameters(), *self.hints.parameters()]
        self.optimizer = torch.optim.AdamW(learned, lr=plan.rate, weight_decay=0.02, fused=fused)
        self._kept = [v for v in self.average.state_dict().values() if v.dtype.is_floating_point]
        self._new = [v for v in self.nets.state_dict().values() if v.dtype.is_floating_point]

    def _rate(self, progress: float) -> float:
        warm = min(1.0, (self.step + 1) / WARM_UP)
        return float(self.plan.rate * warm * (0.505 + 0.5 * np.cos(np.pi * min(1.0, progress))))

    def train_batch(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        """One step; ``progress`` is the share of the whole training that is done, 0..1."""
        batch, losses = permitted(batch, self.plan.left_out), {}
        self.nets.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate(progress)
        self.optimizer.zero_grad(set_to_none=True)
        for name, net in self.nets.items():
            with torch.autocast(self.plan.device, torch.bfloat16, enabled=self.plan.bfloat16):
                maps = net.features(as_input(batch[name]))
            maps = maps.float()
            features = net.pooled(maps)
            loss = loss_of(net.head(features), batch["target"], batch["live"], batch["species"])
            loss = loss + IMITATION_WEIGHT * imitation_loss(net.imitation(features), batch["taught"], net.imitated)
            hinted = self.hints[name](maps, features, batch)
            losses[name], losses[f"{name}'s hints"] = loss.detach(), hinted.detach()
            (loss + HINT_WEIGHT * hinted).backward()
        nn.utils.clip_grad_norm_(self.nets.parameters(), 5.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        self.progress.add(losses)
        return losses

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(self._kept, self._new, 1 - decay)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {"nets": self.nets.state_dict(), "average": self.average.state_dict()}
        state |= {"hints": self.hints.state_dict()}
        state |= {"optimizer": self.optimizer.state_dict(), "step": self.step, "blocks": self.plan.blocks}
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def save_average(self, path: Path) -> None:
        """What ``load_average`` reads and nothing else: an eighth of a checkpoint."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() if v.dtype.is_floating_point else v for k, v in self.average.state_dict().items()}
        torch.save({"average": state, "step": self.step, "blocks": self.plan.blocks}, path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, map_location=self.plan.device, weights_only=True)
        self.nets.load_state_dict(state["nets"])
        self.average.load_state_dict(state["average"])
        if "hints" not in state:
            raise SystemExit(f"{path}: a checkpoint of an earlier version: begin anew, or from its networks with --start")
        self.hints.load_state_dict(state["hints"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]


def load_average(path: Path, share: float = IMITATION_SHARE) -> nn.ModuleDict:
    """The averaged networks of a checkpoint, ready to evaluate or export: imitation folded into the live logit."""
    return folded(networks_of(torch.load(path, map_location="cpu", weights_only=True)), share)


def folded(nets: nn.ModuleDict, share: float = IMITATION_SHARE) -> nn.ModuleDict:
    """As the library is to see them: changed in place and ready to evaluate."""
    for net in nets.values():
        net.fold_imitation(share)
    return nets.eval()


def _blocks(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def add_stream_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which samples there are."""
    parser.add_argument("--data", required=True, help="folder with labels.csv")
    parser.add_argument("--recapture", help="folder that training.spoof.render wrote")
    parser.add_argument("--unlabelled", action="store_true", help="faces that only teachers can say something about too")
    parser.add_argument("--mixtures", type=float, default=0.0, help="mixtures of two clips per clip, taught by teachers")
    parser.add_argument("--clips", type=int, default=48, help="clips per batch, each cut twice")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seed", type=int, default=1)


def sources_of(args: argparse.Namespace) -> list[Source]:
    sources = real_sources(args.data) + (unlabelled_sources(args.data) if args.unlabelled else [])
    return sources + ([simulated_source(args.recapture)] if args.recapture else [])


def names_of(sources: list[Source]) -> tuple[str, ...]:
    """The sources that persons come from, as ``origin`` counts them."""
    return tuple(sorted({origin for source in sources for origin in source.origins}))


def numbers_of(left_out: list[str], names: tuple[str, ...]) -> tuple[int, ...]:
    """The sources to leave out as ``origin`` counts them."""
    if unknown := sorted(set(left_out) - set(names)):
        raise SystemExit(f"--leave-out: no source {', '.join(unknown)}; there are {', '.join(names)}")
    if set(left_out) == set(names):
        raise SystemExit(f"--leave-out {'+'.join(left_out)}: nothing would be left to learn from")
    return tuple(names.index(source) for source in left_out)


def left_out_of(checkpoint: Path) -> list[str]:
    """The sources that a checkpoint's networks never saw, as the name tells that ``main`` gave it."""
    name = checkpoint.parent.name if checkpoint.name == "checkpoint.pt" else checkpoint.stem
    return name.removeprefix("without-").split("+") if name.startswith("without-") else []


def loader_of(args: argparse.Namespace, sources: list[Source], seed: int) -> DataLoader:
    """Batches of new clips without an end."""
    names = names_of(sources)
    return DataLoader(
        _Clips(sources, seed), args.clips, collate_fn=lambda clips: collate(clips, names), num_workers=args.workers,
        prefetch_factor=4 if args.workers else None, pin_memory=args.device == "cuda",
    )  # fmt: skip


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_stream_arguments(parser)
    parser.add_argument("--teachers", help="folder with the teachers; without it labels alone decide")
    parser.add_argument("--start", type=Path, help="models folder whose networks are trained further")
    parser.add_argument("--out", type=Path, default=RUNS, help="folder for the checkpoints, one folder a pair")
    parser.add_argument("--steps", type=int, help="6000 unless --minutes is given; earlier starts count")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end this start sooner, rate lowered in time")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--pool", type=int, default=4800, help="samples in the shuffle pool")
    parser.add_argument("--uses", type=int, default=2, help="how often each sample is learned from")
    parser.add_argument("--bfloat16", action="store_true", help="convolve in bfloat16: much faster where it can be done")
    blocks = "a pair for each, as 1,2,2; those of --leave-out have the last of these sizes"
    parser.add_argument("--blocks", type=_blocks, nargs="+", default=[(1, 1, 1)], help=blocks)
    parser.add_argument("--networks", choices=tuple(CROPS), nargs="+", default=list(CROPS), help="of a pair, to train")
    left_out = "a further pair for each of these sources, or for several: A+B"
    parser.add_argument("--leave-out", nargs="*", default=[], help=left_out)
    parser.add_argument("--only-leave-out", action="store_true", help="no pair that sees every source")
    parser.add_argument("--sparing", type=int, default=1, help="pairs of --leave-out learn from every so many-th batch")
    parser.add_argument("--report", type=int, default=50, help="steps between progress lines")
    parser.add_argument("--save", type=int, default=750, help="steps between checkpoints")
    args = parser.parse_args(argv)
    if args.steps is None:
        args.steps = 6000 if args.minutes == float("inf") else float("inf")
    if (args.unlabelled or args.mixtures) and not args.teachers:
        parser.error("--unlabelled and --mixtures need --teachers: nothing else says what to learn from them")
    if args.only_leave_out and not args.leave_out:
        parser.error("--only-leave-out needs --leave-out SOURCE: there would be no pair to train")
    if args.only_leave_out and len(args.blocks) > 1:
        parser.error("--only-leave-out takes one size of --blocks: pairs that a source is left out of have no other")
    if args.start and args.leave_out:
        parser.error("--start and --leave-out exclude each other: networks that saw a source cannot be judged on it")
    return args


def trainers_of(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Trainer]:
    """A trainer for each pair of networks, by the name of its folder; resumed where it was begun."""
    general = {"rate": args.rate, "seed": args.seed, "device": args.device, "bfloat16": args.bfloat16}
    general["networks"] = tuple(args.networks)
    whole = [] if args.only_leave_out else args.blocks
    plans = {f"blocks-{''.join(map(str, blocks))}": Plan(blocks=blocks, **general) for blocks in whole}
    for left_out in args.leave_out:
        numbers = numbers_of(left_out.split("+"), names)
        plans[f"without-{left_out}"] = Plan(blocks=args.blocks[-1], left_out=numbers, **general)
    trainers = {name: Trainer(plan) for name, plan in plans.items()}
    for name, trainer in trainers.items():
        checkpoint = args.out / name / "checkpoint.pt"
        if checkpoint.exists():
            trainer.resume(checkpoint)
            print(f"{name}: resumed at step {trainer.step}", flush=True)
    return trainers


def steps_of(trainer: Trainer, sparing: int) -> int:
    """Steps of the run that this trainer has seen: a pair without a source learns at every ``sparing``-th of them."""
    return trainer.step * (sparing if trainer.plan.left_out else 1)


def main(argv: Sequence[str] | None = None) -> None:
    args = _arguments(argv)
    sources = sources_of(args)
    for source in sources:
        kind = "unlabelled" if source.live is None else "bona fide" if source.live else "attack"
        print(f"{source.name:16} {kind:10} {len(source.clips):6} clips", flush=True)
    names = names_of(sources)
    trainers = trainers_of(args, names)
    begun = step = steps_of(next(iter(trainers.values())), args.sparing)
    if step >= args.steps:
        print(f"all of the {args.steps} steps are done", flush=True)
        return
    judges = bool(dataset.load(args.data, split="val"))  # what ``pack`` writes has no such split
    validation = ValidationSet(args.data, read_manifest()["spoof"]["networks"]) if judges else None
    teachers = teachers_on(args.device, args.teachers) if args.teachers else None
    # Clips after an interruption are new ones, not those that were seen before it.
    loader = loader_of(args, sources, args.seed + begun)
    chance = torch.Generator().manual_seed(args.seed + begun)
    taught = (taught_samples(with_mixtures(fresh, args.mixtures, chance), teachers, args.device) for fresh in loader)
    if args.start and not begun:
        begin(trainers, args.start, taught)
    pool, started = ShufflePool(args.pool, args.seed, args.uses), time.time()
    for batch in (old for fresh in taught for old in pool.exchange(fresh)):
        progress = max(step / args.steps, (time.time() - started) / (args.minutes * 60))
        for number, trainer in enumerate(trainers.values()):
            # Pairs that spare batches take turns, so that a step takes as long as the next.
            if not trainer.plan.left_out or (step + number) % args.sparing == 0:
                trainer.train_batch(batch, progress)
        step += 1
        done = step >= args.steps or progress >= 1
        if step % args.report == 0 or done:
            report(trainers, progress, (time.time() - started) / (step - begun))
        if step % args.save == 0 or done:
            save_all(trainers, args.out, validation)
        if done:
            break


def begin(trainers: dict[str, Trainer], models: Path, batches: Iterator[Batch]) -> None:
    """Starts every pair from the networks of a models folder."""
    some = [next(batches) for _ in range(START_BATCHES)]
    samples = {key: torch.cat([batch[key] for batch in some]) for key in some[0]}
    for trainer in trainers.values():
        started_from(models, trainer.nets, samples)
        trainer.average.load_state_dict(trainer.nets.state_dict())


def report(trainers: dict[str, Trainer], progress: float, pace: float) -> None:
    for name, trainer in trainers.items():
        text = " ".join(f"{crop} {value:.4f}" for crop, value in trainer.progress.take().items())
        print(f"{progress:6.1%} {name} step {trainer.step} loss {text} | {pace:.3f} s/step", flush=True)


def save_all(trainers: dict[str, Trainer], out: Path, validation: ValidationSet | None) -> None:
    for name, trainer in trainers.items():
        trainer.save(out / name / "checkpoint.pt")
        trainer.save_average(out / f"{name}.pt")
        if validation:
            print(f"{name}: {summary_line(validation, folded(copy.deepcopy(trainer.average)))}", flush=True)


if __name__ == "__main__":
    main()
