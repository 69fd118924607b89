"""The left atrium at end-systole."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from echo_scp.measure.atrium import cut_off_share, find_atria
from echo_scp.measure.beats import Cycle
from echo_scp.measure.sector import SectorEdge, find_sector

# The phantom's LA: half an ellipse 30 mm deep and 40 mm wide on the annulus plane, still.
AREA_MM2, LENGTH_MM = pi / 4 * 2 * 30 * 20, 30.0
CYCLE = Cycle(7, 20)


def atria_of(phantom):
    return find_atria(phantom.clip(), phantom.segmentation(), [CYCLE], phantom.cycle_ms)


@pytest.mark.parametrize("turn_deg", [0, 90, 200])
@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (0.5, 0.9)])
def test_atrium_is_measured_at_end_systole(make_phantom, turn_deg, spacing_mm):
    """Area, length and area-length volume, at any spacing and any way round."""
    row_mm, column_mm = spacing_mm
    phantom = make_phantom(turn_deg=turn_deg, row_mm=row_mm, column_mm=column_mm, beats=1.2, ef_percent=20)

    (atrium,) = atria_of(phantom).values()

    assert atrium.frame_index == 20
    assert atrium.length_mm == pytest.approx(LENGTH_MM, abs=1.5)
    assert atrium.area_mm2 == pytest.approx(AREA_MM2, rel=0.04)
    assert atrium.area_length_ml == pytest.approx(8 * AREA_MM2**2 / (3 * pi * LENGTH_MM) / 1000, rel=0.06)


def test_roof_lies_opposite_the_apex(make_phantom):
    """The annulus is between them."""
    phantom = make_phantom(beats=1.2)

    (atrium,) = atria_of(phantom).values()

    assert atrium.roof[1] > np.mean(atrium.annulus, axis=0)[1]


def test_no_atrium_without_outline_or_calibration(make_phantom):
    """Nothing is invented."""
    assert atria_of(make_phantom(atrium=False, beats=1.2)) == {}
    assert atria_of(make_phantom(calibrated=False, beats=1.2)) == {}


def test_atrium_apart_from_the_ventricle_is_not_measured(make_phantom):
    """Without a border between them nobody knows where the annulus is."""
    phantom = make_phantom(beats=1.2)
    segmentation = phantom.segmentation()
    rows = np.flatnonzero((segmentation.label_maps[20] == 3).any(axis=1))
    segmentation.label_maps[:, rows[0] - 20 : rows[0] + 12][
        segmentation.label_maps[:, rows[0] - 20 : rows[0] + 12] == 3
    ] = 0

    assert find_atria(phantom.clip(), segmentation, [CYCLE], phantom.cycle_ms) == {}


def test_atrium_that_runs_out_of_the_picture_is_cut_off(make_phantom):
    """A good part of its wall is the lower edge of the region."""
    whole, cut = (make_phantom(beats=1.2, ef_percent=10, size_mm=size_mm) for size_mm in (150, 98))
    shares = []
    for phantom in (whole, cut):
        segmentation = phantom.segmentation()
        edge = SectorEdge(find_sector(phantom.clip(), segmentation.label_maps.shape[1:]))
        atria = find_atria(phantom.clip(), segmentation, [CYCLE], phantom.cycle_ms)
        shares.append(cut_off_share(atria, edge))

    assert shares[0] == 0
    assert shares[1] > 0.1
