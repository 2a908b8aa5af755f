"""DET curves, score histograms and the reliability diagram as PNG files."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend must be chosen first)
import numpy as np  # noqa: E402
from scipy.stats import norm  # noqa: E402

from ..spoof.metrics import error_rates  # noqa: E402
from .figures import Calibration, Judged  # noqa: E402

TICKS = np.array([0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8])


def _deviate(rate: np.ndarray) -> np.ndarray:
    return norm.ppf(np.clip(rate, 5e-4, 0.95))


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _by_source(judged: Judged) -> dict[str, Judged]:
    answered = judged.where(judged.responded & ~judged.assumed)
    source = np.array([p.source for p in answered.presentations])
    return {s: answered.where(source == s) for s in sorted(set(source))}


def det(judged: Judged, path: Path) -> None:
    """APCER against BPCER on normal deviate axes, per source that has both classes, and over all."""
    parts = _by_source(judged)
    parts["all with labels"] = judged.where(judged.responded & ~judged.assumed)
    figure, axes = plt.subplots(figsize=(6, 6))
    for name, part in parts.items():
        bona, attack = part.probability[part.live], part.probability[~part.live]
        if len(bona) and len(attack):
            apcer, bpcer = error_rates(bona, attack)
            axes.step(_deviate(apcer), _deviate(bpcer), where="post", label=f"{name} ({len(bona)} + {len(attack)})")
    for setter in (axes.set_xticks, axes.set_yticks):
        setter(norm.ppf(TICKS), [f"{100 * t:g}" for t in TICKS])
    axes.plot(norm.ppf(TICKS), norm.ppf(TICKS), color="grey", linewidth=0.6)
    axes.set(xlabel="APCER, %", ylabel="BPCER, %", title="DET (bona fide + attacks)")
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def histograms(judged: Judged, threshold: float, path: Path) -> None:
    """P(bona fide) of both classes, a panel per source."""
    parts = _by_source(judged)
    figure, panels = plt.subplots(len(parts), 1, figsize=(7, 2 * len(parts)), sharex=True, squeeze=False)
    bins = np.linspace(0, 1, 41)
    for axes, (name, part) in zip(panels[:, 0], parts.items(), strict=True):
        for live, label, colour in ((True, "bona fide", "tab:green"), (False, "attack", "tab:red")):
            chosen = part.probability[part.live == live]
            if len(chosen):
                axes.hist(chosen, bins, alpha=0.55, color=colour, label=f"{label} ({len(chosen)})")
        axes.axvline(threshold, color="black", linewidth=0.8)
        axes.set_yscale("symlog")
        axes.set_title(name, fontsize=9)
        axes.legend(fontsize=8)
    panels[-1, 0].set_xlabel("P(bona fide)")
    _save(figure, path)


def reliability_diagram(found: Calibration, path: Path) -> None:
    """Share of bona fide against the stated probability; the number of images beside each point."""
    stated, share, count = (np.array(column) for column in zip(*found.bins, strict=True))
    figure, axes = plt.subplots(figsize=(5, 5))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    axes.plot(stated, share, "o-")
    for x, y, n in zip(stated, share, count, strict=True):
        axes.annotate(str(n), (x, y), textcoords="offset points", xytext=(5, -9), fontsize=8)
    axes.set(xlabel="stated P(bona fide)", ylabel="share of bona fide", title=f"Calibration error {found.error:.3f}")
    axes.grid(alpha=0.3)
    _save(figure, path)
