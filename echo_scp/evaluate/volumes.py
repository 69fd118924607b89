"""Outlines at end-diastole and end-systole -> volumes, by the geometry that the product measures clips with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echo_scp.evaluate.case import LabelMap, Reference, Refusal
from echo_scp.measure.geometry import DISK_COUNT, disk_diameters
from echo_scp.measure.outlines import Outlines
from echo_scp.measure.shape import MM3_PER_ML, Shape
from echo_scp.model import PixelSpacing, Segmentation, Structure, View

MAX_LENGTH_DIFFERENCE = 0.10  # of the longer ED axis; ASE/EACVI 2015: beyond, one of the planes is foreshortened


@dataclass(frozen=True, slots=True)
class Plane:
    """The LV of one view at end-diastole and end-systole; lengths in mm, in pixels where `spacing` is None."""

    view: View | None
    end_diastole: Shape
    end_systole: Shape
    spacing: PixelSpacing | None


def find_plane(
    view: View | None,
    label_maps: tuple[LabelMap, LabelMap],
    structures: tuple[Structure, ...],
    spacing: PixelSpacing | None,
) -> Plane | None:
    """Return the shapes of (ED, ES) label maps; None where either shows no LV."""
    segmentation = Segmentation(np.stack(label_maps), structures)
    if not segmentation.masks(Structure.LV_CAVITY).any():
        return None
    end_diastole, end_systole = Outlines.around_ventricle(segmentation).shapes(spacing)
    if end_diastole is None or end_systole is None:
        return None
    return Plane(view, end_diastole, end_systole, spacing)


def single_plane(plane: Plane) -> Reference:
    """Return EF and volumes by the method of disks; volumes only with a spacing."""
    return _numbers(plane.end_diastole.disks, plane.end_systole.disks, calibrated=plane.spacing is not None)


def biplane(four_chamber: Plane, two_chamber: Plane) -> Reference | Refusal:
    """Return EF and volumes by the biplane method of disks, or why the two planes do not go together."""
    if four_chamber.spacing is None or two_chamber.spacing is None:
        return Refusal("not_calibrated", "the two planes have no common scale")
    lengths = four_chamber.end_diastole.length, two_chamber.end_diastole.length
    difference = abs(lengths[0] - lengths[1]) / max(lengths)
    if difference > MAX_LENGTH_DIFFERENCE:
        detail = f"the long axes at end-diastole are {lengths[0]:.0f} and {lengths[1]:.0f} mm: {100 * difference:.0f} %"
        return Refusal("lengths_differ", detail)
    phases = (
        (four_chamber.end_diastole, two_chamber.end_diastole),
        (four_chamber.end_systole, two_chamber.end_systole),
    )
    spacings = four_chamber.spacing, two_chamber.spacing
    end_diastole, end_systole = (_biplane_volume(shapes, spacings) for shapes in phases)
    return _numbers(end_diastole, end_systole, calibrated=True)


def _numbers(end_diastole: float, end_systole: float, *, calibrated: bool) -> Reference:
    return Reference(
        ef_percent=100 * (1 - end_systole / end_diastole),
        edv_ml=end_diastole / MM3_PER_ML if calibrated else None,
        esv_ml=end_systole / MM3_PER_ML if calibrated else None,
    )


def _biplane_volume(shapes: tuple[Shape, Shape], spacings: tuple[PixelSpacing, PixelSpacing]) -> float:
    """Return pi/4 * sum(a_i b_i) * L/20 with L the longer axis."""
    first, second = (_diameters(shape, spacing) for shape, spacing in zip(shapes, spacings, strict=True))
    length = max(shape.length for shape in shapes)
    return float(np.pi / 4 * np.sum(first * second) * length / DISK_COUNT)


def _diameters(shape: Shape, spacing: PixelSpacing) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    scale = np.array([spacing.column_mm, spacing.row_mm])
    return disk_diameters(shape.contour * scale, shape.apex * scale, shape.annulus.mean(axis=0) * scale)
