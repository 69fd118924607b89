"""How well two outlines agree: Dice, intersection over union, Hausdorff distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import KDTree

from echo_scp.model import PixelSpacing, Points

Mask = NDArray[np.bool_]  # (H, W)


def dice(first: Mask, second: Mask) -> float | None:
    """Return 2 |A and B| / (|A| + |B|); None when both are empty."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else None


def intersection_over_union(first: Mask, second: Mask) -> float | None:
    """Return |A and B| / |A or B|; None when both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else None


def hausdorff95(first: Mask, second: Mask, spacing: PixelSpacing) -> float | None:
    """Return the larger of the two directed 95th percentiles of border-to-border distance; None when one is empty.

    In mm, or in pixels with a spacing of 1. The border of a mask are its pixels with a neighbour (of four) outside.
    """
    return directed_percentile(first, second, spacing, 95)


def directed_percentile(first: Mask, second: Mask, spacing: PixelSpacing, percentile: float) -> float | None:
    """Return the larger of the two directed percentiles; 100 is the Hausdorff distance itself."""
    if not (first.any() and second.any()):
        return None
    borders = _border(first, spacing), _border(second, spacing)
    trees = KDTree(borders[0]), KDTree(borders[1])
    distances = trees[1].query(borders[0])[0], trees[0].query(borders[1])[0]
    return float(max(np.percentile(distance, percentile) for distance in distances))


def _border(mask: Mask, spacing: PixelSpacing) -> Points:
    border = mask & ~binary_erosion(mask)
    return np.asarray(np.argwhere(border) * np.array([spacing.row_mm, spacing.column_mm]), dtype=np.float64)
