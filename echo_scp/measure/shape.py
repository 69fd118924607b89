"""A chamber on one frame: contour, annulus, apex, long axis, area and volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from echo_scp.measure.annulus import find_base, find_facing_base
from echo_scp.measure.geometry import (
    Contours,
    Diameters,
    Point,
    all_disk_diameters,
    area_length_volume,
    signed_areas,
    sum_of_disks,
)
from echo_scp.measure.outline import ANNULUS, Base, Border, Mask, smooth, trace
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


Shapes = tuple[Shape | None, ...]  # (T,)


def find_shape(cavity: Mask, atrium: Mask, myocardium: Mask, spacing: PixelSpacing | None) -> Shape | None:
    """Return the shape of the LV on one frame, as `find_shapes` does."""
    return find_shapes([(cavity, atrium, myocardium)], spacing)[0]


def find_shapes(
    frames: Iterable[tuple[Mask, Mask, Mask]], spacing: PixelSpacing | None, origin: tuple[int, int] = (0, 0)
) -> Shapes:
    """Return the shape of the largest part of each frame's LV cavity, None where there is no LV to measure.

    `frames` are cavity, atrium and myocardium; `origin` is the (column, row) of the masks in the picture. Without
    spacing, pixels are taken as square: only ratios of the result mean anything then.
    """
    scale = scale_of(spacing)
    found = ((trace(cavity), atrium, myocardium) for cavity, atrium, myocardium in frames)
    based = [
        None if border is None else (border, find_base(border, atrium, myocardium, scale))
        for border, atrium, myocardium in found
    ]
    return _measured(based, scale, origin)


def find_atrial_shapes(
    frames: Iterable[tuple[Mask, Mask] | None], spacing: PixelSpacing | None, origin: tuple[int, int] = (0, 0)
) -> Shapes:
    """Return the shape of the largest part of each frame's LA cavity; None unless its border with the LV shows.

    `frames` are LA and LV, or None where nothing is wanted.
    """
    return _measured([None if frame is None else _atrial_base(*frame) for frame in frames], scale_of(spacing), origin)


def _atrial_base(cavity: Mask, ventricle: Mask) -> tuple[Border, Base] | None:
    border = trace(cavity)
    base = None if border is None else find_facing_base(border, ventricle, np.zeros_like(ventricle))
    return None if border is None or base is None else (border, base)


def _measured(
    based: Sequence[tuple[Border, Base] | None], scale: tuple[float, float], origin: tuple[int, int]
) -> Shapes:
    """Return a shape per border; all frames in one go, of which numpy makes less work than of one after the other."""
    known = [item for item in based if item is not None]
    if not known:
        return (None,) * len(based)
    contours = smooth(*zip(*known, strict=True)) + origin
    shapes = iter(measure_contours(contours, scale))
    return tuple(None if item is None else next(shapes) for item in based)


def scale_of(spacing: PixelSpacing | None) -> tuple[float, float]:
    """Return (column, row) spacing; that of square pixels when none is known."""
    return (spacing or PIXELS).column_mm, (spacing or PIXELS).row_mm


def measure_contours(contours: Contours, scale: tuple[float, float]) -> Shapes:
    """Measure contours (T, N, 2) in image coordinates whose points ANNULUS are the ends of their base.

    `scale` is (column, row) spacing. None for one that encloses no volume.
    """
    planes, annuli = contours * scale, contours[:, list(ANNULUS)]
    middles = annuli.mean(axis=1) * scale
    offsets = planes - middles[:, None]
    distances = np.hypot(offsets[..., 0], offsets[..., 1])
    tips = distances.argmax(axis=1)
    lengths, areas = distances.max(axis=1), np.abs(signed_areas(planes))
    solid = np.flatnonzero((lengths > 0) & (areas > 0))
    diameters = all_disk_diameters(planes[solid], planes[solid, tips[solid]], middles[solid])
    shapes: list[Shape | None] = [None] * len(contours)
    for index, widths in zip(solid.tolist(), diameters, strict=True):
        length, area = float(lengths[index]), float(areas[index])
        shapes[index] = Shape(
            contour=contours[index],
            apex=contours[index, tips[index]],
            annulus=annuli[index],
            length=length,
            area=area,
            disks=sum_of_disks(widths, widths, length),
            area_length=area_length_volume(area, length),
            diameters=widths,
        )
    return tuple(shapes)


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
