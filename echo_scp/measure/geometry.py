"""Measure a closed contour in the plane. Any unit of length: areas are its square, volumes its cube."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from echo_scp.model import Points

DISK_COUNT = 20  # ASE/EACVI 2015: the summation is over 20 disks

Point = NDArray[np.float64]  # (2,)
Contours = NDArray[np.float64]  # (..., N, 2): closed, the last point is followed by the first
Diameters = NDArray[np.float64]  # (..., disks) from the apex to the base


def signed_area(contour: Points) -> float:
    """Return the area inside a simple closed polygon, negative when its points run the other way round."""
    return float(signed_areas(contour))


def signed_areas(contours: Contours) -> NDArray[np.float64]:
    """Return (...,) the signed area of each contour."""
    after = following(contours)
    x, y = contours[..., 0], contours[..., 1]
    return np.asarray(np.sum(x * after[..., 1] - after[..., 0] * y, axis=-1) / 2)


def following(contours: Contours) -> Contours:
    """Return the point after each."""
    return np.concatenate([contours[..., 1:, :], contours[..., :1, :]], axis=-2)


def disk_diameters(contour: Points, apex: Point, base: Point) -> Diameters:
    """Return the widths of the polygon on the perpendiculars of the long axis at the middles of the disks.

    The widths are exact for a simple polygon, also where it is not convex: each edge that crosses the perpendicular
    counts with the sign of its direction, so what lies between two lobes is left out.
    """
    (diameters,) = all_disk_diameters(contour[None], apex[None], base[None])
    return np.asarray(diameters)


def all_disk_diameters(contours: Contours, apices: Points, bases: Points) -> Diameters:
    """Return (T, disks) the widths of T polygons (T, N, 2), each on its own axis."""
    axes = bases - apices
    lengths = np.hypot(axes[:, 0], axes[:, 1])[:, None]
    x, y = np.hsplit(axes / lengths, 2)
    offsets = contours - apices[:, None]
    along = offsets[..., 0] * x + offsets[..., 1] * y
    across = offsets[..., 1] * x - offsets[..., 0] * y
    middles = (np.arange(DISK_COUNT) + 0.5) / DISK_COUNT * lengths
    beyond = along[:, None] > middles[..., None]
    crossed = beyond != np.concatenate([beyond[..., 1:], beyond[..., :1]], axis=-1)
    shape, disk, edge = np.unravel_index(np.flatnonzero(crossed), crossed.shape)
    after = (edge + 1) % along.shape[1]
    start, end = along[shape, edge], along[shape, after]
    share = (middles[shape, disk] - start) / (end - start)
    position = across[shape, edge] + share * (across[shape, after] - across[shape, edge])
    widths = np.bincount(shape * DISK_COUNT + disk, np.sign(end - start) * position, minlength=middles.size)
    return np.asarray(np.abs(widths).reshape(middles.shape))


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
