"""Steady a chamber's contours in time: each becomes what a parabola through its neighbours says it should be.

The points of two contours correspond: the n-th point lies at the same share of the way from one end of the annulus
round the apex to the other. What is reported as contour, length and volume is the steadied contour, so that a reader
can check one against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.geometry import signed_area
from echo_scp.measure.outline import inflate
from echo_scp.measure.shape import Shape, measure_contour
from echo_scp.model import Curve

WINDOW = 0.45  # of the cycle, weighted by (1 - |d|^3)^3: half of the weight is in the middle third
PARABOLA = 3  # coefficients; as few frames in the window leave nothing to average
TURNED = 0.5  # cosine of the angle off the usual long axis beyond which base and apex were confused

Shapes = tuple[Shape | None, ...]


def steady(
    shapes: Shapes, times_ms: Curve, cycle_ms: float, scale: tuple[float, float], wanted: Iterable[int] | None = None
) -> Shapes:
    """Return the shapes (T,) with steadied contours; where one was missing, the one its neighbours stand for.

    `wanted` are the frame indices to return, all unless given; the others are None. A frame with too few neighbours
    keeps its own.
    """
    known = np.array([shape is not None for shape in shapes])
    contours = np.array([shape.contour for shape in shapes if shape is not None])
    areas_px = np.array([abs(signed_area(contour)) for contour in contours])
    indices = set(range(len(shapes)) if wanted is None else wanted)
    return tuple(
        _steadied(shape, contours, areas_px, _weights(times_ms[known], times_ms[index], WINDOW * cycle_ms), scale)
        if index in indices
        else None
        for index, shape in enumerate(shapes)
    )


def _steadied(
    shape: Shape | None,
    contours: NDArray[np.float64],
    areas_px: Curve,
    weights: Curve | None,
    scale: tuple[float, float],
) -> Shape | None:
    """Return the weighted mean contour at the weighted mean area: points that hardly correspond make it shrink."""
    if weights is None:
        return shape
    mean = np.tensordot(weights, contours, axes=1)
    return measure_contour(inflate(mean, float(weights @ areas_px)), scale)


def _weights(times_ms: Curve, at_ms: float, window_ms: float) -> Curve | None:
    """Return (T,) how much each frame counts in the local parabola at `at_ms`; None where frames are too few."""
    distance = (times_ms - at_ms) / (window_ms / 2)
    near = np.abs(distance) < 1
    if np.count_nonzero(near) <= PARABOLA:
        return None
    root = (1 - np.abs(distance[near]) ** 3) ** 1.5
    powers = np.vander(distance[near], PARABOLA, increasing=True)
    weights = np.zeros(len(times_ms))
    weights[near] = np.linalg.pinv(powers * root[:, None])[0] * root
    return weights


def without_turned(shapes: Shapes, scale: tuple[float, float]) -> Shapes:
    """Take the shapes whose long axis points another way than most of them as not outlined."""
    axes = np.array(list(_axes(shapes, scale)))
    if not len(axes):
        return shapes
    usual = np.median(axes, axis=0)
    usual = usual / max(float(np.hypot(*usual)), 1e-9)
    fitting = iter(axes @ usual >= TURNED)
    return tuple(shape if shape is not None and next(fitting) else None for shape in shapes)


def _axes(shapes: Shapes, scale: tuple[float, float]) -> Iterator[NDArray[np.float64]]:
    """Yield the unit vector from annulus to apex of every shape there is."""
    for shape in shapes:
        if shape is not None:
            axis = (shape.apex - shape.annulus.mean(axis=0)) * scale
            yield axis / np.hypot(*axis)
