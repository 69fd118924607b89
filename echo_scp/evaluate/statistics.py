"""Numbers about numbers: agreement, ROC, intervals. Pure; an undefined statistic is NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata

Values = NDArray[np.float64]  # (N,)
Indices = NDArray[np.intp]
Statistic = Callable[[Indices], Values]  # of a sample, given as indices; several numbers at once

LIMITS_OF_AGREEMENT = 1.96  # SDs: Bland and Altman, Lancet 1986
DRAWS = 2000
AGREEMENT = ("mae", "rmse", "bias", "low", "high", "r2", "r")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic with its 95 % bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def agreement(measured: Values, truth: Values) -> Values:
    """Return MAE, RMSE, bias, lower and upper limit of agreement, R2 and Pearson's r, in the order of AGREEMENT.

    R2 is the share of the truth's variance that the measurement explains (1 - residual / total), below 0 when it is
    worse than the mean; it is not r squared.
    """
    differences = measured - truth
    if len(differences) == 0:
        return np.full(len(AGREEMENT), np.nan)
    bias = float(differences.mean())
    spread = LIMITS_OF_AGREEMENT * float(differences.std(ddof=1)) if len(differences) > 1 else np.nan
    mae, rmse = float(np.abs(differences).mean()), float(np.sqrt(np.mean(differences**2)))
    return np.array([mae, rmse, bias, bias - spread, bias + spread, _r2(differences, truth), _r(measured, truth)])


def area_under_curve(scores: Values, positive: NDArray[np.bool_]) -> float:
    """Return the probability that a positive scores higher than a negative, ties counting half (Mann-Whitney)."""
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not (positives and negatives):
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc_points(scores: Values, positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (M, 2) the (false positive rate, true positive rate) from (0, 0) to (1, 1); equal scores move together."""
    order = np.argsort(-scores, kind="stable")
    hits, ranked = positive[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true, false = np.cumsum(hits)[ends], np.cumsum(~hits)[ends]
    return np.vstack([[0.0, 0.0], np.column_stack([false / max(false[-1], 1), true / max(true[-1], 1)])])


def bootstrap(clusters: Sequence[str], statistic: Statistic, draws: int = DRAWS) -> tuple[Estimate, ...]:
    """Return every number of `statistic` with its percentile interval over resampled clusters.

    Whole patients are drawn with replacement, with all that is theirs: two frames of one heart are not two hearts.
    scipy.stats.bootstrap cannot draw clusters. The same data give the same interval.
    """
    values = np.atleast_1d(statistic(np.arange(len(clusters))))
    members = _members(clusters)
    if len(members) < 2:
        return tuple(Estimate(float(value), float("nan"), float("nan")) for value in values)
    drawn = np.random.default_rng(0).integers(0, len(members), (draws, len(members)))
    alone = np.concatenate(members) if len(members) == len(clusters) else None  # ten thousand patients, one clip each
    chosen = (np.concatenate([members[k] for k in draw]) if alone is None else alone[draw] for draw in drawn)
    samples = np.stack([np.atleast_1d(statistic(sample)) for sample in chosen])
    return tuple(_interval(float(value), column) for value, column in zip(values, samples.T, strict=True))


def mean_of(clusters: Sequence[str], values: Values) -> Estimate:
    """Return the mean with its interval; NaN of no values."""
    if not len(values):
        return Estimate(float("nan"), float("nan"), float("nan"))
    return bootstrap(clusters, lambda chosen: np.array([values[chosen].mean()]))[0]


def proportion_interval(count: int, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion."""
    interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def _members(clusters: Sequence[str]) -> list[Indices]:
    order = np.argsort(np.asarray(clusters), kind="stable")
    names = np.asarray(clusters)[order]
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    return [order[start:end] for start, end in pairwise(starts) if end > start]


def _interval(value: float, samples: Values) -> Estimate:
    known = samples[np.isfinite(samples)]
    if not len(known):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.percentile(known, (2.5, 97.5))
    return Estimate(value, float(low), float(high))


def _r2(differences: Values, truth: Values) -> float:
    total = float(np.sum((truth - truth.mean()) ** 2))
    return 1 - float(np.sum(differences**2)) / total if total > 0 else float("nan")


def _r(measured: Values, truth: Values) -> float:
    if len(truth) < 2 or np.ptp(measured) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(np.corrcoef(measured, truth)[0, 1])
