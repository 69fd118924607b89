"""Label maps -> a chamber's shape on every frame, looking only at the part of the picture that holds the chamber."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.measure.shape import Shapes, find_atrial_shapes, find_shapes
from echo_scp.model import Curve, PixelSpacing, Segmentation, Structure

MARGIN = 0.1  # of the chamber's box: as far as wall and atrium matter
MIN_MARGIN_PX = 8
_PARENT = 3  # of a contour in OpenCV's hierarchy: the part whose hole it is

Masks = NDArray[np.bool_]  # (T, H, W)


@dataclass(frozen=True, slots=True)
class Outlines:
    """A chamber and what surrounds it on every frame; `origin` is the (column, row) of the masks in the picture.

    `other` is the chamber beyond the annulus.
    """

    cavity: Masks
    other: Masks
    wall: Masks
    origin: tuple[int, int]

    @classmethod
    def around_ventricle(cls, segmentation: Segmentation) -> Outlines:
        """Crop the label maps to the LV; the masks are empty when there is none on any frame."""
        return cls._around(segmentation, Structure.LV_CAVITY, Structure.LEFT_ATRIUM)

    @classmethod
    def around_atrium(cls, segmentation: Segmentation) -> Outlines:
        """Crop the label maps to the LA; the masks are empty when there is none on any frame."""
        return cls._around(segmentation, Structure.LEFT_ATRIUM, Structure.LV_CAVITY)

    @classmethod
    def _around(cls, segmentation: Segmentation, chamber: Structure, other: Structure) -> Outlines:
        seen = segmentation.reach(chamber)
        rows, columns = _reach(np.any(seen, axis=1)), _reach(np.any(seen, axis=0))
        part = Segmentation(segmentation.label_maps[:, rows, columns], segmentation.structures)
        return cls(
            cavity=part.masks(chamber),
            other=part.masks(other),
            wall=part.masks(Structure.LV_MYOCARDIUM),
            origin=(columns.start, rows.start),
        )

    def pixel_counts(self) -> Curve:
        """Return (T,) how many pixels are the chamber's."""
        return np.array([np.count_nonzero(mask) for mask in self.cavity], dtype=np.float64)

    def fragment_shares(self) -> Curve:
        """Return (T,) which share of the chamber's pixels lies apart from its largest part; 0 on an empty frame."""
        return np.array([_fragment_share(mask) for mask in self.cavity])

    def steadied(self) -> Outlines:
        """Let each frame and its two neighbours vote on every pixel of the chamber; an empty frame stays empty."""
        before, now, after = self.cavity[:-2], self.cavity[1:-1], self.cavity[2:]
        voted = self.cavity.copy()
        voted[1:-1] = (before & after) | (now & (before | after))
        voted[self.pixel_counts() == 0] = False
        return Outlines(voted, self.other, self.wall, self.origin)

    def shapes(self, spacing: PixelSpacing | None) -> Shapes:
        """Return the LV of every frame, None where it has no shape; without spacing in square pixels."""
        return find_shapes(zip(self.cavity, self.other, self.wall, strict=True), spacing, self.origin)

    def atrial_shapes(self, spacing: PixelSpacing | None, wanted: Iterable[int]) -> Shapes:
        """Return (T,) the LA of the `wanted` frames, None elsewhere and where it does not border on the LV."""
        indices = set(wanted)
        frames = enumerate(zip(self.cavity, self.other, strict=True))
        return find_atrial_shapes(
            (masks if index in indices else None for index, masks in frames), spacing, self.origin
        )


def _fragment_share(mask: NDArray[np.bool_]) -> float:
    parts, tree = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not parts or np.count_nonzero(tree[0, :, _PARENT] < 0) == 1:  # quicker than counting its pixels
        return 0.0
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = statistics[1:, cv2.CC_STAT_AREA]  # the first is the background
    return 1 - float(areas.max() / areas.sum())


def _reach(seen: NDArray[np.bool_]) -> slice:
    indices = np.flatnonzero(seen)
    if not len(indices):
        return slice(0, 0)
    first, last = int(indices[0]), int(indices[-1])
    margin = max(MIN_MARGIN_PX, int(MARGIN * (last - first)))
    return slice(max(first - margin, 0), min(last + margin + 1, len(seen)))
