"""Enlarge logits and choose per pixel: the larger part of the time between a network and its label map."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def most_likely(logits: NDArray[np.float32], columns: int, rows: int) -> NDArray[np.uint8]:
    """Return (rows, columns): the channel of `logits` (K, h, w) that is largest once they are enlarged.

    Of equal ones the first; a single channel counts where it is positive. Plane by plane, because numpy's argmax over a
    last axis of a few channels takes longer than the network's first layers.
    """
    planes = (_enlarged(plane, columns, rows) for plane in logits)
    if len(logits) == 1:
        return np.asarray(next(planes) > 0, dtype=np.uint8)
    highest = next(planes)
    labels = np.zeros((rows, columns), dtype=np.uint8)
    for channel, plane in enumerate(planes, start=1):
        higher = cv2.compare(plane, highest, cv2.CMP_GT)
        cv2.copyTo(np.full_like(labels, channel), higher, labels)
        cv2.max(plane, highest, dst=highest)
    return labels


def _enlarged(plane: NDArray[np.float32], columns: int, rows: int) -> NDArray[np.float32]:
    plane = np.ascontiguousarray(plane, dtype=np.float32)
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
