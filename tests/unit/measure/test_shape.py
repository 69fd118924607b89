"""Shapes of rasterised hearts: where annulus and apex lie, and how large the LV is."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_scp.measure.shape import as_ventricle, find_shape
from echo_scp.model import PixelSpacing

LV, MYOCARDIUM, ATRIUM = 1, 2, 3
EDV_ML, LENGTH_MM = 117.810, 90.0  # the half-ellipsoid of the unit vectors: L = 9 cm, D = 5 cm
DISKS_ML = 117.847

# A pixel is up to 1 mm here, and the border of a mask is known to about half of one on either side.
VOLUME_TOLERANCE = 0.02
LENGTH_TOLERANCE_MM = 1.5


def shape_of(labels, spacing):
    return find_shape(labels == LV, labels == ATRIUM, labels == MYOCARDIUM, spacing)


def drawn(make_phantom, volume_ml=EDV_ML, **changes):
    """Return the phantom's shape; the unit vectors' half-ellipsoid unless changed."""
    phantom = make_phantom(**{"edv_ml": EDV_ML, "length_mm": LENGTH_MM, "size_mm": 180.0} | changes)
    return phantom, shape_of(phantom.draw(volume_ml), PixelSpacing(phantom.row_mm, phantom.column_mm))


@pytest.mark.parametrize("turn_deg", [0, 37, 90, 180, 251])
@pytest.mark.parametrize(("row_mm", "column_mm"), [(0.3, 0.3), (0.8, 0.8), (0.5, 1.0), (1.0, 0.4)])
def test_half_ellipsoid_is_measured_from_its_mask(make_phantom, turn_deg, row_mm, column_mm):
    """Volume, area and length are right at any spacing, square or not, and any way round."""
    _, shape = drawn(make_phantom, turn_deg=turn_deg, row_mm=row_mm, column_mm=column_mm)

    assert shape.disks / 1000 == pytest.approx(DISKS_ML, rel=VOLUME_TOLERANCE)
    assert shape.area_length / 1000 == pytest.approx(117.810, rel=VOLUME_TOLERANCE)
    assert shape.area == pytest.approx(3534.3, rel=0.01)
    assert shape.length == pytest.approx(90.0, abs=LENGTH_TOLERANCE_MM)


@pytest.mark.parametrize("spacing_mm", [0.3, 0.8])
def test_whole_ellipsoid_that_touches_the_atrium_is_measured_from_its_mask(spacing_mm):
    """L = 9 cm, D = 5 cm with the atrium at its tip: 35.343 cm2, 117.957 mL by disks."""
    rows, columns = (np.mgrid[: int(130 / spacing_mm), : int(70 / spacing_mm)] + 0.5) * spacing_mm
    ventricle = ((columns - 35) / 25) ** 2 + ((rows - 50) / 45) ** 2 <= 1
    labels = np.where(ventricle, LV, np.where(rows > 94.5, ATRIUM, 0))

    shape = shape_of(labels, PixelSpacing(spacing_mm, spacing_mm))

    assert shape.disks / 1000 == pytest.approx(117.957, rel=VOLUME_TOLERANCE)
    assert shape.area == pytest.approx(3534.3, rel=0.01)
    assert shape.length == pytest.approx(
        90.0, abs=2.5
    )  # the atrium covers the tip, so the annulus lies a little higher


@pytest.mark.parametrize("turn_deg", [0, 90, 180, 215])
@pytest.mark.parametrize(("wall", "atrium"), [(True, True), (False, True), (True, False), (False, False)])
def test_annulus_and_apex_are_found_whatever_is_outlined(make_phantom, turn_deg, wall, atrium):
    """Atrium, else wall, else the broad end tell where the base is; the picture may stand on its head."""
    phantom, shape = drawn(make_phantom, turn_deg=turn_deg, wall=wall, atrium=atrium)

    turn = np.radians(turn_deg)
    upwards = np.array([np.sin(turn), -np.cos(turn)])
    middle = np.full(2, phantom.size_mm / 2) - 30 * upwards
    assert shape.apex * phantom.row_mm == pytest.approx(middle + LENGTH_MM * upwards, abs=2.5)
    assert shape.annulus.mean(axis=0) * phantom.row_mm == pytest.approx(middle, abs=1.5)
    width_mm = 40.0 if atrium else 50.0  # the phantom's atrium is narrower than its ventricle
    assert np.hypot(*np.diff(shape.annulus, axis=0)[0]) * phantom.row_mm == pytest.approx(width_mm, abs=4.0)


def test_thin_gap_between_ventricle_and_atrium_is_bridged(make_phantom):
    """A valve left unlabelled between the outlines does not hide the annulus."""
    phantom = make_phantom(edv_ml=EDV_ML, length_mm=LENGTH_MM, size_mm=180.0, wall=False)
    labels = phantom.draw(EDV_ML)
    first_row = int(np.flatnonzero((labels == ATRIUM).any(axis=1))[0])
    labels[first_row : first_row + 1] = 0

    shape = shape_of(labels, PixelSpacing(0.8, 0.8))

    assert shape.disks / 1000 == pytest.approx(DISKS_ML, rel=0.06)


def test_speck_of_atrium_on_the_wall_is_ignored(make_phantom):
    """Only the largest part of the atrium counts."""
    phantom, expected = drawn(make_phantom)
    labels = phantom.draw(EDV_ML)
    row = int(expected.annulus[:, 1].mean()) - 30
    column = int(np.flatnonzero(labels[row] == LV)[0])
    labels[row - 3 : row + 3, column - 4 : column] = ATRIUM

    assert shape_of(labels, PixelSpacing(0.8, 0.8)).length == pytest.approx(expected.length, abs=0.5)


def test_atrium_wider_than_the_annulus_does_not_raise_the_base(make_phantom):
    """Without a wall, what touches the atrium is the base; what is merely near it is not."""
    phantom = make_phantom(edv_ml=EDV_ML, length_mm=LENGTH_MM, size_mm=180.0, wall=False)
    labels = phantom.draw(EDV_ML)
    first_row = int(np.flatnonzero((labels == ATRIUM).any(axis=1))[0])
    labels[first_row:] = ATRIUM

    assert shape_of(labels, PixelSpacing(0.8, 0.8)).length == pytest.approx(LENGTH_MM, abs=0.8)


@pytest.mark.parametrize("upside_down", [False, True])
def test_gap_in_the_wall_is_the_base_when_no_atrium_is_outlined(upside_down):
    """Both ends of an ellipsoid are alike; the wall is missing where the valve is."""
    rows, columns = np.mgrid[:130, :80] + 0.5
    ventricle = ((columns - 40) / 25) ** 2 + ((rows - 60) / 45) ** 2 <= 1
    wall = ((columns - 40) / 33) ** 2 + ((rows - 60) / 53) ** 2 <= 1
    labels = np.where(ventricle, LV, np.where(wall & (rows < 98), MYOCARDIUM, 0))

    shape = shape_of(labels[::-1] if upside_down else labels, PixelSpacing(1, 1))

    assert shape.apex[1] == pytest.approx(115 if upside_down else 15, abs=1)
    assert shape.annulus[:, 1].mean() == pytest.approx(30 if upside_down else 100, abs=3)


def test_anisotropic_pixels_are_not_mistaken_for_square(make_phantom):
    """Taking a stretched picture as square gives another volume: both spacings are used."""
    phantom, shape = drawn(make_phantom, row_mm=0.5, column_mm=1.0)

    square = shape_of(phantom.draw(EDV_ML), PixelSpacing(0.5, 0.5))

    assert shape.disks / 1000 == pytest.approx(DISKS_ML, rel=VOLUME_TOLERANCE)
    assert square.disks < 0.5 * shape.disks


@settings(deadline=None, max_examples=25)
@given(factor=st.floats(0.2, 5))
def test_volume_scales_with_the_cube_of_the_spacing(make_phantom, factor):
    """The same mask with larger pixels: length, area and volumes follow exactly."""
    labels = make_phantom().draw(100.0)
    one, other = shape_of(labels, PixelSpacing(0.8, 0.8)), shape_of(labels, PixelSpacing(0.8 * factor, 0.8 * factor))

    assert other.length == pytest.approx(one.length * factor)
    assert other.area == pytest.approx(one.area * factor**2)
    assert other.disks == pytest.approx(one.disks * factor**3)
    assert other.area_length == pytest.approx(one.area_length * factor**3)


@settings(deadline=None, max_examples=25)
@given(turn_deg=st.floats(-20, 20), volume_ml=st.floats(40, 100))
def test_mirror_image_and_small_turns_keep_the_volume(make_phantom, turn_deg, volume_ml):
    """A turned picture and its mirror image measure what was drawn."""
    labels = make_phantom(turn_deg=turn_deg).draw(volume_ml)
    spacing = PixelSpacing(0.8, 0.8)

    volumes = [shape_of(picture, spacing).disks / 1000 for picture in (labels, labels[:, ::-1], labels[::-1])]

    assert volumes == pytest.approx([volume_ml] * 3, rel=0.03)


def test_no_ventricle_has_no_shape():
    """An empty mask gives no shape rather than a zero."""
    assert shape_of(np.zeros((50, 50), dtype=np.uint8), PixelSpacing(1, 1)) is None


def test_ventricle_carries_units_only_when_calibrated(make_phantom):
    """Without calibration the contour stays and every number is None."""
    _, shape = drawn(make_phantom)

    told, untold = (as_ventricle(shape, 7, calibrated=calibrated) for calibrated in (True, False))

    assert told.disks_ml == pytest.approx(DISKS_ML, rel=VOLUME_TOLERANCE)
    assert told.area_mm2 == pytest.approx(pi / 4 * 90 * 50, rel=0.01)
    assert (untold.length_mm, untold.area_mm2, untold.disks_ml, untold.area_length_ml) == (None,) * 4
    assert untold.contour is shape.contour
