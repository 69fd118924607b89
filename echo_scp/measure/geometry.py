"""Measure a closed contour in the plane. Any unit of length: areas are its square, volumes its cube."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from echo_scp.model import Points

DISK_COUNT = 20  # ASE/EACVI 2015: the summation is over 20 disks

Point = NDArray[np.float64]  # (2,)
Diameters = NDArray[np.float64]  # (disks,) from the apex to the base


def signed_area(contour: Points) -> float:
    """Return the area inside a simple closed polygon, negative when its points run the other way round."""
    x, y = contour.T
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def disk_diameters(contour: Points, apex: Point, base: Point) -> Diameters:
    """Return the widths of the polygon on the perpendiculars of the long axis at the middles of the disks.

    The widths are exact for a simple polygon, also where it is not convex: each edge that crosses the perpendicular
    counts with the sign of its direction, so what lies between two lobes is left out.
    """
    axis = base - apex
    length = float(np.hypot(*axis))
    direction = axis / length
    along = (contour - apex) @ direction
    across = (contour - apex) @ np.array([-direction[1], direction[0]])
    middles = ((np.arange(DISK_COUNT) + 0.5) / DISK_COUNT * length)[:, None]
    next_along, next_across = np.roll(along, -1), np.roll(across, -1)
    crossed = (next_along > middles).astype(np.int8) - (along > middles).astype(np.int8)
    step = np.where(next_along == along, 1.0, next_along - along)  # a level edge crosses nothing
    position = across + (middles - along) / step * (next_across - across)
    return np.asarray(np.abs(np.sum(crossed * position, axis=1)))


def sum_of_disks(first: Diameters, second: Diameters, length: float) -> float:
    """Return the volume of elliptical disks: pi/4 * sum(a * b) * L/20; `second` is `first` where there is one plane."""
    return float(np.pi / 4 * np.sum(first * second) * length / DISK_COUNT)


def disks_volume(contour: Points, apex: Point, base: Point) -> float:
    """Return the volume by the method of disks, single plane: pi/4 * sum(d^2) * L/20."""
    diameters = disk_diameters(contour, apex, base)
    return sum_of_disks(diameters, diameters, float(np.hypot(*(base - apex))))


def area_length_volume(area: float, length: float) -> float:
    """Return the volume by the area-length method, single plane: 8 A^2 / (3 pi L)."""
    return biplane_area_length_volume(area, area, length)


def biplane_area_length_volume(first_area: float, second_area: float, length: float) -> float:
    """Return the volume by the area-length method, biplane: 8 A1 A2 / (3 pi L)."""
    return 8 * first_area * second_area / (3 * np.pi * length)
