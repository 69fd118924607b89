"""A value per frame over time, and what can be said of it without knowing about hearts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from echo_scp.model import Curve

GRID_MS = 5.0  # frames may come at any times; peaks are sought on an even grid, finer than any frame rate
RAGGED_SHARE = 0.1  # of the typical value: tracings of one frame by two experts differ by less
RAGGED_SWING = 0.25  # of the swing of the curve: a true turn between dense frames is flatter
RAGGED_SPREADS = 5.0  # times the usual departure of this curve


@dataclass(frozen=True, slots=True)
class TimedCurve:
    """Values at increasing times; all (T,). Where `measured` is False the value is interpolated over time."""

    times_ms: Curve
    values: Curve
    measured: NDArray[np.bool_]

    @classmethod
    def of(cls, times_ms: Curve, values: Curve) -> TimedCurve:
        """Fill the NaN of `values`, of which at least one must be a number."""
        measured = np.isfinite(values)
        return cls(times_ms, np.interp(times_ms, times_ms[measured], values[measured]), measured)

    @property
    def interval_ms(self) -> float:
        """The usual time between two frames."""
        return float(np.median(np.diff(self.times_ms)))

    @property
    def duration_ms(self) -> float:
        """How long the frames last, the last one included."""
        return float(self.times_ms[-1] - self.times_ms[0]) + self.interval_ms

    @property
    def longest_gap_ms(self) -> float:
        """The longest time between two measured frames."""
        return float(np.max(np.diff(self.times_ms[self.measured]), initial=0.0))

    @property
    def swing(self) -> float:
        """How far the values range, single outliers apart: p95 - p5."""
        high, low = np.percentile(self.values, (95, 5))
        return float(high - low)

    def resampled(self, window_ms: float) -> TimedCurve:
        """Return the curve on an even grid, smoothed by parabolas over `window_ms`, which keep the height of peaks."""
        times = np.arange(self.times_ms[0], self.times_ms[-1] + GRID_MS / 2, GRID_MS)
        values = np.interp(times, self.times_ms, self.values)
        window = min(int(window_ms / GRID_MS), len(times) - 1) // 2 * 2 + 1
        if window > 3:
            values = savgol_filter(values, window, polyorder=2)
        return TimedCurve(times, np.asarray(values, dtype=np.float64), np.ones(len(times), dtype=bool))

    def smoothed(self, window_ms: float) -> Curve:
        """Return the smoothed values at the curve's own times."""
        grid = self.resampled(window_ms)
        return np.interp(self.times_ms, grid.times_ms, grid.values)

    def roughness(self, window_ms: float) -> float:
        """Return the rms off the smoothed curve, as a share of the swing; infinite for a curve that does not move."""
        residual = self.values - self.smoothed(window_ms)
        return float(np.sqrt(np.mean(residual**2))) / self.swing if self.swing > 0 else np.inf

    def without_ragged_frames(self) -> TimedCurve:
        """Take frames that leap off the line between their neighbours as not measured, the worst first.

        Meant for dense frames only: where they are sparse, a true peak leaps just as far.
        """
        limit = self._ragged_limit()
        curve = self
        for _ in range(len(self.values)):
            departures = np.where(curve.measured, np.abs(curve._departures()), 0.0)
            worst = int(np.argmax(departures))
            if departures[worst] <= limit:
                break
            curve = curve._without(worst)
        return curve

    def _ragged_limit(self) -> float:
        usual = 1.4826 * float(np.median(np.abs(self._departures())))
        typical = float(np.median(self.values))
        return max(RAGGED_SHARE * typical, RAGGED_SWING * self.swing, RAGGED_SPREADS * usual)

    def _departures(self) -> Curve:
        """Return how far each value lies off the line between its neighbours; 0 for the two ends."""
        before, now, after = self.times_ms[:-2], self.times_ms[1:-1], self.times_ms[2:]
        share = (now - before) / (after - before)
        line = self.values[:-2] + share * (self.values[2:] - self.values[:-2])
        return np.pad(self.values[1:-1] - line, 1)

    def _without(self, index: int) -> TimedCurve:
        values = np.where(self.measured, self.values, np.nan)
        values[index] = np.nan
        return TimedCurve.of(self.times_ms, values)
