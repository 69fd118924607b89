"""Clips of label maps whose EF is known: the phantom's heart on any grid, at any rate, in any rhythm, with noise.

There is no network and no picture: what is tested is the road from outlines to numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from echo_scp.model import Clip, Instance, LabelMaps, PixelSpacing, Region, Segmentation, Structure, View
from echo_scp.phantom.heart import SYSTOLE, Heart, cavity_at
from echo_scp.phantom.scene import labels_at

STRUCTURES = (Structure.LV_CAVITY, Structure.LV_MYOCARDIUM, Structure.LEFT_ATRIUM)
DEPTH_MM, WIDTH_MM = 165.0, 120.0
RR_VARIATION = 0.25  # SD / mean in atrial fibrillation
SYSTOLE_BY_RR = 0.2  # a cycle longer by 10 % has a systole longer by 2 %
EF_BY_RR = 0.4  # a pause longer by 10 % raises the next beat's EF by 4 % of itself
NOISE_GRID_MM = 25.0  # over such a distance an outline errs alike


@dataclass(frozen=True)
class PhantomClip:
    """What is drawn; `noise_mm` is the SD of the outline's error, anew on every frame."""

    ef_percent: float = 55.0
    heart_rate_bpm: float = 70.0
    frame_rate_hz: float = 40.0
    beat_count: float = 3.0
    row_mm: float = 0.5
    column_mm: float = 0.5
    view: View = View.A4C
    irregular: bool = False
    noise_mm: float = 0.0
    told_heart_rate_bpm: float | None = -1.0
    r_waves: bool = False
    seed: int = 0

    @property
    def edv_ml(self) -> float:
        """Larger hearts have the lower EF."""
        return float(np.interp(self.ef_percent, (10, 80), (220, 90)))

    def beats(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the R waves in ms, from before the clip to after it, and the EF of the beat that each begins."""
        rng = np.random.default_rng(self.seed)
        mean_ms = 60_000 / self.heart_rate_bpm
        count = int(np.ceil(self.beat_count)) + 4
        spread = RR_VARIATION if self.irregular else 0.0
        intervals = mean_ms * np.clip(1 + spread * rng.standard_normal(count), 0.55, 1.8)
        waves = np.concatenate([[0.0], np.cumsum(intervals)]) - intervals[0] - 0.85 * intervals[1]
        before = np.concatenate([[mean_ms], intervals])
        efs = self.ef_percent * (1 + EF_BY_RR * (before / mean_ms - 1))
        return waves, np.clip(efs, 3.0, 85.0)

    @property
    def frame_times_ms(self) -> NDArray[np.float64]:
        """The clip begins in late diastole."""
        duration_ms = self.beat_count * 60_000 / self.heart_rate_bpm
        return np.arange(0, duration_ms, 1000 / self.frame_rate_hz)

    @property
    def true_ef_percent(self) -> float:
        """The mean over the beats whose end-diastole and end-systole lie inside the clip."""
        waves, efs = self.beats()
        end_ms = self.frame_times_ms[-1]
        inside = [ef for wave, ef, after in zip(waves[:-1], efs[:-1], np.diff(waves), strict=True)
                  if wave >= 0 and wave + 0.5 * after <= end_ms]  # fmt: skip
        return float(np.mean(inside)) if inside else self.ef_percent

    def heart(self) -> Heart:
        """Return the heart in its view."""
        length_mm = 82 * (self.edv_ml / 110) ** (1 / 3)
        tilt_deg = -8.0 if self.view is View.A2C else 4.0
        return Heart(self.view, self.edv_ml, self.ef_percent, length_mm, tilt_deg=tilt_deg, apex_depth_mm=14)

    def label_maps(self) -> LabelMaps:
        """Draw every frame."""
        waves, efs = self.beats()
        rows, columns = round(DEPTH_MM / self.row_mm), round(WIDTH_MM / self.column_mm)
        y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) + np.float32(0.5)
        x, y = x * np.float32(self.column_mm) - np.float32(WIDTH_MM / 2), y * np.float32(self.row_mm)
        rng = np.random.default_rng(self.seed + 1)
        frames = []
        for time_ms in self.frame_times_ms:
            beat = int(np.searchsorted(waves, time_ms, side="right")) - 1
            phase = _phase(time_ms - waves[beat], waves[beat + 1] - waves[beat], 60_000 / self.heart_rate_bpm)
            heart = replace(self.heart(), ef_percent=float(efs[beat]))
            dx, dy = (_displacement(rng, (rows, columns), self.noise_mm) for _ in range(2))
            frames.append(labels_at(heart, cavity_at(heart, phase), x + dx, y + dy))
        return np.stack(frames)

    def clip(self) -> Clip:
        """Return the clip as decoding would, with black frames."""
        times_ms = self.frame_times_ms
        rows, columns = round(DEPTH_MM / self.row_mm), round(WIDTH_MM / self.column_mm)
        told = self.heart_rate_bpm if self.told_heart_rate_bpm == -1.0 else self.told_heart_rate_bpm
        header = Dataset()
        header.SOPInstanceUID = f"1.2.{self.seed + 1}.{1 if self.view is View.A4C else 2}"
        waves = tuple(wave for wave in self.beats()[0].tolist() if 0 <= wave <= times_ms[-1])
        return Clip(
            instance=Instance(header, Path()),
            frames=np.zeros((len(times_ms), 1, 1), dtype=np.uint8),
            frame_times_ms=times_ms,
            region=Region(0, 0, columns, rows, PixelSpacing(self.row_mm, self.column_mm)),
            heart_rate_bpm=told,
            r_wave_times_ms=waves if self.r_waves else (),
        )

    def segmentation(self) -> Segmentation:
        """Return the label maps as an engine would."""
        return Segmentation(self.label_maps(), STRUCTURES)


def _phase(since_ms: float, interval_ms: float, mean_ms: float) -> float:
    """Return the position in the cycle, 0..1; what a longer cycle adds is mostly diastole."""
    systole_ms = SYSTOLE * mean_ms * (1 + SYSTOLE_BY_RR * (interval_ms / mean_ms - 1))
    if since_ms < systole_ms:
        return SYSTOLE * since_ms / systole_ms
    return SYSTOLE + (1 - SYSTOLE) * (since_ms - systole_ms) / (interval_ms - systole_ms)


def _displacement(rng: np.random.Generator, shape: tuple[int, int], sd_mm: float) -> NDArray[np.float32]:
    """Return a smooth random field (rows, columns) in mm."""
    if sd_mm == 0:
        return np.zeros(shape, dtype=np.float32)
    nodes = (round(DEPTH_MM / NOISE_GRID_MM) + 1, round(WIDTH_MM / NOISE_GRID_MM) + 1)
    coarse = (sd_mm * rng.standard_normal(nodes)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), dtype=np.float32)
