"""Do the outlines show the heart as an apical view does? If not, the view was another one, or the network was lost.

An apical view looks along the LV from its tip: the apex is nearest to the probe, the mitral annulus below it, the left
atrium beyond the annulus, wall all around the rest. The limits leave a wide margin around CAMUS's 908 expert tracings
(given beside each limit as their range).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.geometry import disk_diameters
from echo_scp.measure.outline import Mask
from echo_scp.measure.shape import PIXELS, Shape, find_shape
from echo_scp.model import Clip, Curve, NotAssessed, PixelSpacing, Points, Reason, Segmentation, Structure

FRAMES = 8  # looked at, evenly spread
MARGIN_PX = 8
WALL_REACH, MIN_WALL_REACH_PX = 0.03, 2.0  # of the square root of the LV's area: a gap between two outlines
MIN_ATRIUM = 0.05  # of the LV; in a picture that ends below the annulus there is none to judge
MAX_SWING_DEG = 20.0  # circular standard deviation over the clip; a heart rocks by a few degrees


@dataclass(frozen=True, slots=True)
class Proportions:
    """One frame's LV and its surroundings; NaN where the engine does not outline what it takes, or without spacing."""

    main_part_percent: float
    elongation: float
    tilt_deg: float
    base_percent: float
    walled_percent: float
    walled_base_percent: float
    atrium_percent: float
    atrium_along_percent: float
    atrium_aside_percent: float
    length_mm: float
    area_cm2: float

    @property
    def lean_deg(self) -> float:
        """How far the long axis is off the vertical, 0..180; unlike `tilt_deg` it has a median."""
        return abs(self.tilt_deg)


@dataclass(frozen=True, slots=True)
class Limit:
    """What the median over the clip must be; `says` tells it to a reader."""

    says: str
    attribute: str
    low: float
    high: float


LIMITS = (
    Limit("the largest part of the LV is {:.0f} % of it", "main_part_percent", 75, 100),  # CAMUS 100
    Limit("the LV is {:.2f} times as long as wide", "elongation", 1.15, 3.5),  # 1.2 to 2.9
    Limit("the apex points {:.0f} degrees away from the probe", "lean_deg", 0, 60),  # 0 to 35
    Limit("the annulus is {:.0f} % as wide as the LV is long", "base_percent", 5, 80),  # 17 to 70
    Limit("wall surrounds {:.0f} % of the LV", "walled_percent", 60, 100),  # 99 to 100
    Limit("wall closes {:.0f} % of the annulus", "walled_base_percent", 0, 50),  # 0 to 16
    Limit("the atrium is {:.0f} % of the LV", "atrium_percent", 0, 400),  # 2 to 297
    Limit("the atrium lies {:.0f} % of the LV's length from the apex", "atrium_along_percent", 90, 220),  # 101 to 166
    Limit("the atrium lies {:.0f} % of the LV's length aside", "atrium_aside_percent", 0, 50),  # 0 to 25
    Limit("the LV is {:.0f} mm long", "length_mm", 30, 140),  # 46 to 106
    Limit("the LV is {:.0f} cm2 large", "area_cm2", 4, 100),  # 8 to 62
)


def refuse_other_views(clip: Clip, segmentation: Segmentation) -> NotAssessed | None:
    """Return why the outlines cannot be those of an A4C or A2C, None when they can or when there are none."""
    frames = tuple(_look(clip, segmentation))
    if not frames:
        return None
    for limit in LIMITS:
        values = np.array([getattr(frame, limit.attribute) for frame in frames])
        known = values[np.isfinite(values)]
        if len(known) and not limit.low <= float(np.median(known)) <= limit.high:
            expected = f"expected {limit.low:g} to {limit.high:g}"
            return NotAssessed(Reason.NOT_APICAL, f"{limit.says.format(np.median(known))}; {expected}")
    swing_deg = _swing_deg(np.array([frame.tilt_deg for frame in frames]))
    if swing_deg > MAX_SWING_DEG:
        return NotAssessed(Reason.NOT_APICAL, f"the long axis turns by {swing_deg:.0f} degrees; expected few")
    return None


