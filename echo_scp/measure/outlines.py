"""Label maps -> the LV's shape on every frame, looking only at the part of the picture that holds the LV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.shape import Shape, find_shape
from echo_scp.model import Curve, PixelSpacing, Segmentation, Structure

MARGIN = 0.1  # of the LV's box: as far as wall and atrium matter
MIN_MARGIN_PX = 8

Masks = NDArray[np.bool_]  # (T, H, W)


@dataclass(frozen=True, slots=True)
class Outlines:
    """What surrounds the LV on every frame; `origin` is the (column, row) of the masks in the picture."""

    cavity: Masks
    atrium: Masks
    myocardium: Masks
    origin: tuple[int, int]

    @classmethod
    def around_ventricle(cls, segmentation: Segmentation) -> Outlines:
        """Crop the label maps to the LV; the masks are empty when there is none on any frame."""
        seen = np.logical_or.reduce(segmentation.masks(Structure.LV_CAVITY), axis=0)
        rows, columns = _reach(np.any(seen, axis=1)), _reach(np.any(seen, axis=0))
        part = Segmentation(segmentation.label_maps[:, rows, columns], segmentation.structures)
        return cls(
            part.masks(Structure.LV_CAVITY),
            part.masks(Structure.LEFT_ATRIUM),
            part.masks(Structure.LV_MYOCARDIUM),
            (columns.start, rows.start),
        )

    def pixel_counts(self) -> Curve:
        """Return (T,) how many pixels are LV."""
        return np.array([np.count_nonzero(mask) for mask in self.cavity], dtype=np.float64)

    def steadied(self) -> Outlines:
        """Let each frame and its two neighbours vote on every pixel of the LV; an empty frame stays empty."""
        before, now, after = self.cavity[:-2], self.cavity[1:-1], self.cavity[2:]
        voted = self.cavity.copy()
        voted[1:-1] = (before & after) | (now & (before | after))
        voted[self.pixel_counts() == 0] = False
        return Outlines(voted, self.atrium, self.myocardium, self.origin)

    def shapes(self, spacing: PixelSpacing | None) -> tuple[Shape | None, ...]:
        """Return the LV of every frame, None where it has no shape; without spacing in square pixels."""
        frames = zip(self.cavity, self.atrium, self.myocardium, strict=True)
        return tuple(find_shape(*masks, spacing, self.origin) for masks in frames)


def _reach(seen: NDArray[np.bool_]) -> slice:
    indices = np.flatnonzero(seen)
    if not len(indices):
        return slice(0, 0)
    first, last = int(indices[0]), int(indices[-1])
    margin = max(MIN_MARGIN_PX, int(MARGIN * (last - first)))
    return slice(max(first - margin, 0), min(last + margin + 1, len(seen)))
