"""Figures of ISO/IEC 30107-3 and their 95 % intervals."""

from __future__ import annotations

import numpy as np


def auc(bona_fide: np.ndarray, attack: np.ndarray) -> float:
    """Area under the ROC curve: P(score of a bona fide image > score of an attack), ties half."""
    if not len(bona_fide) or not len(attack):
        return float("nan")
    order = np.sort(attack)
    below = np.searchsorted(order, bona_fide, "left")
    ties = np.searchsorted(order, bona_fide, "right") - below
    return float((below + ties / 2).mean() / len(attack))


def eer(bona_fide: np.ndarray, attack: np.ndarray) -> float:
    """Error rate where APCER equals BPCER."""
    cuts = np.unique(np.concatenate([bona_fide, attack]))
    apcer = 1 - np.searchsorted(np.sort(attack), cuts, "left") / len(attack)
    bpcer = np.searchsorted(np.sort(bona_fide), cuts, "left") / len(bona_fide)
    at = int(np.argmin(np.abs(apcer - bpcer)))
    return float((apcer[at] + bpcer[at]) / 2)


def apcer_at_bpcer(bona_fide: np.ndarray, attack: np.ndarray, bpcer: float) -> float:
    """Share of attacks accepted at the threshold that refuses ``bpcer`` of the bona fide images."""
    threshold = np.quantile(bona_fide, bpcer)
    return float((attack >= threshold).mean())


def expected_calibration_error(probability: np.ndarray, live: np.ndarray, bins: int = 10) -> float:
    """Mean gap between stated probability and share of bona fide, over equally wide bins."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [abs(probability[index == b].mean() - live[index == b].mean()) * (index == b).sum() for b in range(bins) if (index == b).any()]
    return float(sum(gaps) / len(probability))


def clopper_pearson(errors: int, count: int) -> tuple[float, float]:
    """Exact 95 % interval of a rate, by bisection of the binomial distribution."""
    if count == 0:
        return 0.0, 1.0
    low = 0.0 if errors == 0 else _solve(errors - 1, count, 0.975)
    high = 1.0 if errors == count else _solve(errors, count, 0.025)
    return low, high


def _solve(at_most: int, count: int, level: float) -> float:
    """The rate at which P(X <= at_most) of a binomial distribution equals level."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _binomial_cdf(at_most, count, middle) > level else (low, middle)
    return (low + high) / 2


def _binomial_cdf(at_most: int, count: int, rate: float) -> float:
    k = np.arange(at_most + 1)
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, count + 1)))])
    terms = logs[count] - logs[k] - logs[count - k] + k * np.log(max(rate, 1e-300)) + (count - k) * np.log1p(-min(rate, 1 - 1e-16))
    return float(np.exp(terms).sum())
