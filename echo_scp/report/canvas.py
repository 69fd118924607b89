"""The few strokes from which a summary picture is drawn: boxes, text, lines and dots, all anti-aliased."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Colour = tuple[int, int, int]
Point = tuple[float, float]  # (x, y) in pixels of the picture, pixel centre at + 0.5

BACKGROUND: Colour = (17, 20, 26)
PANEL: Colour = (0, 0, 0)
GRID: Colour = (46, 52, 62)
MUTED: Colour = (158, 166, 178)
TEXT: Colour = (238, 241, 246)
ED_COLOUR: Colour = (90, 205, 245)
ES_COLOUR: Colour = (255, 178, 66)
WARNING: Colour = (255, 128, 110)

_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHIFT = 4  # OpenCV draws to 1/16 pixel


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open rectangle of pixels."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows."""
        return self.y1 - self.y0


def write(picture: Picture, text: str, at: tuple[int, int], scale: float, colour: Colour) -> int:
    """Write text from a point (x, baseline); return the x at which it ends."""
    cv2.putText(picture, text, at, _FONT, scale, colour, 1, cv2.LINE_AA)
    return at[0] + text_width(text, scale)


def text_width(text: str, scale: float) -> int:
    """Return the pixels that a text takes."""
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return int(width)


def fill(picture: Picture, box: Box, colour: Colour) -> None:
    """Paint a box."""
    picture[box.y0 : box.y1, box.x0 : box.x1] = colour


def polyline(
    picture: Picture, points: NDArray[np.float64], colour: Colour, thickness: int, *, closed: bool = False
) -> None:
    """Draw a line through (N, 2) points."""
    cv2.polylines(picture, [_fixed(points)], closed, colour, thickness, cv2.LINE_AA, _SHIFT)


def dot(picture: Picture, point: Point, radius: float, colour: Colour) -> None:
    """Draw a filled circle."""
    x, y = _fixed(np.array([point]))[0].tolist()
    cv2.circle(picture, (x, y), round(radius * (1 << _SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """OpenCV counts pixel centres as whole numbers, and takes fixed-point coordinates."""
    return np.rint((points - 0.5) * (1 << _SHIFT)).astype(np.int32)
