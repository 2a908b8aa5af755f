"""The validation set as the liveness networks see it, for progress lines and for the fusion.

The figures of what ships come from ``python -m training.evaluation``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .. import dataset
from ..detector.predict import open_session
from ..geometry import crop_rect, cut, to_input
from .clips import BONA_FIDE_WEB, is_usable
from .metrics import auc


def crops_of(image: np.ndarray, box: np.ndarray, networks: list[dict]) -> dict[str, np.ndarray]:
    """What each network of the manifest sees, cut where the library cuts it: uint8, views x side x side x RGB.

    Looks at which a network sees nothing (a view of null) are left out. Some samples differ by 1 from those of the
    library (geometry.py says why): of 109 images, given as raw pixels and with the same box, P(live) differs by 0.001 in
    the median, by 0.0085 at the 95th percentile and by 0.062 at most.
    """
    height, width = image.shape[:2]
    out = {}
    for network in networks:
        views = []
        for view in filter(None, network["views"]):
            crop = cut(image, crop_rect(box, width, height, network["crop"], view["scale"]), network["size"])
            views.append(crop[:, ::-1] if view["mirror"] else crop)
        out[network["name"]] = np.stack(views)
    return out


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def means_so_far(logits: np.ndarray, views: list[dict | None]) -> np.ndarray:
    """n x looks, from n x views without those of null: the means after each look, 0 before the first view."""
    seen = np.cumsum([view is not None for view in views])
    sums = np.concatenate([np.zeros((len(logits), 1)), logits.cumsum(1)], 1)
    return sums[:, seen] / np.maximum(seen, 1)


def judged(logits: dict[str, np.ndarray], networks: list[dict], looks: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """What a manifest's networks and looks make of the live logits (n x views) of each network, as ``settled`` gives it."""
    count = len(next(iter(logits.values())))
    fused = np.tile([float(look["bias"]) for look in looks], (count, 1))
    for network in networks:
        fused += network["weights"] * means_so_far(logits[network["name"]], network["views"])
    return settled(fused, looks)


def settled(fused: np.ndarray, looks: Sequence[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Of the fused logits after each look, n x looks, those after as many as doubt asks for, as in src/spoof.rs; and
    how many those are."""
    found, doubt, taken = fused[:, 0], np.ones(len(fused)), np.ones(len(fused), int)
    for after, look in zip(fused.T[1:], looks[1:], strict=True):
        attack, live = (look.get("doubt", {}).get(side, np.inf) for side in ("attack", "live"))
        doubt = np.where(doubt > 0, np.clip(np.minimum(found + attack, live - found), 0, 1), 0)
        found = (1 - doubt) * found + doubt * after
        taken += doubt > 0
    return found, taken


class ValidationSet:
    """Crops of the validation images whose liveness is known or, for web portraits, assumed."""

    def __init__(self, root: str | Path, networks: list[dict], split: str = "val"):
        records = [r for r in dataset.load(root, split=split) if is_usable(r)]
        self.records = [r for r in records if r.kind == "liveness" or r.source in BONA_FIDE_WEB]
        crops = [crops_of(dataset.read_image(Path(root) / r.path), r.largest.box, networks) for r in self.records]
        self.crops = {network["name"]: np.stack([c[network["name"]] for c in crops]) for network in networks}
        self.source = np.array([r.source for r in self.records])
        self.group = np.array([f"{r.source}/{r.group}" for r in self.records])
        self.labelled = np.array([r.kind == "liveness" for r in self.records])  # of the others it is assumed
        self.live = np.array([r.live for r in self.records])
        self.species = np.array([r.label for r in self.records])

    def part(self, source: str, live: bool) -> np.ndarray:
        return (self.source == source) & (self.live == live)


def onnx_logits(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The logits n x 3 of an exported network."""
    session = open_session(path)
    return lambda x: session.run(["logits"], {"input": x})[0]


def live_logits(crops: np.ndarray, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Live logits of crops, images x views."""
    out = []
    for chunk in np.array_split(crops, max(1, len(crops) // 64)):
        count, views = chunk.shape[:2]
        logits = run(to_input(chunk.reshape(count * views, *chunk.shape[2:])))
        out.append(logits[:, 0].reshape(count, views))
    return np.concatenate(out)


def logits_by(net: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """The logits n x 3 of a network as it was trained."""
    device = next(net.parameters()).device

    @torch.no_grad()
    def run(x: np.ndarray) -> np.ndarray:
        return net(torch.from_numpy(x).to(device)).cpu().numpy()

    return run


def torch_logits(data: ValidationSet, nets: nn.ModuleDict) -> dict[str, np.ndarray]:
    """Live logits per network name, images x views."""
    return {name: live_logits(data.crops[name], logits_by(net)) for name, net in nets.items()}


def summary_line(data: ValidationSet, nets: nn.ModuleDict) -> str:
    """One line of progress for each network and for their mean: what ``_summary`` tells."""
    logits = {name: by_view.mean(1) for name, by_view in torch_logits(data, nets).items()}
    logits["mean"] = np.mean(list(logits.values()), 0)
    return "val " + " | ".join(f"{name}: {_summary(data, z)}" for name, z in logits.items())


def _summary(data: ValidationSet, z: np.ndarray) -> str:
    """AUC of each source with both classes, attacks accepted of one with attacks alone, web portraits refused."""
    text = []
    for source in np.unique(data.source):
        bona, attack = z[data.part(source, True)], z[data.part(source, False)]
        if len(bona) and len(attack):
            text.append(f"{source} {auc(bona, attack):.3f}")
        elif len(attack):
            text.append(f"{source} accepted {(attack >= 0).mean():.3f}")
    web = ~data.labelled
    return ", ".join(text + ([f"web refused {(z[web] < 0).mean():.3f}"] if web.any() else []))
