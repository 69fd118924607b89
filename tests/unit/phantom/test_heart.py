"""The phantom's heart: the volumes it states are the volumes it has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.phantom.heart import SYSTOLE, TRUNCATION, Heart, cavity_at, filling


def counted_volume_ml(a_mm: float, b_mm: float, voxel_mm: float = 0.5) -> float:
    """Count the voxels of the truncated ellipsoid, one slice across the long axis at a time."""
    across = np.arange(-b_mm, b_mm, voxel_mm) + voxel_mm / 2
    along = np.arange(-a_mm, TRUNCATION * a_mm, voxel_mm) + voxel_mm / 2
    radius2 = across[:, None] ** 2 + across[None, :] ** 2
    voxels = sum(int((radius2 / b_mm**2 + (z / a_mm) ** 2 <= 1).sum()) for z in along)
    return voxels * voxel_mm**3 / 1000


@pytest.mark.parametrize("phase", [0.0, 0.2, SYSTOLE, 0.6])
def test_the_stated_volume_is_the_volume_of_the_revolution(phase):
    """Closed form and voxel count agree to 1 %."""
    cavity = cavity_at(Heart(edv_ml=130), phase)

    assert counted_volume_ml(cavity.a_mm, cavity.b_mm) == pytest.approx(cavity.volume_ml, rel=0.01)


@given(edv_ml=st.floats(50, 260), ef_percent=st.floats(10, 78))
def test_end_diastole_and_end_systole_have_the_volumes_that_were_asked_for(edv_ml, ef_percent):
    """EDV at phase 0, ESV at the end of systole."""
    heart = Heart(edv_ml=edv_ml, ef_percent=ef_percent)

    assert cavity_at(heart, 0.0).volume_ml == pytest.approx(edv_ml)
    assert cavity_at(heart, SYSTOLE).volume_ml == pytest.approx(heart.esv_ml)


def test_the_volume_falls_in_systole_and_does_not_fall_in_diastole():
    """One smooth beat without a second minimum."""
    systole = np.diff([filling(phase) for phase in np.linspace(0, SYSTOLE, 50)])
    diastole = np.diff([filling(phase) for phase in np.linspace(SYSTOLE, 1, 50)])

    assert (systole <= 0).all()
    assert (diastole >= -1e-12).all()


def test_the_wall_is_thicker_and_the_atrium_larger_at_end_systole():
    """Muscle keeps its volume; the left atrium fills while the LV empties."""
    diastole, systole = (cavity_at(Heart(), phase) for phase in (0.0, SYSTOLE))

    assert systole.wall_mm > diastole.wall_mm
    assert systole.atrium_radius_mm > diastole.atrium_radius_mm
