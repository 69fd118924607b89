"""Published pipelines' ways from outlines to an EF, for sites that compare with them (docs/measurement.md).

usal_echo (after Zhang 2018): windows of 0.9 cycles every half cycle; in each, the frames at the 90th and 10th
percentile of the area are ED and ES, volumes are 0.85 A^2 / L; over the windows EDV is the 90th percentile, ESV the
50th, EF the 90th, LA volume the 75th. EchoNet-Dynamic: one window of 64 frames round each systole; its network gives
the EF of the window, the outlines only find it. Without such a network the EF is that of the largest and smallest LV
in the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.rhythm import Rhythm
from echo_scp.measure.shape import MM3_PER_ML, Shape
from echo_scp.model import Curve, Reproduction

USAL_CONSTANT = 0.85  # 8 / (3 pi) is 0.8488
USAL_WINDOW, USAL_SHORTEST, USAL_STEP = 0.9, 0.8, 0.5  # of the cycle
USAL_MEDIAN_FRAMES = 4
USAL_LA_ML, USAL_EDV_ML, USAL_ESV_ML, USAL_EF_PERCENT = (10, 300), (20, 600), (-np.inf, 600), (10, 80)
USAL_PERCENTILES = {"edv": 90, "esv": 50, "ef": 90, "la": 75}

ECHONET_FRAMES, ECHONET_PERIOD = 32, 2
ECHONET_DISTANCE_MS = 400.0  # published as 20 frames, which is 400 ms at its 50 frames per second
ECHONET_PROMINENCE = 0.5  # of p95 - p5

Shapes = Sequence[Shape | None]


@dataclass(frozen=True, slots=True)
class _Chamber:
    """Area and volume of a chamber on every frame; (T,) each, NaN where there is no outline."""

    areas: Curve
    volumes_ml: Curve

    @classmethod
    def of(cls, shapes: Shapes) -> _Chamber:
        areas = np.array([shape.area if shape else np.nan for shape in shapes])
        lengths = np.array([shape.length if shape else np.nan for shape in shapes])
        return cls(areas, USAL_CONSTANT * areas**2 / lengths / MM3_PER_ML)

    def at_percentile(self, window: slice, percent: float) -> float:
        """Return the volume on the frame at this percentile of the area in the window; NaN without outlines."""
        areas = self.areas[window]
        known = np.flatnonzero(np.isfinite(areas))
        if not len(known):
            return float("nan")
        smooth = median_filter(areas[known], USAL_MEDIAN_FRAMES, mode="nearest")
        chosen = np.argsort(smooth)[min(int(percent / 100 * len(known)), len(known) - 1)]
        return float(self.volumes_ml[window][known[chosen]])


def usal_echo(ventricle: Shapes, atrium: Shapes, frame_ms: float, rhythm: Rhythm) -> Reproduction:
    """Return what usal_echo makes of the shapes (T,) of a calibrated clip; long axes are ours, not its fitted lines."""
    left, upper = _Chamber.of(ventricle), _Chamber.of(atrium)
    windows = _usal_windows(len(ventricle), rhythm.cycle_ms / frame_ms)
    edv = np.array([left.at_percentile(window, 90) for window in windows])
    esv = np.array([left.at_percentile(window, 10) for window in windows])
    la = np.array([upper.at_percentile(window, 80) for window in windows])
    ef = 100 * (edv - esv) / edv
    return Reproduction(
        ef_percent=_percentile(ef, USAL_EF_PERCENT, USAL_PERCENTILES["ef"]),
        edv_ml=_percentile(edv, USAL_EDV_ML, USAL_PERCENTILES["edv"]),
        esv_ml=_percentile(esv, USAL_ESV_ML, USAL_PERCENTILES["esv"]),
        la_volume_ml=_percentile(la, USAL_LA_ML, USAL_PERCENTILES["la"]),
        window_count=len(windows),
    )


def _usal_windows(frame_count: int, frames_per_cycle: float) -> list[slice]:
    step = max(int(USAL_STEP * frames_per_cycle), 1)
    ends = [
        (start, min(start + int(USAL_WINDOW * frames_per_cycle), frame_count)) for start in range(0, frame_count, step)
    ]
    return [slice(start, end) for start, end in ends if end - start > int(USAL_SHORTEST * frames_per_cycle)]


def _percentile(values: Curve, limits: tuple[float, float], percent: float) -> float | None:
    kept = values[(values > limits[0]) & (values < limits[1])]
    return float(np.percentile(kept, percent)) if len(kept) else None


def echonet_dynamic(volumes: TimedCurve, areas: TimedCurve, *, calibrated: bool) -> Reproduction:
    """Return the mean over beats of the EF in each beat's window, from the outlines; `volumes` (T,) in mL."""
    known = np.where(volumes.measured, volumes.values, np.nan)
    seen = [known[list(window)] for window in beat_windows(areas)]
    pairs = np.array([(np.nanmax(part), np.nanmin(part)) for part in seen if np.isfinite(part).any()])
    if not len(pairs):
        return Reproduction(None, None, None, None, 0)
    edv, esv = pairs.T
    ef = float(np.mean(100 * (edv - esv) / edv))
    if not calibrated:
        return Reproduction(ef, None, None, None, len(pairs))
    return Reproduction(ef, float(np.mean(edv)), float(np.mean(esv)), None, len(pairs))


def beat_windows(areas: TimedCurve) -> tuple[tuple[int, ...], ...]:
    """Return, for each systole, the indices of the 32 frames, every second one, that a regression network looks at.

    A window that would leave the clip is shifted, not dropped; a clip shorter than a window gives all its frames.
    """
    count = len(areas.values)
    systoles, _ = find_peaks(
        -areas.values,
        distance=max(ECHONET_DISTANCE_MS / areas.interval_ms, 1),
        prominence=ECHONET_PROMINENCE * areas.swing,
    )
    span = ECHONET_FRAMES * ECHONET_PERIOD
    starts = [max(min(int(systole) - span // 2, count - span), 0) for systole in systoles]
    return tuple(tuple(range(start, min(start + span, count), ECHONET_PERIOD)) for start in starts)
