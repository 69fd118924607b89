"""A beating phantom of label maps whose volumes are known: the builders of the tests of echo_scp.measure.

The LV is half an ellipsoid of revolution on its annulus plane, backed by a wall, with a left atrium behind the plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import pi

import numpy as np
import pytest

from echo_scp.model import Clip, LabelMaps, PixelSpacing, Region, Segmentation, Structure

LV, MYOCARDIUM, ATRIUM = 1, 2, 3
STRUCTURES = (Structure.LV_CAVITY, Structure.LV_MYOCARDIUM, Structure.LEFT_ATRIUM)
SYSTOLE = 0.38  # of the cycle


@dataclass(frozen=True)
class Phantom:
    """What is drawn. `turn_deg` turns the apex from the top of the picture, clockwise on the screen."""

    ef_percent: float = 60.0
    edv_ml: float = 100.0
    length_mm: float = 84.0
    heart_rate_bpm: float = 70.0
    frame_rate_hz: float = 40.0
    beats: float = 3.0
    first_phase: float = -0.25
    row_mm: float = 0.8
    column_mm: float = 0.8
    size_mm: float = 150.0
    turn_deg: float = 0.0
    mirrored: bool = False
    wall: bool = True
    atrium: bool = True
    told_heart_rate_bpm: float | None = -1.0
    r_waves: bool = False
    calibrated: bool = True
    times_ms: tuple[float, ...] = ()

    @property
    def cycle_ms(self) -> float:
        return 60_000 / self.heart_rate_bpm

    @property
    def frame_times_ms(self) -> np.ndarray:
        if self.times_ms:
            return np.array(self.times_ms)
        count = max(round(self.beats * self.cycle_ms * self.frame_rate_hz / 1000), 2)
        return np.arange(count) * 1000 / self.frame_rate_hz

    @property
    def volumes_ml(self) -> np.ndarray:
        """The true volume on each frame."""
        phases = (self.frame_times_ms / self.cycle_ms + self.first_phase) % 1.0
        return self.edv_ml * (1 - self.ef_percent / 100 * (1 - filling(phases)))

    @property
    def visible_ef_percent(self) -> float:
        """The EF between the largest and the smallest LV that frames were taken of."""
        return 100 * (1 - self.volumes_ml.min() / self.volumes_ml.max())

    @property
    def r_wave_times_ms(self) -> tuple[float, ...]:
        """The moments of phase 0 inside the clip."""
        first = -self.first_phase % 1.0 * self.cycle_ms
        return tuple(np.arange(first, self.frame_times_ms[-1], self.cycle_ms).tolist())

    def label_maps(self) -> LabelMaps:
        return np.stack([self.draw(volume) for volume in self.volumes_ml])

    def draw(self, volume_ml: float) -> np.ndarray:
        """Return the labels of one frame with the LV at this volume; it keeps its proportions, and its apex rests."""
        shrink = np.cbrt(volume_ml / self.edv_ml)
        length = self.length_mm * shrink
        radius = radius_mm(self.edv_ml, self.length_mm) * shrink
        along, across = self._heart_coordinates()
        along = along - (self.length_mm - length)
        ventricle = along > 0
        labels = np.zeros(along.shape, dtype=np.uint8)
        if self.wall:
            labels[ventricle & _inside(along, across, length + 8, radius + 8)] = MYOCARDIUM
        labels[ventricle & _inside(along, across, length, radius)] = LV
        if self.atrium:
            labels[~ventricle & _inside(along, across, 30, 20)] = ATRIUM
        return labels

    def _heart_coordinates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mm towards the apex and across for every pixel, from the middle of the annulus."""
        rows, columns = round(self.size_mm / self.row_mm), round(self.size_mm / self.column_mm)
        right = ((np.arange(columns) + 0.5) * self.column_mm - self.size_mm / 2)[None, :]
        down = ((np.arange(rows) + 0.5) * self.row_mm - self.size_mm / 2)[:, None]
        right = -right if self.mirrored else right
        turn = np.radians(self.turn_deg)
        towards_apex = right * np.sin(turn) - down * np.cos(turn)
        return towards_apex + 30, right * np.cos(turn) + down * np.sin(turn)

    def clip(self) -> Clip:
        times = self.frame_times_ms
        rows, columns = round(self.size_mm / self.row_mm), round(self.size_mm / self.column_mm)
        spacing = PixelSpacing(self.row_mm, self.column_mm) if self.calibrated else None
        told = self.heart_rate_bpm if self.told_heart_rate_bpm == -1.0 else self.told_heart_rate_bpm
        return Clip(
            instance=None,  # the measurement does not look at the instance
            frames=np.zeros((len(times), 1, 1), dtype=np.uint8),
            frame_times_ms=times,
            region=Region(0, 0, columns, rows, spacing),
            heart_rate_bpm=told,
            r_wave_times_ms=self.r_wave_times_ms if self.r_waves else (),
        )

    def segmentation(self) -> Segmentation:
        return Segmentation(self.label_maps(), STRUCTURES)


def radius_mm(volume_ml: float, length_mm: float) -> float:
    """Return the radius of the half-ellipsoid of this volume: V = 2/3 pi r^2 L."""
    return float(np.sqrt(volume_ml * 1000 * 3 / (2 * pi * length_mm)))


def filling(phases: np.ndarray) -> np.ndarray:
    """Return the share of the stroke volume in the LV: 1 at phase 0, 0 at the end of systole, then a smooth refill."""
    ejecting = (1 + np.cos(pi * phases / SYSTOLE)) / 2
    refilling = (1 - np.cos(pi * (phases - SYSTOLE) / (1 - SYSTOLE))) / 2
    return np.where(phases < SYSTOLE, ejecting, refilling)


def _inside(along: np.ndarray, across: np.ndarray, length: float, radius: float) -> np.ndarray:
    return (along / length) ** 2 + (across / radius) ** 2 <= 1


@pytest.fixture(scope="session")
def make_phantom() -> Callable[..., Phantom]:
    """Return the builder: `make_phantom(ef_percent=35, turn_deg=90)`."""
    return lambda **changes: replace(Phantom(), **changes)
