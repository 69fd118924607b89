"""Where an answer comes from is found from answers alone, inside the region only."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.inference.saliency import NOISE, occlude, smooth_gradient
from echo_scp.model import Region

REGION = Region(10, 20, 210, 170, None)  # 200 x 150 pixels: 20 x 15 cells of 10
SPOT = (75, 135)  # row, column: the centre of cell (5, 12)
CELL = (5, 12)


def make_frames(count=1):
    """Checks of grey 60 and 140: structure everywhere."""
    rows, columns = np.mgrid[:200, :240] // 2
    return np.repeat(np.where((rows + columns) % 2, 60, 140).astype(np.uint8)[None], count, axis=0)


def brightness_at_the_spot(variants):
    return variants[:, :, SPOT[0], SPOT[1]].astype(np.float64).mean(axis=1)


def test_hiding_the_spot_that_matters_changes_most():
    """The heat is greatest at the cell of the one pixel that the answer looks at."""
    frames = make_frames()
    whole = brightness_at_the_spot(frames[None])[0]

    heat = occlude(frames, REGION, lambda some: np.abs(brightness_at_the_spot(some) - whole), 16, lambda share: None)

    assert heat.shape == (15, 20)
    assert heat[CELL] == heat.max() > 20
    assert np.count_nonzero(heat) <= 9


def test_a_spot_is_hidden_on_every_frame_of_a_clip():
    """A network that sees time must not find it in the next frame."""
    frames = make_frames(3)
    seen = []

    occlude(frames, REGION, lambda some: seen.append(some) or np.zeros(len(some)), 8, lambda share: None)

    changed = np.concatenate(seen) != frames
    assert (changed.any(axis=(2, 3))).all()


def test_nothing_outside_the_region_is_changed():
    """The banner is no part of what the network is asked about."""
    frames = make_frames()
    seen = []
    for method in (occlude, smooth_gradient):
        method(frames, REGION, lambda some: seen.append(some) or np.zeros(len(some)), 64, lambda share: None)

    outside = np.ones(frames.shape[1:], dtype=bool)
    outside[REGION.y0 : REGION.y1, REGION.x0 : REGION.x1] = False
    assert all((some[:, :, outside] == frames[:, outside]).all() for some in seen)


def test_spots_without_structure_are_not_asked_for():
    """Black outside the sector costs nothing and stays 0."""
    frames = np.zeros((1, 200, 240), dtype=np.uint8)

    heat = occlude(frames, REGION, lambda some: pytest.fail("nothing to ask"), 16, lambda share: None)

    assert not heat.any()


def test_a_linear_score_gives_its_exact_gradient():
    """The score is one pixel's brightness of 140: by the logarithm of its cell's brightness that is 140, else 0."""
    frames = make_frames()
    frames[:, SPOT[0], SPOT[1]] = 140

    heat = smooth_gradient(frames, REGION, brightness_at_the_spot, 64, lambda share: None)

    assert heat[CELL] == pytest.approx(140, rel=0.15)  # the pixel lies half a pixel from the centre of its cell
    heat[CELL] = 0
    assert np.abs(heat[:4]).max() < 2
    assert heat.sum() == pytest.approx(0, abs=30)


def test_the_noise_stays_within_its_strength():
    """No pixel is changed by more than the stated share of itself."""
    frames = make_frames()
    seen = []

    smooth_gradient(frames, REGION, lambda some: seen.append(some) or np.zeros(len(some)), 128, lambda share: None)

    ratio = np.concatenate(seen) / frames
    assert ratio.max() == pytest.approx(1 + NOISE, abs=0.02)
    assert ratio.min() == pytest.approx(1 - NOISE, abs=0.02)


@pytest.mark.parametrize("method", [occlude, smooth_gradient])
def test_progress_ends_at_one(method):
    """The share that is done only grows."""
    shares = []

    method(make_frames(), REGION, lambda some: np.zeros(len(some)), 50, shares.append)

    assert shares == sorted(shares)
    assert shares[-1] == 1