def _look(clip: Clip, segmentation: Segmentation) -> Iterator[Proportions]:
    count = len(segmentation.label_maps)
    chosen = np.unique(np.linspace(0, count - 1, min(FRAMES, count)).round().astype(np.intp))
    region = clip.region
    maps = segmentation.label_maps[chosen, region.y0 : region.y1, region.x0 : region.x1]
    part = Segmentation(maps, segmentation.structures)
    structures = (Structure.LV_CAVITY, Structure.LEFT_ATRIUM, Structure.LV_MYOCARDIUM)
    for cavity, atrium, wall in zip(*map(part.masks, structures), strict=True):
        surroundings = Surroundings.of(cavity, atrium, wall, region.spacing)
        if surroundings is not None:
            yield surroundings.proportions(segmentation.structures, calibrated=region.spacing is not None)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The LV's shape on a frame with the masks around it, cropped alike; `scale` is (column, row) spacing."""

    cavity: Mask
    atrium: Mask
    wall: Mask
    shape: Shape
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, cavity: Mask, atrium: Mask, wall: Mask, spacing: PixelSpacing | None) -> Surroundings | None:
        """Crop the masks to LV and atrium; None where the LV has no shape."""
        seen = cv2.boundingRect((cavity | atrium).view(np.uint8))
        left, top = max(seen[0] - MARGIN_PX, 0), max(seen[1] - MARGIN_PX, 0)
        box = slice(top, seen[1] + seen[3] + MARGIN_PX), slice(left, seen[0] + seen[2] + MARGIN_PX)
        cavity, atrium, wall = (np.ascontiguousarray(mask[box]) for mask in (cavity, atrium, wall))
        shape = find_shape(cavity, atrium, wall, spacing)
        known = spacing or PIXELS
        scale = np.array([known.column_mm, known.row_mm])
        return None if shape is None else cls(cavity, atrium, wall, shape, scale)

    def proportions(self, structures: tuple[Structure, ...], *, calibrated: bool) -> Proportions:
        """Return the frame's numbers; what the engine has no label for is NaN."""
        shape = self.shape
        has_wall, has_atrium = Structure.LV_MYOCARDIUM in structures, Structure.LEFT_ATRIUM in structures
        annulus, tip = shape.annulus * self.scale, shape.apex * self.scale
        axis = annulus.mean(axis=0) - tip
        widest = float(disk_diameters(shape.contour * self.scale, tip, annulus.mean(axis=0)).max())
        walled, walled_base = self._walled() if has_wall else (np.nan, np.nan)
        main_part, _ = _largest(self.cavity)
        no_atrium = (np.nan, np.nan, np.nan)
        size, along, aside = self._atrium(tip, axis / shape.length, main_part) if has_atrium else no_atrium
        return Proportions(
            main_part_percent=100 * main_part / np.count_nonzero(self.cavity),
            elongation=shape.length / max(widest, 1e-9),
            # Without wall or atrium the two ends of the LV are told apart by their width alone.
            tilt_deg=float(np.degrees(np.arctan2(axis[0], axis[1]))) if has_wall or has_atrium else np.nan,
            base_percent=100 * float(np.hypot(*(annulus[1] - annulus[0]))) / shape.length,
            walled_percent=100 * walled,
            walled_base_percent=100 * walled_base,
            atrium_percent=100 * size,
            atrium_along_percent=100 * along / shape.length,
            atrium_aside_percent=100 * aside / shape.length,
            length_mm=shape.length if calibrated else np.nan,
            area_cm2=shape.area / 100 if calibrated else np.nan,
        )

    def _walled(self) -> tuple[float, float]:
        """Return which shares of the LV's contour and of its base have wall within reach."""
        if not self.wall.any():
            return 0.0, 0.0
        distances = cv2.distanceTransform((~self.wall).view(np.uint8), cv2.DIST_L2, 3)
        contour = self.shape.contour
        near = _at(distances, contour) <= max(MIN_WALL_REACH_PX, WALL_REACH * np.count_nonzero(self.cavity) ** 0.5)
        # The contour runs along the wall from one end of the annulus to the other, then back along the base.
        other_end = int(np.argmin(np.hypot(*(contour - self.shape.annulus[1]).T)))
        return float(near[: other_end + 1].mean()), float(near[other_end:].mean())

    def _atrium(self, tip: Points, direction: Points, ventricle_pixels: int) -> tuple[float, float, float]:
        """Return the atrium's size in LVs, and where its middle lies from the apex: along the axis and aside."""
        pixels, middle = _largest(self.atrium)
        size = pixels / max(ventricle_pixels, 1)
        if size < MIN_ATRIUM:
            return size, np.nan, np.nan
        offset = middle * self.scale - tip
        return size, float(offset @ direction), float(abs(offset @ np.array([-direction[1], direction[0]])))


def _largest(mask: Mask) -> tuple[int, Points]:
    """Return the size of the largest connected part and its middle, as (column, row)."""
    count, _, statistics, centroids = cv2.connectedComponentsWithStats(mask.view(np.uint8))
    if count < 2:
        return 0, np.zeros(2)
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    return int(statistics[largest, cv2.CC_STAT_AREA]), centroids[largest] + 0.5


def _at(distances: cv2.typing.MatLike, contour: Points) -> NDArray[np.float64]:
    columns, rows = np.floor(contour).astype(np.intp).T
    height, width = distances.shape[:2]
    return np.asarray(distances[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)], dtype=np.float64)


def _swing_deg(tilts_deg: Curve) -> float:
    """Return the circular standard deviation."""
    known = np.radians(tilts_deg[np.isfinite(tilts_deg)])
    if not len(known):
        return 0.0
    resultant = min(float(np.hypot(np.cos(known).mean(), np.sin(known).mean())), 1.0)
    return float(np.degrees(np.sqrt(-2 * np.log(max(resultant, 1e-9)))))
