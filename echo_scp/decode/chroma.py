"""Tell colour Doppler from a tinted display by the pixels.

A tint (sepia, blue) is a function of luminance: pixels of one brightness have one colour. Colour Doppler is not: grey
tissue and coloured flow of the same brightness lie side by side.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]  # (S, H, W, 3) RGB
Chroma = NDArray[np.int16]  # (S, H, W, 2) red and blue minus luminance

_WORKING_ROWS = 144  # averaging first removes JPEG's colour noise and thins out ECG traces and lettering
_DEVIATION = 32  # grey levels that a colour lies off the tint of its luminance
_LEVELS = 8  # grey levels that share one tint
_STILL = 12  # grey levels by which the colour of a logo changes: noise of the encoder
_GREY = 12  # between the channels of a pixel: whatever is averaged, no two then lie _DEVIATION apart


def coloured_share(colours: Colours) -> float:
    """Return the largest share of a frame, 0..1, whose colour its luminance does not explain.

    What is thinner than 2 % of the frame's height (traces, calipers, box outlines) does not count, nor what has
    the same colour on every one of several frames (logos, buttons).
    """
    if all(map(_is_grey, colours)):
        return 0.0
    scale = min(1.0, _WORKING_ROWS / colours.shape[1])
    small = np.stack([cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for frame in colours])
    luminance, chroma = _split(small)
    off = np.abs(chroma - _tint(luminance, chroma)[luminance // _LEVELS]) > _DEVIATION
    off = off[..., 0] | off[..., 1]
    if len(off) > 1:
        off &= ~(off.all(axis=0) & (np.ptp(chroma, axis=0) <= _STILL).all(axis=-1))
    kernel = np.ones((3, 3), np.uint8)
    return max(float(cv2.morphologyEx(frame.astype(np.uint8), cv2.MORPH_OPEN, kernel).mean()) for frame in off)


def _is_grey(frame: NDArray[np.uint8]) -> bool:
    red, green, blue = cv2.split(frame)
    return max(cv2.norm(red, green, cv2.NORM_INF), cv2.norm(blue, green, cv2.NORM_INF)) <= _GREY


def _split(colours: Colours) -> tuple[NDArray[np.uint8], Chroma]:
    luminance = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in colours]).astype(np.uint8)
    chroma = colours[..., ::2].astype(np.int16) - luminance[..., None].astype(np.int16)
    return luminance, chroma


def _tint(luminance: NDArray[np.uint8], chroma: Chroma) -> Chroma:
    """Return the usual chroma (256 / _LEVELS, 2) of each brightness: the median is the tissue's, which prevails."""
    level = (luminance // _LEVELS).astype(np.intp)
    return np.stack([_medians(level, chroma[..., colour]) for colour in (0, 1)], axis=-1)


def _medians(level: NDArray[np.intp], chroma: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the median (256 / _LEVELS,) of each level, halves towards 0, and 0 for a level without pixels.

    Counted, not sorted: there are few chromas and many pixels.
    """
    levels, chromas = 256 // _LEVELS, 511
    counts = np.bincount((level * chromas + chroma + 255).ravel(), minlength=levels * chromas)
    below = counts.reshape(levels, chromas).cumsum(axis=1)
    total = below[:, -1:]
    low, high = ((below <= rank).sum(axis=1) - 255 for rank in ((total - 1) // 2, total // 2))
    return np.where(total[:, 0] > 0, np.trunc((low + high) / 2), 0).astype(np.int16)
