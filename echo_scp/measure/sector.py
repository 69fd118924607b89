"""The part of the picture that the beam reaches, found from its pixels, and what an outline does at its edge."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.outline import ANNULUS, Mask
from echo_scp.model import Clip, Points

SAMPLED_FRAMES = 12  # speckle moves: a dozen frames light nearly every pixel of the sector at least once
DARKEST = 8  # grey levels; video noise and coding leave a black background below this
NEAR_EDGE = 0.006  # of the region's diagonal, about 1 mm


def find_sector(clip: Clip, shape: tuple[int, int]) -> Mask:
    """Return (H, W) where there is a picture, for label maps of `shape`.

    It is the convex hull of the largest lit part of the region: a sector is convex, and blood at its edge is dark. The
    whole region, where the pixels are not there or do not tell.
    """
    region = clip.region
    inside = np.zeros(shape, dtype=np.uint8)
    inside[region.y0 : region.y1, region.x0 : region.x1] = 1
    if clip.frames.shape[1:] != shape or not len(clip.frames):
        return inside.view(bool)
    every = max(len(clip.frames) // SAMPLED_FRAMES, 1)
    lit = (clip.frames[::every].max(axis=0) > DARKEST).view(np.uint8) & inside
    opened = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((5, 5), dtype=np.uint8))
    hull = _hull_of_largest(np.asarray(opened, dtype=np.uint8))
    return inside.view(bool) if hull is None else hull & inside.view(bool)


def _hull_of_largest(lit: NDArray[np.uint8]) -> Mask | None:
    parts, _ = cv2.findContours(lit, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not parts:
        return None
    drawn = np.zeros(lit.shape, dtype=np.uint8)
    cv2.fillConvexPoly(drawn, cv2.convexHull(max(parts, key=cv2.contourArea)), 1)
    return drawn.view(bool)


class SectorEdge:
    """How far every pixel is from the sector's edge."""

    def __init__(self, sector: Mask) -> None:
        rows, columns = np.nonzero(np.any(sector, axis=1))[0], np.nonzero(np.any(sector, axis=0))[0]
        size = (len(rows), len(columns))
        padded = np.pad(sector.view(np.uint8), 1)  # the border of the picture is an edge too
        self._distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
        self._near = max(NEAR_EDGE * float(np.hypot(*size)), 1.5)

    def share(self, contour: Points) -> float:
        """Return which share of a chamber's wall, its base left out, lies at the edge or beyond."""
        wall = contour[ANNULUS[0] : ANNULUS[1] + 1]
        rows, columns = self._distance.shape
        x = np.clip(wall[:, 0].astype(int), 0, columns - 1)
        y = np.clip(wall[:, 1].astype(int), 0, rows - 1)
        return float(np.mean(self._distance[y, x] <= self._near))
