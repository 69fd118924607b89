"""Volumes from two planes, by closed formulas."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.measure.biplane import atrial_volume_ml, biplane_interval, biplane_volumes
from echo_scp.measure.interval import NORMAL_95
from echo_scp.model import Atrium
from tests.unit.measure.planes import make_beat, make_measurement, make_ventricle


def test_ellipsoid_of_three_axes_has_its_published_volume():
    """Half-axes 45, 25 and 20 mm: 4/3 pi abc by disks, to 0.2 %, and by area-length."""
    four, two = make_ventricle(90, 50), make_ventricle(90, 40)
    beat = make_beat(four, make_ventricle(80, 40)), make_beat(two, make_ventricle(80, 32))

    found = biplane_volumes([beat[0]], [beat[1]])

    exact_ml = 4 / 3 * pi * 45 * 25 * 20 / 1000
    assert found.edv_ml == pytest.approx(exact_ml, rel=0.002)
    assert found.edv_area_length_ml == pytest.approx(exact_ml, rel=1e-6)
    assert found.ef_percent == pytest.approx(100 * (1 - 80 * 40 * 32 / (90 * 50 * 40)), abs=0.01)


def test_same_plane_twice_is_the_single_plane():
    """With a = b the biplane formula is the other one."""
    beat = make_beat(make_ventricle(90, 50), make_ventricle(75, 38))

    found = biplane_volumes([beat], [beat])

    assert found.edv_ml == pytest.approx(beat.end_diastole.disks_ml)
    assert found.ef_percent == pytest.approx(beat.ef_percent)


def test_longer_axis_counts():
    """Of 90 and 84 mm the height of the disks is 90 / 20."""
    long, short = make_ventricle(90, 50), make_ventricle(84, 50)
    beats = [make_beat(ventricle, ventricle) for ventricle in (long, short)]

    assert biplane_volumes(beats[:1], beats[1:]).edv_ml == pytest.approx(long.disks_ml)


def test_every_beat_of_one_plane_meets_every_beat_of_the_other():
    """One more beat moves the mean by its weight."""
    es = make_ventricle(75, 38)
    one, other = make_beat(make_ventricle(90, 50), es), make_beat(make_ventricle(90, 54), es)
    plane = make_beat(make_ventricle(88, 46), make_ventricle(74, 36))
    first, second = (biplane_volumes([beat], [plane]).ef_percent for beat in (one, other))

    assert biplane_volumes([one, other], [plane]).ef_percent == pytest.approx((first + second) / 2)
    assert biplane_volumes([one, one, other], [plane]).ef_percent == pytest.approx((2 * first + second) / 3)


def test_atrium_takes_the_shorter_length():
    """8 A1 A2 / (3 pi L) with L = 48 mm of 48 and 52."""
    four, two = (make_atrium(*size) for size in ((52.0, 1800.0), (48.0, 1700.0)))

    assert atrial_volume_ml([four], [two]) == pytest.approx(8 * 1800 * 1700 / (3 * pi * 48) / 1000)
    assert atrial_volume_ml([four], []) is None


def make_atrium(length_mm, area_mm2):
    return Atrium(0, np.zeros((3, 2)), (0.0, 0.0), ((0.0, 0.0), (1.0, 0.0)), length_mm, area_mm2, 0.0)


def test_interval_of_two_planes_is_narrower_than_of_one():
    """Either plane's outlines count half, and the choice of the plane no more."""
    config = MeasureConfig(beat_sd_percent=0, outline_sd_percent=6, plane_sd_percent=5)
    clip = make_measurement([60.0])

    interval = biplane_interval(60.0, [[clip], [clip]], config)

    assert interval.high - 60 == pytest.approx(NORMAL_95 * 6 / 2**0.5)
