"""Volumes of labelled frames against the closed form of the solid they are cut from."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.evaluate.case import Reference, Refusal
from echo_scp.evaluate.frames_file import STRUCTURES
from echo_scp.evaluate.volumes import biplane, find_plane, single_plane
from echo_scp.model import PixelSpacing, View
from tests.unit.evaluate.builders import SIDE, heart_labels

SPACING = PixelSpacing(1, 1)


def plane(length=70.0, width=44.0, shrink=0.75, spacing=SPACING, view=View.A4C):
    maps = heart_labels(length, width), heart_labels(length, width * shrink)
    return find_plane(view, maps, STRUCTURES, spacing)


def half_ellipsoid_ml(length: float, first: float, second: float) -> float:
    return 2 / 3 * np.pi * length * first / 2 * second / 2 / 1000


def test_a_single_plane_measures_a_solid_of_revolution():
    """Half an ellipsoid of revolution, and EF = 1 - shrink^2."""
    numbers = single_plane(plane())

    assert numbers.edv_ml == pytest.approx(half_ellipsoid_ml(70, 44, 44), rel=0.03)
    assert numbers.ef_percent == pytest.approx(100 * (1 - 0.75**2), abs=1.5)


def test_two_planes_measure_an_elliptic_solid():
    """The diameters of the two planes are multiplied disk by disk, so the cross-sections may be ellipses."""
    numbers = biplane(plane(width=50), plane(width=36, shrink=0.5, view=View.A2C))

    assert isinstance(numbers, Reference)
    assert numbers.edv_ml == pytest.approx(half_ellipsoid_ml(70, 50, 36), rel=0.03)
    assert numbers.ef_percent == pytest.approx(100 * (1 - 0.75 * 0.5), abs=1.5)


def test_the_longer_axis_counts():
    """Within 10 % of each other, the volume is that of the longer plane."""
    numbers = biplane(plane(length=66), plane(length=70, view=View.A2C))

    assert isinstance(numbers, Reference)
    assert numbers.edv_ml == pytest.approx(half_ellipsoid_ml(70, 44, 44), rel=0.03)


def test_planes_of_different_lengths_do_not_go_together():
    """More than 10 % apart, one of them is foreshortened."""
    numbers = biplane(plane(length=56), plane(length=70, view=View.A2C))

    assert isinstance(numbers, Refusal)
    assert numbers.reason == "lengths_differ"
    assert "20 %" in numbers.detail


def test_without_a_scale_there_is_an_ef_and_no_volume():
    """Two planes need a common scale even for EF."""
    loose = plane(spacing=None)

    assert single_plane(loose).edv_ml is None
    assert single_plane(loose).ef_percent == pytest.approx(single_plane(plane()).ef_percent)
    assert biplane(loose, plane(view=View.A2C)).reason == "not_calibrated"


def test_frames_without_a_ventricle_have_no_plane():
    """Neither both frames nor one of them."""
    empty = np.zeros((SIDE, SIDE), dtype=np.uint8)

    assert find_plane(View.A4C, (empty, empty), STRUCTURES, SPACING) is None
    assert find_plane(View.A4C, (heart_labels(), empty), STRUCTURES, SPACING) is None
