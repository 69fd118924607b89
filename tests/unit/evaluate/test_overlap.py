"""Scores of outlines against closed forms and a second implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import directed_hausdorff

from echo_scp.evaluate.overlap import dice, directed_percentile, hausdorff95, intersection_over_union
from echo_scp.model import PixelSpacing

SQUARE = PixelSpacing(1, 1)


def box(x0: int, y0: int, x1: int, y1: int, side: int = 64) -> np.ndarray:
    mask = np.zeros((side, side), dtype=bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_half_an_overlap():
    """Two boxes of 200 pixels share 100: Dice 1/2, intersection over union 1/3."""
    first, second = box(0, 0, 20, 10), box(10, 0, 30, 10)

    assert dice(first, second) == pytest.approx(0.5)
    assert intersection_over_union(first, second) == pytest.approx(1 / 3)


@given(shift=st.integers(1, 20), row_mm=st.floats(0.1, 2), column_mm=st.floats(0.1, 2))
def test_a_shifted_box_is_as_far_as_its_shift(shift, row_mm, column_mm):
    """The Hausdorff distance of a box moved along a row is the shift in millimetres of that direction."""
    moved = directed_percentile(
        box(5, 5, 35, 10), box(5 + shift, 5, 35 + shift, 10), PixelSpacing(row_mm, column_mm), 100
    )

    assert moved == pytest.approx(shift * column_mm)


@given(seed=st.integers(0, 1000))
def test_the_hundredth_percentile_is_scipys_hausdorff_distance(seed):
    """On random blobs both implementations agree."""
    rng = np.random.default_rng(seed)
    first, second = (rng.random((24, 24)) < 0.2 for _ in range(2))
    first[3, 3] = second[20, 20] = True
    points = [np.argwhere(mask).astype(float) for mask in (first, second)]
    expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])

    # every pixel of a sparse blob is border, or lies nearer to the other's border than the border does
    assert directed_percentile(first, second, SQUARE, 100) == pytest.approx(expected, abs=1)


def test_an_outlier_of_less_than_five_percent_does_not_count():
    """One stray pixel moves the Hausdorff distance, not its 95th percentile."""
    first, second = box(10, 10, 50, 50), box(10, 10, 50, 50)
    second[0, 0] = True

    assert hausdorff95(first, second, SQUARE) == 0
    assert directed_percentile(first, second, SQUARE, 100) == pytest.approx(np.hypot(10, 10))


def test_an_empty_outline_has_a_dice_of_zero_and_no_distance():
    """Two empty masks have neither."""
    nothing, something = box(0, 0, 0, 0), box(5, 5, 9, 9)

    assert dice(nothing, something) == 0
    assert hausdorff95(nothing, something, SQUARE) is None
    assert dice(nothing, nothing) is None
    assert intersection_over_union(nothing, nothing) is None
