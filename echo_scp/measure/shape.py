"""A chamber on one frame: contour, annulus, apex, long axis, area and volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echo_scp.measure.annulus import find_base, find_facing_base
from echo_scp.measure.geometry import Diameters, Point, area_length_volume, disk_diameters, signed_area, sum_of_disks
from echo_scp.measure.outline import ANNULUS, Mask, smooth, trace
from echo_scp.model import Atrium, PixelSpacing, Points, Ventricle

PIXELS = PixelSpacing(1.0, 1.0)
MM3_PER_ML = 1000.0


@dataclass(frozen=True, slots=True)
class Shape:
    """The geometry of one frame. Points are image coordinates; lengths are mm, or pixels of an uncalibrated clip.

    `apex` is the contour's farthest point from the middle of the annulus: the apex of an LV, the roof of an LA.
    """

    contour: Points
    apex: Point
    annulus: Points
    length: float
    area: float
    disks: float
    area_length: float
    diameters: Diameters


def find_shape(
    cavity: Mask, atrium: Mask, myocardium: Mask, spacing: PixelSpacing | None, origin: tuple[int, int] = (0, 0)
) -> Shape | None:
    """Return the shape of the largest part of an LV `cavity`, or None where there is no LV to measure.

    `origin` is the (column, row) of the masks in the picture. Without spacing, pixels are taken as square: only ratios
    of the result mean anything then.
    """
    border = trace(cavity)
    if border is None:
        return None
    scale = scale_of(spacing)
    contour = smooth(border, find_base(border, atrium, myocardium, scale)) + origin
    return measure_contour(contour, scale)


def find_atrial_shape(
    cavity: Mask, ventricle: Mask, spacing: PixelSpacing | None, origin: tuple[int, int] = (0, 0)
) -> Shape | None:
    """Return the shape of the largest part of an LA `cavity`; None unless its border with the LV shows."""
    border = trace(cavity)
    base = None if border is None else find_facing_base(border, ventricle, np.zeros_like(ventricle))
    if border is None or base is None:
        return None
    return measure_contour(smooth(border, base) + origin, scale_of(spacing))


def scale_of(spacing: PixelSpacing | None) -> tuple[float, float]:
    """Return (column, row) spacing; that of square pixels when none is known."""
    return (spacing or PIXELS).column_mm, (spacing or PIXELS).row_mm


def measure_contour(contour: Points, scale: tuple[float, float]) -> Shape | None:
    """Measure a contour in image coordinates whose points ANNULUS are the ends of its base.

    `scale` is (column, row) spacing. None when it encloses no volume.
    """
    plane, annulus = contour * scale, contour[list(ANNULUS)]
    middle = annulus.mean(axis=0) * scale
    distances = np.hypot(*(plane - middle).T)
    tip = int(np.argmax(distances))
    length, area = float(distances[tip]), abs(signed_area(plane))
    if not (length > 0 and area > 0):
        return None
    diameters = disk_diameters(plane, plane[tip], middle)
    return Shape(
        contour=contour,
        apex=contour[tip],
        annulus=annulus,
        length=length,
        area=area,
        disks=sum_of_disks(diameters, diameters, length),
        area_length=area_length_volume(area, length),
        diameters=diameters,
    )


def as_ventricle(shape: Shape, frame_index: int, *, calibrated: bool) -> Ventricle:
    """Return the shape as a result: numbers with units only where the clip is calibrated."""
    return Ventricle(
        frame_index=frame_index,
        contour=shape.contour,
        apex=_pair(shape.apex),
        annulus=_pairs(shape.annulus),
        length_mm=shape.length if calibrated else None,
        area_mm2=shape.area if calibrated else None,
        disks_ml=shape.disks / MM3_PER_ML if calibrated else None,
        area_length_ml=shape.area_length / MM3_PER_ML if calibrated else None,
        diameters_mm=tuple(shape.diameters.tolist()) if calibrated else (),
    )


def as_atrium(shape: Shape, frame_index: int) -> Atrium:
    """Return the shape of an LA in a calibrated clip as a result."""
    return Atrium(
        frame_index=frame_index,
        contour=shape.contour,
        roof=_pair(shape.apex),
        annulus=_pairs(shape.annulus),
        length_mm=shape.length,
        area_mm2=shape.area,
        area_length_ml=shape.area_length / MM3_PER_ML,
    )


def _pair(point: Point) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _pairs(annulus: Points) -> tuple[tuple[float, float], tuple[float, float]]:
    first, second = annulus
    return _pair(first), _pair(second)
