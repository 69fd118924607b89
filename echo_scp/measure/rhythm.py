"""Heart rate and systoles from what the machine says, else from the area curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks

from echo_scp.measure.curve import GRID_MS, TimedCurve
from echo_scp.model import Clip, Curve

MS_PER_MINUTE = 60_000.0
SLOWEST_BPM, FASTEST_BPM = 20.0, 240.0  # outside is not a heart rate but a wrong tag
MIN_SYSTOLE_DISTANCE_MS = 400.0  # beyond 150 beats per minute this gives way to the next line
MIN_SYSTOLE_DISTANCE = 0.6  # of the cycle
MIN_PROMINENCE = 0.5  # of the swing of the area curve
MIN_RISE = 0.15  # of the swing, seen after the last systole
SMOOTHING = 0.2  # of the cycle
BLIND_SMOOTHING_MS = 100.0  # while the cycle is not known
MIN_RETURN = 0.85  # a cycle that is seen only once must refill to this share of the swing
IRREGULAR_VARIATION = 0.15  # SD / mean of the RR intervals
MIN_INTERVALS = 3  # below, a variation says nothing


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The length of a cycle in this clip; `estimated` when it had to be read off the area curve."""

    cycle_ms: float
    heart_rate_bpm: float
    estimated: bool = False

    @property
    def smoothing_ms(self) -> float:
        """How wide a window leaves the peaks of this rhythm as high as they are."""
        return SMOOTHING * self.cycle_ms


def find_rhythm(clip: Clip, areas: TimedCurve) -> Rhythm | None:
    """Return the rhythm by the R waves, else the machine's heart rate, else the curve's period; None if none shows."""
    told = clip.heart_rate_bpm if _plausible(clip.heart_rate_bpm) else None
    intervals = np.diff(clip.r_wave_times_ms)
    if len(intervals) and _plausible(rate := MS_PER_MINUTE / max(float(np.median(intervals)), 1.0)):
        return Rhythm(MS_PER_MINUTE / rate, told or rate)
    if told is not None:
        return Rhythm(MS_PER_MINUTE / told, told)
    cycle_ms = _period(areas)
    if cycle_ms is None or not _plausible(MS_PER_MINUTE / cycle_ms):
        return None
    return Rhythm(cycle_ms, MS_PER_MINUTE / cycle_ms, estimated=True)


def _plausible(rate_bpm: float | None) -> bool:
    return rate_bpm is not None and SLOWEST_BPM <= rate_bpm <= FASTEST_BPM


def find_systoles(areas: TimedCurve, rhythm: Rhythm) -> Curve:
    """Return the times of the systoles in ms; a minimum at either end of the clip is none."""
    distance_ms = min(MIN_SYSTOLE_DISTANCE_MS, MIN_SYSTOLE_DISTANCE * rhythm.cycle_ms)
    return _minima(areas.resampled(rhythm.smoothing_ms), distance_ms)


def _minima(grid: TimedCurve, distance_ms: float) -> Curve:
    """Return the times of the deep minima.

    A clip may end while the LV refills: one full sample after its end lets the last minimum be as prominent as its
    ejection is, and MIN_RISE then tells it from a clip that ends in mid-systole.
    """
    extended = np.append(grid.values, grid.values.max())
    peaks, _ = find_peaks(-extended, distance=distance_ms / GRID_MS, prominence=MIN_PROMINENCE * grid.swing)
    rises = [grid.values[peak:].max() - grid.values[peak] for peak in peaks]
    return np.asarray(grid.times_ms[peaks[np.array(rises) >= MIN_RISE * grid.swing]], dtype=np.float64)


def _period(areas: TimedCurve) -> float | None:
    """Return the time between systoles; between the two diastoles around it when there is only one."""
    if areas.longest_gap_ms > MS_PER_MINUTE / SLOWEST_BPM:
        return None  # whole beats between two frames; and the even grid would grow without bound
    grid = areas.resampled(BLIND_SMOOTHING_MS)
    systoles = _minima(grid, MS_PER_MINUTE / FASTEST_BPM)
    if len(systoles) == 1:
        return _only_cycle(grid, float(systoles[0]))
    return float(np.median(np.diff(systoles))) if len(systoles) else None


def _only_cycle(grid: TimedCurve, systole_ms: float) -> float | None:
    """Return the time between the two diastoles, if the LV is about as full in the second as in the first."""
    middle = int(np.searchsorted(grid.times_ms, systole_ms))
    before, after = grid.values[:middle], grid.values[middle:]
    lowest = float(after[0])
    returned = (float(after.max()) - lowest) / max(float(before.max()) - lowest, 1e-9)
    if returned < MIN_RETURN:
        return None
    return float(grid.times_ms[middle + int(np.argmax(after))] - grid.times_ms[int(np.argmax(before))])


def rr_variation(clip: Clip, systoles_ms: Curve) -> float | None:
    """Return SD / mean of the RR intervals, of the R waves if they suffice, else of the systoles; None if too few."""
    for moments in (np.asarray(clip.r_wave_times_ms, dtype=np.float64), systoles_ms):
        intervals = np.diff(moments)
        if len(intervals) >= MIN_INTERVALS and intervals.min() > 0:
            return float(np.std(intervals, ddof=1) / np.mean(intervals))
    return None
