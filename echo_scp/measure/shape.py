"""The LV cavity of one frame: contour, annulus, apex, long axis, area and volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echo_scp.measure.annulus import find_base
from echo_scp.measure.geometry import Point, area_length_volume, disks_volume, signed_area
from echo_scp.measure.outline import Mask, smooth, trace
from echo_scp.model import PixelSpacing, Points, Ventricle

PIXELS = PixelSpacing(1.0, 1.0)
MM3_PER_ML = 1000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The geometry of one frame. Points are image coordinates; lengths are mm, or pixels of an uncalibrated clip."""

    contour: Points
    apex: Point
    annulus: Points
    length: float
    area: float
    disks: float
    area_length: float


def find_shape(
    cavity: Mask, atrium: Mask, myocardium: Mask, spacing: PixelSpacing | None, origin: tuple[int, int] = (0, 0)
) -> Shape | None:
    """Return the shape of the largest part of `cavity`, or None where there is no LV to measure.

    `origin` is the (column, row) of the masks in the picture. Without spacing, pixels are taken as square: only ratios
    of the result mean anything then.
    """
    border = trace(cavity)
    if border is None:
        return None
    scale = (spacing or PIXELS).column_mm, (spacing or PIXELS).row_mm
    outline = smooth(border, find_base(border, atrium, myocardium, scale))
    contour = outline.contour + origin
    return measure_contour(contour, contour[list(outline.annulus)], np.array(scale))


def measure_contour(contour: Points, annulus: Points, scale: Point) -> Shape | None:
    """Measure a contour in image coordinates; `scale` is (column, row) spacing. None when it encloses no volume."""
    plane = contour * scale
    middle = annulus.mean(axis=0)
    distances = np.hypot(*(plane - middle * scale).T)
    tip = int(np.argmax(distances))
    length, area = float(distances[tip]), abs(signed_area(plane))
    if not (length > 0 and area > 0):
        return None
    disks = disks_volume(plane, plane[tip], middle * scale)
    return Shape(contour, contour[tip], annulus, length, area, disks, area_length_volume(area, length))


def as_ventricle(shape: Shape, frame_index: int, *, calibrated: bool) -> Ventricle:
    """Return the shape as a result: numbers with units only where the clip is calibrated."""
    first, second = shape.annulus
    return Ventricle(
        frame_index=frame_index,
        contour=shape.contour,
        apex=_pair(shape.apex),
        annulus=(_pair(first), _pair(second)),
        length_mm=shape.length if calibrated else None,
        area_mm2=shape.area if calibrated else None,
        disks_ml=shape.disks / MM3_PER_ML if calibrated else None,
        area_length_ml=shape.area_length / MM3_PER_ML if calibrated else None,
    )


def _pair(point: Point) -> tuple[float, float]:
    return float(point[0]), float(point[1])
