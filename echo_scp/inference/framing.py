"""Put the picture into a network's square input as its manifest says, and its answer back into the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import radians, tan

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.engine import Batch
from echo_scp.inference.enlarge import most_likely
from echo_scp.inference.interface import InputTensor
from echo_scp.model import Frames, PixelSpacing, Region

_INTERPOLATIONS = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC}
_SQUARE_PIXELS = PixelSpacing(1.0, 1.0)  # taken where a clip is not calibrated


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Pixels from (x0, y0) up to, without, (x1, y1)."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        return self.y1 - self.y0

    @property
    def pixels(self) -> tuple[slice, slice]:
        """Return the index of the last two axes of a picture."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass(frozen=True, slots=True)
class Framing:
    """`source`, in the picture, fills `target`, in the square; `outside` (size, size) is what stays black."""

    tensor: InputTensor
    source: Rectangle
    target: Rectangle
    outside: NDArray[np.bool_] | None = field(default=None, compare=False)

    def batch(self, frames: Frames) -> Batch:
        """Return grey `frames` (T, H, W) as (T, C, size, size), or (T, size, size, C) for layout NHWC."""
        squares = self.squares(frames)
        batch = np.empty((len(frames), self.tensor.channels, *squares.shape[1:]), dtype=np.float32)
        constants = zip(self.tensor.factors, self.tensor.offsets, strict=True)
        for channel, (factor, offset) in enumerate(constants):
            np.multiply(squares, np.float32(factor), out=batch[:, channel])
            if offset:
                batch[:, channel] += np.float32(offset)
        return batch if self.tensor.layout != "NHWC" else np.ascontiguousarray(batch.transpose(0, 2, 3, 1))

    def squares(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `frames` (T, H, W) fitted into squares (T, size, size), still in grey values."""
        target, size = self.target, self.tensor.size
        squares = np.zeros((len(frames), size, size), dtype=np.uint8)
        for square, frame in zip(squares, frames[:, *self.source.pixels], strict=True):
            shape = (target.width, target.height)
            square[target.pixels] = cv2.resize(frame, shape, interpolation=self._interpolation)
        if self.outside is not None:
            squares[:, self.outside] = 0
        return squares

    def labels(self, logits: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the most likely channel per pixel of the whole picture (H, W), 0 outside of what the network saw.

        `logits` are of one frame, (K, size, size), or (size, size, K) for layout NHWC. A single channel counts where it
        is positive. They are enlarged before the choice, so borders stay smooth.
        """
        planes = logits.transpose(2, 0, 1) if self.tensor.layout == "NHWC" else logits
        picture = np.zeros(shape, dtype=np.uint8)
        inner = planes[:, *self.target.pixels]
        picture[self.source.pixels] = most_likely(inner, self.source.width, self.source.height)
        return picture

    @property
    def _interpolation(self) -> int:
        averages = self.tensor.interpolation == "area" and self.target.height < self.source.height
        return cv2.INTER_AREA if averages else _INTERPOLATIONS.get(self.tensor.interpolation, cv2.INTER_LINEAR)


def framing(region: Region, tensor: InputTensor, shape: Sequence[int] = ()) -> Framing:
    """Choose what of a picture goes where in the network's square.

    `shape` (..., H, W) of the picture is needed by networks that take the whole of it; others see the region alone.
    """
    area = Rectangle(region.x0, region.y0, region.x1, region.y1)
    if tensor.area == "picture":
        area = Rectangle(0, 0, shape[-1], shape[-2])
    spacing = region.spacing or _SQUARE_PIXELS
    square = Rectangle(0, 0, tensor.size, tensor.size)
    source, target = area, square
    if tensor.fit == "letterbox":
        target = _letterboxed(area, spacing, tensor.size)
    elif tensor.fit == "crop":
        source = _cropped(area, spacing, tensor.border)
    chosen = Framing(tensor, source, target)
    return chosen if tensor.sector_degrees is None else replace(chosen, outside=_outside_sector(chosen, area, spacing))


def _letterboxed(area: Rectangle, spacing: PixelSpacing, size: int) -> Rectangle:
    """Centre the area; its longer side in millimetres fills the square."""
    height, width = area.height * spacing.row_mm, area.width * spacing.column_mm
    scale = size / max(height, width)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (size - columns) // 2, (size - rows) // 2
    return Rectangle(left, top, left + columns, top + rows)


def _cropped(area: Rectangle, spacing: PixelSpacing, border: float) -> Rectangle:
    """Take the centred square, in millimetres, without its border."""
    side_mm = min(area.height * spacing.row_mm, area.width * spacing.column_mm) * (1 - 2 * border)
    columns, rows = max(1, round(side_mm / spacing.column_mm)), max(1, round(side_mm / spacing.row_mm))
    x0, y0 = area.x0 + (area.width - columns) // 2, area.y0 + (area.height - rows) // 2
    return Rectangle(x0, y0, x0 + columns, y0 + rows)


def _outside_sector(chosen: Framing, area: Rectangle, spacing: PixelSpacing) -> NDArray[np.bool_]:
    """Return which pixels of the square lie outside the sector that opens from the top centre of the area."""
    source, target = chosen.source, chosen.target
    rows, columns = np.mgrid[: chosen.tensor.size, : chosen.tensor.size] + 0.5
    across = source.x0 + (columns - target.x0) * source.width / target.width - (area.x0 + area.x1) / 2
    down = source.y0 + (rows - target.y0) * source.height / target.height - area.y0
    half_width_mm = tan(radians((chosen.tensor.sector_degrees or 0) / 2)) * down * spacing.row_mm
    return np.asarray(np.abs(across) * spacing.column_mm > half_width_mm)
