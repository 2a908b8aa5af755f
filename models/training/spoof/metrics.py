"""Figures of ISO/IEC 30107-3 and their 95 % intervals.

Scores rise with P(bona fide); a presentation is accepted where its score reaches the threshold.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import beta


def auc(bona_fide: np.ndarray, attack: np.ndarray) -> float:
    """Area under the ROC curve: P(score of a bona fide image > score of an attack), ties half."""
    if not len(bona_fide) or not len(attack):
        return float("nan")
    order = np.sort(attack)
    below = np.searchsorted(order, bona_fide, "left")
    ties = np.searchsorted(order, bona_fide, "right") - below
    return float((below + ties / 2).mean() / len(attack))


def error_rates(bona_fide: np.ndarray, attack: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """APCER and BPCER at every score as the threshold, from the lowest to the highest."""
    cuts = np.unique(np.concatenate([bona_fide, attack]))
    apcer = 1 - np.searchsorted(np.sort(attack), cuts, "left") / len(attack)
    return apcer, np.searchsorted(np.sort(bona_fide), cuts, "left") / len(bona_fide)


def eer(bona_fide: np.ndarray, attack: np.ndarray) -> float:
    """Error rate where APCER equals BPCER."""
    apcer, bpcer = error_rates(bona_fide, attack)
    at = int(np.argmin(np.abs(apcer - bpcer)))
    return float((apcer[at] + bpcer[at]) / 2)


def threshold_at_bpcer(bona_fide: np.ndarray, bpcer: float) -> float:
    """The highest threshold that refuses at most the share ``bpcer`` of the bona fide images."""
    ordered = np.sort(bona_fide)
    # 0.05 * 20 must count as one image, whatever its last bit.
    return float(ordered[min(int(bpcer * len(ordered) + 1e-9), len(ordered) - 1)])


def apcer_at_bpcer(bona_fide: np.ndarray, attack: np.ndarray, bpcer: float) -> float:
    """Share of attacks accepted where at most ``bpcer`` of the bona fide images are refused."""
    return float((attack >= threshold_at_bpcer(bona_fide, bpcer)).mean())


def expected_calibration_error(probability: np.ndarray, live: np.ndarray, bins: int = 10) -> float:
    """Mean gap between stated probability and share of bona fide, over equally wide bins."""
    rows = reliability(probability, live, bins)
    return float(sum(count * abs(stated - found) for stated, found, count in rows) / len(probability))


def reliability(probability: np.ndarray, live: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """Per filled bin: mean stated probability, share of bona fide, number of images."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    parts = [index == b for b in range(bins) if (index == b).any()]
    return [(float(probability[p].mean()), float(live[p].mean()), int(p.sum())) for p in parts]


def clopper_pearson(errors: int, count: int) -> tuple[float, float]:
    """Exact 95 % interval of a rate of independent trials."""
    if count == 0:
        return 0.0, 1.0
    low = 0.0 if errors == 0 else float(beta.ppf(0.025, errors, count - errors + 1))
    high = 1.0 if errors == count else float(beta.ppf(0.975, errors + 1, count - errors))
    return low, high


def bootstrap(
    scores: np.ndarray, live: np.ndarray, groups: np.ndarray, rounds: int = 1000, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """AUC and EER of samples drawn with replacement from the groups, not from the images.

    Images of one person or session err together, so only whole groups are independent. Rounds
    without both classes give no figure and are left out.
    """
    names, member = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    weights = drawn[:, member[order]].astype(np.float64)
    bona = np.add.reduceat(weights * live[order], starts, axis=1)
    attack = np.add.reduceat(weights * ~live[order], starts, axis=1)
    full = (bona.sum(1) > 0) & (attack.sum(1) > 0)
    bona, attack = bona[full], attack[full]
    bona /= bona.sum(1, keepdims=True)
    attack /= attack.sum(1, keepdims=True)
    bpcer, refused = bona.cumsum(1) - bona, attack.cumsum(1) - attack
    areas = (bona * (refused + attack / 2)).sum(1)
    apcer = 1 - refused
    at = np.abs(apcer - bpcer).argmin(1)[:, None]
    errors = np.take_along_axis(apcer + bpcer, at, 1)[:, 0] / 2
    return areas, errors.clip(0, 1)
