"""Pictures that stand on their head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echo_scp.measure.orientation import stands_on_head, upended, upended_outlines
from echo_scp.model import Region, Segmentation, View
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render
from tests.unit.fakes import make_clip


def make_sector(sector_deg=80.0, gain_db=0.0):
    """Return a clip of the phantom as a scanner shows it."""
    scanner = Scanner(rows=200, columns=260, sector_deg=sector_deg, gain_db=gain_db)
    return make_clip(render(Heart(View.A4C, 110, 55, 82), scanner, Rhythm(frame_count=8)).frames)


@pytest.mark.parametrize(("sector_deg", "gain_db"), [(80.0, 0.0), (60.0, 0.0), (90.0, -12.0)])
def test_a_sector_that_opens_upwards_stands_on_its_head(sector_deg, gain_db):
    """And one that opens downwards does not, bright or dark."""
    clip = make_sector(sector_deg, gain_db)

    assert not stands_on_head(clip)
    assert stands_on_head(upended(clip))


@pytest.mark.parametrize("level", [0, 90])
def test_a_picture_without_sector_stays_as_it_is(level):
    """Nothing lit, or all of it: nothing tells where the probe is."""
    assert not stands_on_head(make_clip(np.full((3, 60, 80), level, dtype=np.uint8)))


def test_upending_takes_the_region_along():
    """What was 10 rows from the top is 10 rows from the bottom; twice is as before."""
    clip = make_clip(np.arange(2 * 30 * 20, dtype=np.uint8).reshape(2, 30, 20))
    clip = replace(clip, region=Region(3, 10, 15, 22, None))

    turned = upended(clip)

    assert turned.region == Region(3, 8, 15, 20, None)
    assert np.array_equal(turned.frames[:, 8:20, 3:15], clip.frames[:, 10:22, 3:15][:, ::-1])
    assert np.array_equal(upended(turned).frames, clip.frames)


def test_outlines_are_upended_alike():
    """Every frame for itself."""
    label_maps = np.random.default_rng(0).integers(0, 4, (3, 6, 5), dtype=np.uint8)

    assert np.array_equal(upended_outlines(Segmentation(label_maps, ())).label_maps, label_maps[:, ::-1])
