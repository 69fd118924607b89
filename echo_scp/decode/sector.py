"""Find the moving picture on the screen: where no region is listed, and whether a listed one can be right."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.decode.box import Box
from echo_scp.decode.spread import spread
from echo_scp.model import Frames

_SAMPLES, _CHECKING_SAMPLES = 24, 10  # frames looked at, spread over the clip
_WORKING_ROWS = 160
_STILL = 0.6, 2.0  # grey levels of standard deviation over time: what a digital and a video-grabbed banner stay below
_GAP, _BRIDGE = 3, 7  # working pixels: closed inside the sector; cut between it and the traces around it
_WHOLE_SCREEN = 0.9  # moves at once: a blank frame or noise; a sector leaves the corners
_TWIN_AREA, _TWIN_HEIGHT = 0.5, 0.7  # of the larger picture: a second picture, not an ECG strip or a clock


def find_sectors(frames: Frames) -> tuple[Box, ...]:
    """Return the moving pictures: none, one, or two that stand side by side; the largest first.

    What does not move (banner, scales) or is a small part (clock, ECG strip) is left out.
    """
    scale = _scale(frames)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(_moving(frames, scale).astype(np.uint8))
    order = sorted(range(1, count), key=lambda label: -int(stats[label, cv2.CC_STAT_AREA]))
    boxes = [_bounds(labels == label).scaled(1 / scale) for label in order[:2]]
    areas = [float(stats[label, cv2.CC_STAT_AREA]) for label in order[:2]]
    screen = Box(0, 0, frames.shape[2], frames.shape[1])
    boxes = [box.intersection(screen) for box in boxes]
    if len(boxes) == 2 and not _are_twins(boxes[0], boxes[1], areas[1] / areas[0]):
        boxes = boxes[:1]
    return tuple(boxes)


def share_outside(frames: Frames, box: Box) -> float:
    """Return which share, 0..1, of the picture that moves in `box` goes beyond it.

    0 when nothing moves there, or the whole screen does, which tells nothing of where the picture is.
    """
    scale = _scale(frames)
    moving = _moving(frames, scale)
    if moving.mean() > _WHOLE_SCREEN:
        return 0.0
    count, labels = cv2.connectedComponents(moving.astype(np.uint8))
    small = box.scaled(scale)
    window = labels[max(round(small.y0), 0) : round(small.y1), max(round(small.x0), 0) : round(small.x1)]
    within = np.bincount(window.ravel(), minlength=count)[1:]
    if not within.any():
        return 0.0
    picture = int(within.argmax())
    return 1 - int(within[picture]) / int(np.count_nonzero(labels == picture + 1))


def motion_samples(count: int) -> tuple[int, ...]:
    """Return the indices, of `count` frames, of those that `find_sectors` looks at; given these alone it sees all."""
    return spread(count, _SAMPLES)


def checking_samples(count: int) -> tuple[int, ...]:
    """Return the indices, of `count` frames, of the fewer ones that tell whether a listed region can be right."""
    return spread(count, _CHECKING_SAMPLES)


def _scale(frames: Frames) -> float:
    return min(1.0, _WORKING_ROWS / int(frames.shape[1]))


def _moving(frames: Frames, scale: float) -> NDArray[np.bool_]:
    """Return which pixels of the scaled-down screen change over time, without thin structures."""
    chosen = motion_samples(len(frames))
    small = np.stack(
        [cv2.resize(frames[i], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for i in chosen]
    ).astype(np.float32)
    spread = small.std(axis=0)
    still = np.clip(3 * np.percentile(spread, 10), *_STILL)
    closed = cv2.morphologyEx((spread > still).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((_GAP, _GAP), np.uint8))
    opened = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((_BRIDGE, _BRIDGE), np.uint8))
    return np.asarray(opened, dtype=bool)


def _bounds(mask: NDArray[np.bool_]) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _are_twins(first: Box, second: Box, area_ratio: float) -> bool:
    apart = first.x1 <= second.x0 or second.x1 <= first.x0
    alike = min(first.height, second.height) >= _TWIN_HEIGHT * max(first.height, second.height)
    return apart and alike and area_ratio >= _TWIN_AREA
