"""Changes of a clip's pixels that an operator or a machine could have made: does the answer hold?"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from echo_scp.evaluate.case import LabelledFrame, LabelMap, LoadedClip
from echo_scp.model import Clip, Frames, PixelSpacing, Region

DISPLAYED_RANGE_DB = 60.0  # a gain knob adds to the log-compressed echo: 1 dB is 255 / 60 grey levels
SQUARE = PixelSpacing(1, 1)


class Kind(StrEnum):
    """What is changed."""

    NONE = "unchanged"
    DROPPED = "dropped pixels"
    GAIN = "gain"
    ROTATION = "rotation"
    CROP = "crop"
    MIRROR = "mirrored"


UNITS = {Kind.DROPPED: " %", Kind.GAIN: " dB", Kind.ROTATION: " degrees", Kind.CROP: " %"}
WITHOUT_AMOUNT = {Kind.NONE, Kind.MIRROR}


@dataclass(frozen=True, slots=True)
class Change:
    """One change: percent of pixels dropped, dB of gain, degrees clockwise, percent of width and height cut off.

    A mirror image has no amount.
    """

    kind: Kind = Kind.NONE
    amount: float = 0.0

    @property
    def name(self) -> str:
        """How the report calls it; also its key in stored results."""
        if self.kind in WITHOUT_AMOUNT:
            return str(self.kind)
        sign = "+" if self.kind in {Kind.GAIN, Kind.ROTATION} else ""
        return f"{self.kind} {self.amount:{sign}g}{UNITS[self.kind]}"

    def apply(self, loaded: LoadedClip, name: str) -> LoadedClip:
        """Return the changed clip with its labels changed alike; `name` seeds what is random."""
        if self.kind is Kind.DROPPED:
            return _with_frames(
                loaded, _drop(loaded.clip, self.amount / 100, zlib.crc32(f"{name} {self.amount}".encode()))
            )
        if self.kind is Kind.GAIN:
            return _with_frames(loaded, _amplify(loaded.clip.frames, self.amount))
        if self.kind is Kind.ROTATION:
            return _rotate(loaded, self.amount)
        if self.kind is Kind.CROP:
            return _crop(loaded, self.amount / 100)
        if self.kind is Kind.MIRROR:
            return _mirror(loaded)
        return loaded


UNCHANGED = Change()
ROBUSTNESS = (
    UNCHANGED,
    *(Change(Kind.DROPPED, percent) for percent in (10, 20, 30, 40, 50)),
    *(Change(Kind.GAIN, decibel) for decibel in (-12, -6, 6, 12)),
    *(Change(Kind.ROTATION, degrees) for degrees in (-15, -5, 5, 15)),
    *(Change(Kind.CROP, percent) for percent in (5, 10, 20)),
    Change(Kind.MIRROR),
)


def _with_frames(loaded: LoadedClip, frames: Frames) -> LoadedClip:
    return replace(loaded, clip=replace(loaded.clip, frames=frames))


def _drop(clip: Clip, share: float, seed: int) -> Frames:
    """Blacken that share of the pixels of every frame, as EchoNet-Dynamic's noise test does."""
    rng = np.random.default_rng(seed)
    frames = clip.frames.copy()
    for frame in frames:
        frame[rng.random(frame.shape, dtype=np.float32) < share] = 0
    return frames


def _amplify(frames: Frames, decibel: float) -> Frames:
    """Shift the grey levels of what is not black: outside the sector and in full shadow there is no echo to amplify."""
    levels = np.arange(256) + decibel * 255 / DISPLAYED_RANGE_DB
    levels[0] = 0
    return np.asarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8)[frames])


def _rotate(loaded: LoadedClip, degrees: float) -> LoadedClip:
    """Turn the picture about its region's centre, in millimetres: pixels need not be square."""
    matrix = _turn(loaded.clip.region, degrees)
    frames = np.stack([_warp(frame, matrix, cv2.INTER_LINEAR) for frame in loaded.clip.frames])
    labelled = tuple(
        _relabel(frame, None if frame.label_map is None else _warp(frame.label_map, matrix, cv2.INTER_NEAREST))
        for frame in loaded.labelled
    )
    return replace(_with_frames(loaded, frames), labelled=labelled)


def _turn(region: Region, degrees: float) -> NDArray[np.float64]:
    """Return the affine map (2, 3) of pixel indices (column, row)."""
    spacing = region.spacing or SQUARE
    scale = np.diag([spacing.column_mm, spacing.row_mm])
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = np.linalg.inv(scale) @ rotation @ scale
    centre = np.array([region.x0 + region.x1 - 1, region.y0 + region.y1 - 1]) / 2
    return np.column_stack([linear, centre - linear @ centre])


def _warp(picture: LabelMap, matrix: NDArray[np.float64], interpolation: int) -> LabelMap:
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=interpolation), dtype=np.uint8)


def _crop(loaded: LoadedClip, share: float) -> LoadedClip:
    """Cut the region, half of the share off each side; what the experts traced beyond the cut is not counted."""
    region = loaded.clip.region
    x, y = (round(length * share / 2) for length in (region.x1 - region.x0, region.y1 - region.y0))
    cut = replace(region, x0=region.x0 + x, y0=region.y0 + y, x1=region.x1 - x, y1=region.y1 - y)
    frames = np.stack([_inside(frame, cut) for frame in loaded.clip.frames])
    labelled = tuple(
        _relabel(frame, None if frame.label_map is None else _inside(frame.label_map, cut)) for frame in loaded.labelled
    )
    return replace(loaded, clip=replace(loaded.clip, frames=frames, region=cut), labelled=labelled)


def _mirror(loaded: LoadedClip) -> LoadedClip:
    """Swap left and right, as half of the laboratories display an apical view."""
    clip, region = loaded.clip, loaded.clip.region
    width = clip.frames.shape[2]
    swapped = replace(region, x0=width - region.x1, x1=width - region.x0)
    labelled = tuple(
        _relabel(frame, None if frame.label_map is None else np.ascontiguousarray(frame.label_map[:, ::-1]))
        for frame in loaded.labelled
    )
    frames = np.ascontiguousarray(clip.frames[:, :, ::-1])
    return replace(loaded, clip=replace(clip, frames=frames, region=swapped), labelled=labelled)


def _inside(picture: LabelMap, region: Region) -> LabelMap:
    kept = np.zeros_like(picture)
    kept[region.y0 : region.y1, region.x0 : region.x1] = picture[region.y0 : region.y1, region.x0 : region.x1]
    return kept


def _relabel(frame: LabelledFrame, label_map: LabelMap | None) -> LabelledFrame:
    return replace(frame, label_map=label_map)
