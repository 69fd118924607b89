"""Turn a mask into a smooth closed contour that encloses the same area. Everything here is in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from echo_scp.measure.geometry import signed_area
from echo_scp.model import Points

Mask = NDArray[np.bool_]  # (H, W)

MIN_BORDER_PIXELS = 24  # below this there is no shape to speak of
WALL_POINTS, BASE_POINTS = 193, 65  # about 1 mm apart on an adult LV
ANNULUS = (0, WALL_POINTS - 1)  # the contour's points at the two ends of the base
SMOOTHING_POINTS = 2.0  # sigma; about 2 mm: removes the steps of an upscaled mask, keeps the apex


@dataclass(frozen=True, slots=True)
class Border:
    """The outermost pixels of the largest connected part of a mask, in order: (M, 2) as (column, row) indices."""

    pixels: NDArray[np.intp]
    area_px: float


def trace(mask: Mask) -> Border | None:
    """Return the border of the largest connected part with its holes filled; None where that is next to nothing."""
    found, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    borders = [Border(np.asarray(points[:, 0, :], dtype=np.intp), _filled_area(points)) for points in found]
    largest = max(borders, key=lambda border: border.area_px, default=None)
    if largest is None or len(largest.pixels) < MIN_BORDER_PIXELS:
        return None
    return largest


def _filled_area(points: cv2.typing.MatLike) -> float:
    """Count the pixels on and inside a chain of neighbouring pixels (Pick's theorem)."""
    return cv2.contourArea(points) + len(points) / 2 + 1


def smooth(border: Border, base: tuple[int, int]) -> Points:
    """Return the contour (256, 2) of the mask's area, with wall and base smoothed apart, so that their corners stay.

    It runs along the wall first: its points ANNULUS are the ends of the base. `base` are the indices of its first and
    last pixel in the border's order. Coordinates are continuous: the centre of pixel (0, 0) is (0.5, 0.5).
    """
    first, last = base
    wall = _smooth_arc(_arc(border.pixels, last, first), WALL_POINTS)
    floor = _smooth_arc(_arc(border.pixels, first, last), BASE_POINTS)
    return inflate(np.concatenate([wall[:-1], floor[:-1]]), border.area_px)


def _arc(pixels: NDArray[np.intp], first: int, last: int) -> Points:
    steps = (last - first) % len(pixels) + 1
    return np.asarray(np.take(pixels, np.arange(first, first + steps), axis=0, mode="wrap") + 0.5)


def _smooth_arc(points: Points, count: int) -> Points:
    """Resample at equal steps and blur along the arc; the odd reflection holds its two ends where they are."""
    steps = np.hypot(*np.diff(points, axis=0).T)
    travelled = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0, travelled[-1], count)
    even = np.column_stack([np.interp(wanted, travelled, coordinate) for coordinate in points.T])
    reach = int(4 * SMOOTHING_POINTS)
    padded = np.pad(even, ((reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    return np.asarray(gaussian_filter1d(padded, SMOOTHING_POINTS, axis=0)[reach:-reach])


def inflate(contour: Points, area_px: float) -> Points:
    """Move the contour outwards until it encloses `area_px`.

    A border of pixel centres lies about half a pixel inside the mask's edge; blurring and averaging shrink it more.
    """
    tangent = np.roll(contour, -1, axis=0) - np.roll(contour, 1, axis=0)
    tangent /= np.maximum(np.hypot(*tangent.T), 1e-9)[:, None]
    area = signed_area(contour)
    outwards = np.column_stack([tangent[:, 1], -tangent[:, 0]]) * np.sign(area)
    perimeter = np.hypot(*(np.roll(contour, -1, axis=0) - contour).T).sum()
    return np.asarray(contour + outwards * (area_px - abs(area)) / perimeter)
