"""Choose frames evenly over a clip."""

from __future__ import annotations

import numpy as np


def spread(count: int, wanted: int) -> tuple[int, ...]:
    """Return at most `wanted` frame indices of `count`, evenly spread, the first and the last among them."""
    return tuple(np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(int)).tolist())
