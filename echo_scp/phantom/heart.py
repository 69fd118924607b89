"""The phantom's left ventricle: a truncated ellipsoid of revolution whose volume is known in closed form.

Coordinates: `along` runs on the long axis from the apex (negative) to the annulus, `across` is perpendicular, both in
mm from the ellipsoid's centre. The ellipsoid has semi-axes a (along) and b (across) and is cut by the annulus plane at
along = TRUNCATION * a. Its volume is pi * b^2 * a * SHAPE, with SHAPE = (k + 1) - (k^3 + 1) / 3 for k = TRUNCATION.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sqrt

from echo_scp.model import View

TRUNCATION = 0.45
SHAPE = (TRUNCATION + 1) - (TRUNCATION**3 + 1) / 3
SYSTOLE = 0.36  # of the cycle, at rest
LONG_AXIS_SHORTENING = 0.16  # of the length, at an EF of 60 %


@dataclass(frozen=True, slots=True)
class Heart:
    """A heart seen in one view; the truth that measurements are compared with."""

    view: View = View.A4C
    edv_ml: float = 110.0
    ef_percent: float = 60.0
    length_mm: float = 82.0
    wall_mm: float = 9.0
    tilt_deg: float = 0.0
    apex_depth_mm: float = 22.0
    offset_mm: float = 0.0
    mirrored: bool = False

    @property
    def esv_ml(self) -> float:
        """End-systolic volume."""
        return self.edv_ml * (1 - self.ef_percent / 100)


@dataclass(frozen=True, slots=True)
class Cavity:
    """The LV cavity at one instant; all lengths in mm."""

    a_mm: float
    b_mm: float
    wall_mm: float
    atrium_radius_mm: float

    @property
    def length_mm(self) -> float:
        """From the apex to the annulus plane."""
        return self.a_mm * (1 + TRUNCATION)

    @property
    def volume_ml(self) -> float:
        """Volume of the truncated ellipsoid, in closed form."""
        return pi * self.b_mm**2 * self.a_mm * SHAPE / 1000


def filling(phase: float) -> float:
    """Return the share of the stroke volume inside the LV, 1 at end-diastole (phase 0) and 0 at end-systole.

    Ejection, isovolumic relaxation, rapid filling (70 %), diastasis and the atrial kick follow one another smoothly.
    """
    legs = ((0.0, 1.0), (SYSTOLE, 0.0), (SYSTOLE + 0.06, 0.0), (SYSTOLE + 0.26, 0.7), (0.84, 0.78), (1.0, 1.0))
    position = phase % 1.0
    for (start, low), (end, high) in pairwise(legs):
        if position <= end:
            share = (position - start) / (end - start)
            return low + (high - low) * (1 - cos(pi * share)) / 2
    return 1.0


def cavity_at(heart: Heart, phase: float) -> Cavity:
    """Return the cavity at `phase` of the cycle (0 and 1 are end-diastole)."""
    full = filling(phase)
    volume_ml = heart.esv_ml + (heart.edv_ml - heart.esv_ml) * full
    shortening = LONG_AXIS_SHORTENING * heart.ef_percent / 60 * (1 - full)
    a_mm = heart.length_mm * (1 - shortening) / (1 + TRUNCATION)
    b_mm = sqrt(volume_ml * 1000 / (pi * a_mm * SHAPE))
    return Cavity(a_mm, b_mm, _wall(heart, a_mm, b_mm), _atrium_radius(heart, full))


def _wall(heart: Heart, a_mm: float, b_mm: float) -> float:
    """Return the thickness that keeps the wall's cross-section times length, so that it thickens in systole."""
    a_ed = heart.length_mm / (1 + TRUNCATION)
    b_ed = sqrt(heart.edv_ml * 1000 / (pi * a_ed * SHAPE))
    tissue = ((b_ed + heart.wall_mm) ** 2 - b_ed**2) * a_ed
    return sqrt(tissue / a_mm + b_mm**2) - b_mm


def _atrium_radius(heart: Heart, full: float) -> float:
    """Return the LA's radius; it is largest when the LV is smallest."""
    base: float = 19.0 * (heart.edv_ml / 110.0) ** (1 / 3)
    return base * (1 + 0.18 * (1 - full))
