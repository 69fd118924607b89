"""Put the 2D region of a picture into a network's square input, and its answer back, without a lasting stretch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import InputTensor
from echo_scp.model import Frames, Region


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Region -> isotropic millimetres -> longer side `size` -> centred on zeros (size, size).

    Without calibration the pixels are taken as square.
    """

    region: Region
    size: int
    width: int
    height: int

    @classmethod
    def fit(cls, region: Region, size: int) -> Letterbox:
        """Choose the scaled width and height for `region`."""
        height = float(region.y1 - region.y0)
        width = float(region.x1 - region.x0)
        if region.spacing is not None:
            height *= region.spacing.row_mm
            width *= region.spacing.column_mm
        scale = size / max(height, width)
        return cls(region, size, max(1, round(width * scale)), max(1, round(height * scale)))

    @property
    def _corner(self) -> tuple[int, int]:
        return (self.size - self.width) // 2, (self.size - self.height) // 2

    def batch(self, frames: Frames, tensor: InputTensor) -> Batch:
        """Return (T, 1, size, size) float32 for grey `frames` (T, H, W)."""
        left, top = self._corner
        crop = frames[:, self.region.y0 : self.region.y1, self.region.x0 : self.region.x1]
        interpolation = cv2.INTER_AREA if self.height < crop.shape[1] else cv2.INTER_LINEAR
        squares = np.zeros((len(frames), 1, self.size, self.size), dtype=np.float32)
        for square, frame in zip(squares[:, 0], crop, strict=True):
            square[top : top + self.height, left : left + self.width] = cv2.resize(
                frame, (self.width, self.height), interpolation=interpolation
            )
        squares /= 255
        squares -= tensor.mean
        squares /= tensor.std
        return squares

    def labels(self, logits: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the most likely channel per pixel of the whole picture (H, W), 0 outside the region.

        `logits` is one frame's (K, size, size). They are enlarged before the choice, so borders stay smooth.
        """
        left, top = self._corner
        inner = np.ascontiguousarray(
            logits[:, top : top + self.height, left : left + self.width].transpose(1, 2, 0), dtype=np.float32
        )
        region = self.region
        enlarged = cv2.resize(inner, (region.x1 - region.x0, region.y1 - region.y0), interpolation=cv2.INTER_LINEAR)
        picture = np.zeros(shape, dtype=np.uint8)
        picture[region.y0 : region.y1, region.x0 : region.x1] = enlarged.argmax(axis=-1)
        return picture
