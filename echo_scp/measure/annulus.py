"""Find which part of a chamber's border is its base: the mitral annulus plane between ventricle and atrium."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.outline import Border, Mask
from echo_scp.model import Points

NEIGHBOURS = np.ones((3, 3), dtype=np.uint8)
MIN_REACH_PX = 2.0
REACH = 0.03  # of the square root of the chamber's area, about 2 mm: what a thin gap between two outlines may be
MIN_BASE, MAX_BASE = 0.04, 0.5  # of the border; a true base is about a fifth of it

Flags = NDArray[np.bool_]  # (M,) one per pixel of the border
Scale = tuple[float, float]  # (column, row) spacing


def find_base(border: Border, atrium: Mask, myocardium: Mask, scale: Scale) -> tuple[int, int]:
    """Return the first and last index, in the border's order, of the base of the LV.

    It is what faces the left atrium, else what no myocardium backs, else the broad end of the principal axis. Nothing
    is assumed about which way the picture is turned.
    """
    return find_facing_base(border, atrium, myocardium) or _broad_end(border, scale)


def find_facing_base(border: Border, other: Mask, wall: Mask) -> tuple[int, int] | None:
    """Return the part of a chamber's border that faces the `other` chamber or lacks a wall; None if neither is told."""
    for base in _candidates(border, other, wall):
        if base is not None and MIN_BASE <= _share(base, len(border.pixels)) <= MAX_BASE:
            return base
    return None


def _candidates(border: Border, other: Mask, wall: Mask) -> Iterator[tuple[int, int] | None]:
    """Yield the best first; the later ones cost more and are seldom reached."""
    other = _largest_part(other)
    yield _other_side(_longest_run(~_touches(border, other)), len(border.pixels))
    reach = max(MIN_REACH_PX, REACH * border.area_px**0.5)
    to_other, to_wall = _distance(border, other), _distance(border, wall)
    yield _other_side(_longest_run((to_other > reach) | (to_other >= to_wall)), len(border.pixels))
    yield _longest_run(to_wall > reach)


def _share(base: tuple[int, int], count: int) -> float:
    return ((base[1] - base[0]) % count + 1) / count


def _largest_part(mask: Mask) -> Mask:
    parts, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if len(parts) < 2:
        return mask
    drawn = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(drawn, [max(parts, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return drawn.view(bool)


def _touches(border: Border, mask: Mask) -> Flags:
    columns, rows = border.pixels.T
    return np.asarray(cv2.dilate(mask.view(np.uint8), NEIGHBOURS)[rows, columns] > 0)


def _distance(border: Border, mask: Mask) -> NDArray[np.float64]:
    """Return how far each pixel of the border is from the mask, in pixels; infinite when the mask is empty."""
    columns, rows = border.pixels.T
    if not mask.any():
        return np.full(len(columns), np.inf)
    distances = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(distances[rows, columns], dtype=np.float64)


def _longest_run(flags: Flags) -> tuple[int, int] | None:
    """Return the first and last index of the longest run of True on the closed border; None if there is no end."""
    if flags.all() or not flags.any():
        return None
    start = int(np.argmin(flags))  # a False: no run crosses the seam after this turn
    turned = np.concatenate([np.roll(flags, -start), [False]]).astype(np.int8)
    edges = np.diff(turned)
    firsts, ends = np.flatnonzero(edges == 1) + 1, np.flatnonzero(edges == -1)
    longest = int(np.argmax(ends - firsts))
    return int(firsts[longest] + start) % len(flags), int(ends[longest] + start) % len(flags)


def _other_side(run: tuple[int, int] | None, count: int) -> tuple[int, int] | None:
    return None if run is None else ((run[1] + 1) % count, (run[0] - 1) % count)


def _broad_end(border: Border, scale: Scale) -> tuple[int, int]:
    """Return the base between the two corners of the broad end of the principal axis."""
    along, across = _principal_coordinates(border.pixels * np.array(scale))
    if _width_near(-along, across) > _width_near(along, across):
        along = -along
    corners = sorted((int(np.argmax(along + across)), int(np.argmax(along - across))))
    apex = int(np.argmin(along))
    return (corners[1], corners[0]) if corners[0] < apex < corners[1] else (corners[0], corners[1])


def _principal_coordinates(points: Points) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points along and across the long axis of the area they enclose, each in units of its extent."""
    moments = cv2.moments(points.astype(np.float32))
    area = max(moments["m00"], 1e-9)
    centre = np.array([moments["m10"], moments["m01"]]) / area
    spread = np.array([[moments["mu20"], moments["mu11"]], [moments["mu11"], moments["mu02"]]])
    _, vectors = np.linalg.eigh(spread)
    across, along = ((points - centre) @ vectors).T
    return along / np.ptp(along), across / np.ptp(across)


def _width_near(along: NDArray[np.float64], across: NDArray[np.float64]) -> float:
    """Return the width in the last fifth before the end where `along` is largest."""
    return float(np.ptp(across[along > along.max() - 0.2]))
