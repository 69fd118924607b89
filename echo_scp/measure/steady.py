"""Steady a chamber's contours in time: each becomes what a parabola through its neighbours says it should be.

The points of two contours correspond: the n-th point lies at the same share of the way from one end of the annulus
round the apex to the other. What is reported as contour, length and volume is the steadied contour, so that a reader
can check one against the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.geometry import Contours, signed_areas
from echo_scp.measure.outline import inflate
from echo_scp.measure.shape import Shapes, measure_contours
from echo_scp.model import Curve

WINDOW = 0.45  # of the cycle, weighted by (1 - |d|^3)^3: half of the weight is in the middle third
PARABOLA = 3  # coefficients; as few frames in the window leave nothing to average
TURNED = 0.5  # cosine of the angle off the usual long axis beyond which base and apex were confused

Weights = NDArray[np.float64]  # (M, T) of T frames for each of M


def steady(
    shapes: Shapes, times_ms: Curve, cycle_ms: float, scale: tuple[float, float], wanted: Iterable[int] | None = None
) -> Shapes:
    """Return the shapes (T,) with steadied contours; where one was missing, the one its neighbours stand for.

    `wanted` are the frame indices to return, all unless given; the others are None. A frame with too few neighbours
    keeps its own.
    """
    indices = np.unique(np.arange(len(shapes)) if wanted is None else np.array(list(wanted), dtype=np.intp))
    steadied = {index: shapes[index] for index in indices.tolist()}
    known = np.array([shape is not None for shape in shapes])
    distances = (times_ms[known] - times_ms[indices, None]) / (WINDOW * cycle_ms / 2)
    enough = np.count_nonzero(np.abs(distances) < 1, axis=1) > PARABOLA
    if enough.any():
        contours = np.array([shape.contour for shape in shapes if shape is not None])
        means = _means(contours, _weights(distances[enough]))
        steadied |= zip(indices[enough].tolist(), measure_contours(means, scale), strict=True)
    return tuple(steadied.get(index) for index in range(len(shapes)))


def _means(contours: Contours, weights: Weights) -> Contours:
    """Return weighted mean contours at the weighted mean area: points that hardly correspond make them shrink."""
    # Without BLAS: its threads spin while they wait for each other, on cores that other clips need.
    return inflate(np.einsum("mt,tnk->mnk", weights, contours), weights @ np.abs(signed_areas(contours)))


def _weights(distances: Weights) -> Weights:
    """Return (M, T) how much each frame counts in the local parabola, from its distance in halves of the window."""
    root = np.maximum(1 - np.abs(distances) ** 3, 0) ** 1.5
    powers = distances[..., None] ** np.arange(PARABOLA)
    return np.asarray(np.linalg.pinv(powers * root[..., None])[:, 0] * root)


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
