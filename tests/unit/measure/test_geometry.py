"""The unit vectors of the method of disks and the area-length method, on analytic contours."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.measure.geometry import (
    all_disk_diameters,
    area_length_volume,
    disk_diameters,
    disks_volume,
    signed_area,
)

LENGTH_CM, DIAMETER_CM = 9.0, 5.0


def make_ellipse(points=20_000):
    """A prolate ellipsoid's cut: apex at (0, 0), base at (0, 9)."""
    angle = np.linspace(0, 2 * pi, points, endpoint=False)
    return np.column_stack([DIAMETER_CM / 2 * np.sin(angle), LENGTH_CM / 2 * (1 - np.cos(angle))])


def make_half_ellipse(points=20_000):
    """Apex at (0, 0), a flat base 5 cm wide at 9 cm."""
    angle = np.linspace(-pi / 2, pi / 2, points)
    return np.column_stack([DIAMETER_CM / 2 * np.sin(angle), LENGTH_CM * (1 - np.cos(angle))])


APEX, BASE = np.array([0.0, 0.0]), np.array([0.0, LENGTH_CM])


def test_ellipsoid_has_its_published_area_and_volumes():
    """L = 9 cm, D = 5 cm: 35.343 cm2, 117.957 mL by 20 disks, 117.810 mL by area-length."""
    contour = make_ellipse()

    area = abs(signed_area(contour))
    assert area == pytest.approx(35.343, abs=0.001)
    assert disks_volume(contour, APEX, BASE) == pytest.approx(117.957, abs=0.001)
    assert area_length_volume(area, LENGTH_CM) == pytest.approx(117.810, abs=0.001)


def test_half_ellipsoid_has_its_published_volume():
    """L = 9 cm, D = 5 cm: 117.847 mL by 20 disks."""
    assert disks_volume(make_half_ellipse(), APEX, BASE) == pytest.approx(117.847, abs=0.001)


def test_disks_of_a_rectangle_are_exact():
    """A cylinder seen from the side: every diameter is its width."""
    rectangle = np.array([[-2.0, 0.0], [2.0, 0.0], [2.0, 9.0], [-2.0, 9.0]])

    assert disk_diameters(rectangle, APEX, BASE) == pytest.approx(np.full(20, 4.0))
    assert disks_volume(rectangle, APEX, BASE) == pytest.approx(pi * 4 * 9)


def test_diameter_leaves_out_what_lies_between_two_lobes():
    """A U-shaped contour is as wide as its two legs together."""
    legs = np.array([[-2, 0], [2, 0], [2, 9], [1, 9], [1, 0.1], [-1, 0.1], [-1, 9], [-2, 9]], dtype=float)

    assert disk_diameters(legs, APEX, BASE)[10] == pytest.approx(2.0)


@given(
    turn=st.floats(0, 2 * pi),
    size=st.floats(0.1, 50),
    shift=st.tuples(st.floats(-100, 100), st.floats(-100, 100)),
    mirrored=st.booleans(),
)
def test_volume_follows_the_cube_of_size_and_nothing_else(turn, size, shift, mirrored):
    """Turning, moving and mirroring a contour leaves its volume; scaling cubes it."""
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * size
    matrix = rotation @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    moved = make_half_ellipse(400) @ matrix.T + shift

    expected = disks_volume(make_half_ellipse(400), APEX, BASE) * size**3
    assert disks_volume(moved, matrix @ APEX + shift, matrix @ BASE + shift) == pytest.approx(expected, rel=1e-6)


def test_diameters_of_many_are_those_of_each():
    """Every contour is cut on its own axis."""
    contours = np.stack([make_half_ellipse(200) * size + size for size in (1.0, 2.0, 0.5)])
    apices, bases = contours[:, 100], contours[:, [0, -1]].mean(axis=1)

    together = all_disk_diameters(contours, apices, bases)

    for widths, contour, apex, base in zip(together, contours, apices, bases, strict=True):
        assert widths == pytest.approx(disk_diameters(contour, apex, base))
    assert together[1] == pytest.approx(2 * together[0])
