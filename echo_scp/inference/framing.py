"""Put the picture into a network's input as its manifest says, and its answer back into the picture."""

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
    """`source`, in the picture, fills `target`, in the network's `canvas`; `outside` (rows, columns) stays black."""

    tensor: InputTensor
    source: Rectangle
    target: Rectangle
    canvas: Rectangle
    outside: NDArray[np.bool_] | None = field(default=None, compare=False)

    def batch(self, frames: Frames) -> Batch:
        """Return grey `frames` (T, H, W) as (T, C, rows, columns), or (T, rows, columns, C) for layout NHWC."""
        fitted = self.fitted(frames)
        batch = np.empty((len(frames), self.tensor.channels, *fitted.shape[1:]), dtype=np.float32)
        constants = zip(self.tensor.factors, self.tensor.offsets, strict=True)
        for channel, (factor, offset) in enumerate(constants):
            np.multiply(fitted, np.float32(factor), out=batch[:, channel])
            if offset:
                batch[:, channel] += np.float32(offset)
        return batch if self.tensor.layout != "NHWC" else np.ascontiguousarray(batch.transpose(0, 2, 3, 1))

    def fitted(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return `frames` (T, H, W) fitted into the canvas (T, rows, columns), still in grey values."""
        target = self.target
        canvases = np.zeros((len(frames), self.canvas.height, self.canvas.width), dtype=np.uint8)
        for canvas, frame in zip(canvases, frames[:, *self.source.pixels], strict=True):
            shape = (target.width, target.height)
            canvas[target.pixels] = cv2.resize(frame, shape, interpolation=self._interpolation)
        if self.outside is not None:
            canvases[:, self.outside] = 0
        return canvases

    def labels(self, logits: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the most likely channel per pixel of the whole picture (H, W), 0 outside of what the network saw.

        `logits` are of one frame, (K, rows, columns), or (rows, columns, K) for layout NHWC. A single channel counts
        where it is positive. They are enlarged before the choice, so borders stay smooth.
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
    """Choose what of a picture goes where in the network's input.

    `shape` (..., H, W) of the picture is needed by networks that take the whole of it; others see the region alone.
    """
    area = Rectangle(region.x0, region.y0, region.x1, region.y1)
    if tensor.area == "picture":
        area = Rectangle(0, 0, shape[-1], shape[-2])
    spacing = region.spacing or _SQUARE_PIXELS
    canvas = Rectangle(0, 0, tensor.size, tensor.size)
    source, target = area, canvas
    if tensor.fit == "letterbox":
        canvas, target = _letterboxed(area, spacing, tensor)
    elif tensor.fit == "crop":
        source = _cropped(area, spacing, tensor.border)
    chosen = Framing(tensor, source, target, canvas)
    return chosen if tensor.sector_degrees is None else replace(chosen, outside=_outside_sector(chosen, area, spacing))


def _letterboxed(area: Rectangle, spacing: PixelSpacing, tensor: InputTensor) -> tuple[Rectangle, Rectangle]:
    """Return the canvas and the area centred in it, whose longer side in millimetres is `size`."""
    height, width = area.height * spacing.row_mm, area.width * spacing.column_mm
    scale = tensor.size / max(height, width)
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    step = tensor.shortest
    canvas = Rectangle(0, 0, -(-columns // step) * step, -(-rows // step) * step)
    left, top = (canvas.width - columns) // 2, (canvas.height - rows) // 2
    return canvas, Rectangle(left, top, left + columns, top + rows)


def _cropped(area: Rectangle, spacing: PixelSpacing, border: float) -> Rectangle:
    """Take the centred square, in millimetres, without its border."""
    side_mm = min(area.height * spacing.row_mm, area.width * spacing.column_mm) * (1 - 2 * border)
    columns, rows = max(1, round(side_mm / spacing.column_mm)), max(1, round(side_mm / spacing.row_mm))
    x0, y0 = area.x0 + (area.width - columns) // 2, area.y0 + (area.height - rows) // 2
    return Rectangle(x0, y0, x0 + columns, y0 + rows)


def _outside_sector(chosen: Framing, area: Rectangle, spacing: PixelSpacing) -> NDArray[np.bool_]:
    """Return which pixels of the canvas lie outside the sector that opens from the top centre of the area."""
    source, target = chosen.source, chosen.target
    rows, columns = np.mgrid[: chosen.canvas.height, : chosen.canvas.width] + 0.5
    across = source.x0 + (columns - target.x0) * source.width / target.width - (area.x0 + area.x1) / 2
    down = source.y0 + (rows - target.y0) * source.height / target.height - area.y0
    half_width_mm = tan(radians((chosen.tensor.sector_degrees or 0) / 2)) * down * spacing.row_mm
    return np.asarray(np.abs(across) * spacing.column_mm > half_width_mm)
