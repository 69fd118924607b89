"""Turn a mask into a smooth closed contour that encloses the same area. Everything here is in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from echo_scp.measure.geometry import Contours, following, signed_areas
from echo_scp.model import Points

Mask = NDArray[np.bool_]  # (H, W)
Base = tuple[int, int]

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


def smooth(borders: Sequence[Border], bases: Sequence[Base]) -> Contours:
    """Return (T, 256, 2) the contours of the masks' areas, wall and base smoothed apart, so that their corners stay.

    They run along the wall first: their points ANNULUS are the ends of the base. `bases` are the indices of its first
    and last pixel in the border's order. Coordinates are continuous: the centre of pixel (0, 0) is (0.5, 0.5).
    """
    pairs = tuple(zip(borders, bases, strict=True))
    walls = _blurred([_resampled(_arc(border.pixels, last, first), WALL_POINTS) for border, (first, last) in pairs])
    floors = _blurred([_resampled(_arc(border.pixels, first, last), BASE_POINTS) for border, (first, last) in pairs])
    areas_px = np.array([border.area_px for border in borders])
    return inflate(np.concatenate([walls[:, :-1], floors[:, :-1]], axis=1), areas_px)


def _arc(pixels: NDArray[np.intp], first: int, last: int) -> Points:
    steps = (last - first) % len(pixels) + 1
    return np.asarray(np.take(pixels, np.arange(first, first + steps), axis=0, mode="wrap") + 0.5)


def _resampled(points: Points, count: int) -> Points:
    """Return (count, 2) at equal steps along the arc."""
    steps = np.diff(points, axis=0)
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
    wanted = np.linspace(0, travelled[-1], count)
    return np.column_stack([np.interp(wanted, travelled, points[:, axis]) for axis in (0, 1)])


def _blurred(arcs: Sequence[Points]) -> Contours:
    """Blur arcs of as many points along their way; the odd reflection holds their two ends where they are."""
    reach = int(4 * SMOOTHING_POINTS)
    padded = np.pad(np.stack(arcs), ((0, 0), (reach, reach), (0, 0)), mode="reflect", reflect_type="odd")
    return np.asarray(gaussian_filter1d(padded, SMOOTHING_POINTS, axis=1)[:, reach:-reach])


def inflate(contours: Contours, areas_px: NDArray[np.float64]) -> Contours:
    """Move each contour (T, N, 2) outwards until it encloses its area.

    A border of pixel centres lies about half a pixel inside the mask's edge; blurring and averaging shrink it more.
    """
    after = following(contours)
    before = np.concatenate([contours[:, -1:], contours[:, :-1]], axis=1)
    tangents = after - before
    tangents /= np.maximum(np.hypot(tangents[..., 0], tangents[..., 1]), 1e-9)[..., None]
    areas = signed_areas(contours)
    outwards = np.stack([tangents[..., 1], -tangents[..., 0]], axis=-1) * np.sign(areas)[:, None, None]
    steps = after - contours
    perimeters = np.hypot(steps[..., 0], steps[..., 1]).sum(axis=1)
    return np.asarray(contours + outwards * (areas_px - np.abs(areas))[:, None, None] / perimeters[:, None, None])
