"""Volumes of labelled frames against the closed form of the solid they are cut from."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.evaluate.case import Refusal
from echo_scp.evaluate.frames_file import STRUCTURES
from echo_scp.evaluate.volumes import biplane, headline, measure_frames, single_plane
from echo_scp.model import PixelSpacing, View
from tests.unit.evaluate.builders import SIDE, heart_labels

SPACING = PixelSpacing(1, 1)
CONFIG = MeasureConfig()


def plane(length=70.0, width=44.0, shrink=0.75, spacing=SPACING, view=View.A4C):
    maps = heart_labels(length, width), heart_labels(length, width * shrink)
    return measure_frames(view, maps, STRUCTURES, spacing, CONFIG)


def half_ellipsoid_ml(length: float, first: float, second: float) -> float:
    return 2 / 3 * np.pi * length * first / 2 * second / 2 / 1000


def test_a_single_plane_measures_a_solid_of_revolution():
    """Half an ellipsoid of revolution, and EF = 1 - shrink^2, inside the interval that is stated with it."""
    measured = single_plane(plane())

    assert measured.numbers.edv_ml == pytest.approx(half_ellipsoid_ml(70, 44, 44), rel=0.03)
    assert measured.numbers.ef_percent == pytest.approx(100 * (1 - 0.75**2), abs=1.5)
    assert measured.interval[0] < measured.numbers.ef_percent < measured.interval[1]


def test_two_planes_measure_an_elliptic_solid():
    """The diameters of the two planes are multiplied disk by disk, so the cross-sections may be ellipses."""
    measured = biplane((plane(width=50), plane(width=36, shrink=0.5, view=View.A2C)), CONFIG)

    assert measured.numbers.edv_ml == pytest.approx(half_ellipsoid_ml(70, 50, 36), rel=0.03)
    assert measured.numbers.ef_percent == pytest.approx(100 * (1 - 0.75 * 0.5), abs=1.5)


def test_two_planes_are_surer_than_one():
    """Each counts half, and no plane is missing."""
    two, one = biplane((plane(), plane(view=View.A2C)), CONFIG), single_plane(plane())

    assert two.interval[1] - two.interval[0] < one.interval[1] - one.interval[0]


def test_the_longer_axis_counts():
    """Within 10 % of each other, the volume is that of the longer plane."""
    measured = biplane((plane(length=66), plane(length=70, view=View.A2C)), CONFIG)

    assert measured.numbers.edv_ml == pytest.approx(half_ellipsoid_ml(70, 44, 44), rel=0.03)


def test_planes_of_different_lengths_do_not_go_together():
    """More than 10 % apart, one of them is foreshortened: the headline falls back to A4C, as the product's does."""
    planes = plane(length=56), plane(length=70, shrink=0.5, view=View.A2C)

    refused = biplane(planes, CONFIG)

    assert isinstance(refused, Refusal)
    assert refused.reason == "lengths_differ"
    assert "20 %" in refused.detail
    assert headline(planes, CONFIG) == single_plane(planes[0])


def test_the_limit_is_that_of_the_configuration():
    """A site that allows more gets a biplane number from the same planes."""
    planes = plane(length=56), plane(length=70, view=View.A2C)
    generous = MeasureConfig(length_agreement_percent=25)

    assert headline(planes, generous) == biplane(planes, generous)


@pytest.mark.parametrize("aggregation", ["usal", "echonet-dynamic"])
def test_a_published_pipeline_does_not_take_the_frames_their_number(aggregation):
    """Its formulas ask for a cine."""
    planes = plane(), plane(view=View.A2C)

    assert biplane(planes, MeasureConfig(aggregation=aggregation)) == biplane(planes, CONFIG)


def test_without_a_scale_there_is_an_ef_and_no_volume():
    """Two planes need a common scale even for EF."""
    loose = plane(spacing=None)

    assert single_plane(loose).numbers.edv_ml is None
    assert single_plane(loose).numbers.ef_percent == pytest.approx(single_plane(plane()).numbers.ef_percent)
    assert biplane((loose, plane(view=View.A2C)), CONFIG).reason == "not_calibrated"


def test_frames_without_a_ventricle_have_no_plane():
    """Neither both frames nor one of them."""
    empty = np.zeros((SIDE, SIDE), dtype=np.uint8)

    for maps in ((empty, empty), (heart_labels(), empty)):
        assert measure_frames(View.A4C, maps, STRUCTURES, SPACING, CONFIG) is None
