"""Every statistic against a closed form or scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, pearsonr

from echo_scp.evaluate.statistics import (
    AGREEMENT,
    agreement,
    area_under_curve,
    bootstrap,
    mean_of,
    proportion_interval,
    roc_points,
)


def named(measured: list[float], truth: list[float]) -> dict[str, float]:
    return dict(zip(AGREEMENT, agreement(np.array(measured, float), np.array(truth, float)), strict=True))


def test_agreement_of_known_numbers():
    """Differences +1, -1, +3, +1: MAE 1.5, bias 1, SD sqrt(8/3)."""
    found = named([51, 39, 63, 71], [50, 40, 60, 70])

    assert found["mae"] == pytest.approx(1.5)
    assert found["rmse"] == pytest.approx(np.sqrt(3))
    assert found["bias"] == pytest.approx(1)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * np.sqrt(8 / 3))
    assert found["r2"] == pytest.approx(1 - 12 / 500)
    assert found["r"] == pytest.approx(pearsonr([51, 39, 63, 71], [50, 40, 60, 70]).statistic)


def test_a_constant_offset_is_all_bias():
    """Limits of agreement collapse on the bias and r stays 1."""
    found = named([15, 25, 35], [10, 20, 30])

    assert found["bias"] == found["low"] == found["high"] == found["mae"] == 5
    assert found["r"] == pytest.approx(1)
    assert found["r2"] == pytest.approx(1 - 75 / 200)


def test_what_is_not_defined_is_not_a_number():
    """One pair has no spread and no correlation; no pair has nothing."""
    one = named([50], [40])

    assert one["bias"] == 10
    assert all(np.isnan(one[name]) for name in ("low", "high", "r2", "r"))
    assert np.isnan(agreement(np.array([]), np.array([]))).all()


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2, max_size=60))
def test_auc_is_mann_whitney_and_the_area_under_the_curve(pairs):
    """Three ways to the same number, ties included."""
    scores = np.array([score for score, _ in pairs], float)
    positive = np.array([flag for _, flag in pairs])
    found = area_under_curve(scores, positive)
    if positive.all() or not positive.any():
        assert np.isnan(found)
        return
    u = mannwhitneyu(scores[positive], scores[~positive], method="asymptotic").statistic
    points = roc_points(scores, positive)

    assert found == pytest.approx(u / (positive.sum() * (~positive).sum()))
    assert found == pytest.approx(np.trapezoid(points[:, 1], points[:, 0]))
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]


def test_the_bootstrap_of_a_mean_is_about_its_standard_error():
    """95 % interval = mean +- 1.96 SD / sqrt(n), within the noise of resampling."""
    values = np.random.default_rng(1).normal(10, 2, 400)
    estimate = mean_of([str(k) for k in range(400)], values)
    error = 1.96 * values.std() / 20

    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.low == pytest.approx(2 * error, rel=0.15)


def test_repeating_every_patient_does_not_narrow_the_interval():
    """Ten frames of each heart say no more about other hearts than one."""
    values = np.random.default_rng(2).normal(0, 1, 30)
    once = mean_of([str(k) for k in range(30)], values)
    often = mean_of([str(k) for k in range(30) for _ in range(10)], np.repeat(values, 10))

    assert often.low == pytest.approx(once.low)
    assert often.high == pytest.approx(once.high)


def test_one_patient_has_no_interval():
    """There is nobody else to draw."""
    (estimate,) = bootstrap(["a", "a"], lambda chosen: np.array([float(len(chosen))]))

    assert estimate.value == 2
    assert np.isnan([estimate.low, estimate.high]).all()
    assert np.isnan(mean_of([], np.array([])).value)


def test_resamples_without_both_kinds_are_left_out():
    """An AUC from three patients has an interval, although many resamples hold one kind only."""
    scores, positive = np.array([1.0, 2.0, 3.0]), np.array([False, False, True])
    (estimate,) = bootstrap(
        ["a", "b", "c"], lambda chosen: np.array([area_under_curve(scores[chosen], positive[chosen])])
    )

    assert estimate.value == 1
    assert (estimate.low, estimate.high) == (1, 1)


def test_wilsons_interval():
    """45 of 50, by the closed form with z = 1.95996."""
    z, share, total = 1.959963984540054, 0.9, 50
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))

    assert proportion_interval(45, 50) == pytest.approx((centre - half, centre + half))
