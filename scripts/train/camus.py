"""Read the CAMUS frames and give them back their shape: the files hold them stretched to a square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.framing import Framing, framing
from echo_scp.inference.interface import InputTensor
from echo_scp.model import PixelSpacing, Region

LABELS = ("background", "lv_cavity", "lv_myocardium", "left_atrium")


@dataclass(frozen=True)
class LabelledFrames:
    """Square isotropic frames (N, S, S) with labels of the same shape; `boxes` undo the letterbox."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    boxes: tuple[Framing, ...]
    source_images: NDArray[np.uint8]
    source_labels: NDArray[np.uint8]
    patients: NDArray[np.str_]
    phases: NDArray[np.str_]


def read(path: Path, split: str | None, size: int) -> LabelledFrames:
    """Return the frames of one split (None: all of the file) letterboxed to `size`."""
    with np.load(path) as file:
        meta = file["meta"]
        chosen = np.full(len(meta), True) if split is None else meta["split"] == split
        meta, images, labels = meta[chosen], file["images"][chosen], file["labels"][chosen]
    height, width = images.shape[1:]
    tensor = InputTensor(tensor="frames", size=size, mean=0.0, std=1.0)
    spacings = (PixelSpacing(float(row["mm_per_px_y"]), float(row["mm_per_px_x"])) for row in meta)
    boxes = tuple(framing(Region(0, 0, width, height, spacing), tensor) for spacing in spacings)
    return LabelledFrames(
        images=np.stack([_fit(image, box, cv2.INTER_AREA) for image, box in zip(images, boxes, strict=True)]),
        labels=np.stack([_fit(label, box, cv2.INTER_NEAREST) for label, box in zip(labels, boxes, strict=True)]),
        boxes=boxes,
        source_images=images,
        source_labels=labels,
        patients=meta["patient"],
        phases=meta["phase"],
    )


def shown(box: Framing, step: int) -> tuple[slice, ...]:
    """Return what of a frame's square a network that takes multiples of `step` is shown."""
    return middle((box.tensor.size, box.tensor.size), (box.target.height, box.target.width), step)


def middle(shape: Sequence[int], needed: Sequence[int], step: int = 1) -> tuple[slice, ...]:
    """Return what a network that takes multiples of `step` is shown of a square: its middle, `needed` or a bit more."""
    sides = [-(-side // step) * step for side in needed]
    starts = [(whole - side) // 2 for whole, side in zip(shape, sides, strict=True)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides, strict=True))


def _fit(image: NDArray[np.uint8], box: Framing, interpolation: int) -> NDArray[np.uint8]:
    square = np.zeros((box.tensor.size, box.tensor.size), dtype=np.uint8)
    square[box.target.pixels] = cv2.resize(image, (box.target.width, box.target.height), interpolation=interpolation)
    return square
