"""Mask -> smooth contour of the same area."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.geometry import signed_area
from echo_scp.measure.outline import ANNULUS, smooth, trace


def make_disc(radius=30.0, centre=(50.0, 50.0), size=100):
    rows, columns = np.mgrid[:size, :size] + 0.5
    return np.hypot(columns - centre[0], rows - centre[1]) <= radius


def quarter(border):
    return 0, len(border.pixels) // 4


def test_border_counts_the_pixels_of_the_mask():
    """The area inside the traced border is the number of pixels."""
    mask = make_disc()

    assert trace(mask).area_px == mask.sum()


def test_holes_are_filled():
    """A hole in the cavity is cavity."""
    mask = make_disc()
    hollow = mask & ~make_disc(radius=8)

    assert trace(hollow).area_px == mask.sum()


def test_only_the_largest_part_is_traced():
    """A speck elsewhere is not the ventricle."""
    disc = make_disc(radius=20, centre=(30, 30))
    speck = make_disc(radius=6, centre=(80, 80))

    assert trace(disc | speck).area_px == disc.sum()


@pytest.mark.parametrize("radius", [0.0, 2.0])
def test_next_to_nothing_has_no_border(radius):
    """An empty mask and a few pixels have no shape."""
    assert trace(make_disc(radius)) is None


def test_smoothing_keeps_the_area_and_the_place():
    """The contour of a disc encloses its pixels and lies on its circle within half a pixel."""
    mask = make_disc()
    border = trace(mask)

    (contour,) = smooth([border], [quarter(border)])

    assert abs(signed_area(contour)) == pytest.approx(mask.sum(), rel=0.002)
    assert np.hypot(*(contour - 50.0).T) == pytest.approx(np.full(len(contour), 30.0), abs=0.5)


def test_steps_of_an_upscaled_mask_are_smoothed_away():
    """A mask enlarged four times has a contour as short as the circle's, not as the staircase's."""
    coarse = make_disc(radius=15, centre=(25, 25), size=50)
    mask = np.kron(coarse, np.ones((4, 4), dtype=bool))
    border = trace(mask)

    (contour,) = smooth([border], [quarter(border)])

    perimeter = np.hypot(*(np.roll(contour, -1, axis=0) - contour).T).sum()
    assert perimeter == pytest.approx(2 * np.pi * 60, rel=0.03)


def test_corners_of_the_base_stay_sharp():
    """The two ends of the base stay within a pixel of the corners of a half disc."""
    mask = make_disc()
    mask[50:] = False
    border = trace(mask)
    left, right = (int(np.argmin(border.pixels @ np.array([sign, -0.01]))) for sign in (1.0, -1.0))

    for base in ((left, right), (right, left)):
        ends = smooth([border], [base])[0, list(ANNULUS)]
        assert ends[np.argsort(ends[:, 0])] == pytest.approx(np.array([[20.0, 50.0], [80.0, 50.0]]), abs=1.0)
