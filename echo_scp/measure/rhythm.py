"""Heart rate and systoles from what the machine says and from what the area curve shows."""

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
MIN_REPETITION = 0.6  # correlation of the curve with itself one cycle on, for the curve to overrule the machine
MIN_OVERLAP = 0.4  # of a cycle; less of it repeated proves nothing
MAX_BLIND_ROUGHNESS = 0.1  # rms off the smoothed curve, of its swing, for one cycle alone to overrule the machine
MIN_INTERVALS = 3  # below, a variation says nothing


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The length of a cycle in this clip; `estimated` when it had to be read off the area curve.

    `overruled_bpm` is the machine's rate where the curve clearly shows another, or the machine's own R waves do.
    """

    cycle_ms: float
    heart_rate_bpm: float
    estimated: bool = False
    overruled_bpm: float | None = None

    @property
    def r_waves_hold(self) -> bool:
        """Whether the R waves that the machine told are those of the beats in the clip."""
        return not self.estimated or self.overruled_bpm is None

    @property
    def smoothing_ms(self) -> float:
        """How wide a window leaves the peaks of this rhythm as high as they are."""
        return SMOOTHING * self.cycle_ms


def find_rhythm(clip: Clip, areas: TimedCurve, agreement_percent: float) -> Rhythm | None:
    """Return the rhythm by the R waves, else the machine's heart rate, else the curve's period; None if none shows.

    Where the curve repeats itself with a period that is off the machine's by more than `agreement_percent`, the machine
    is wrong: it counted T waves, or its number is of another moment. So is a rate that far off its own R waves.
    """
    told = _told_rhythm(clip, agreement_percent)
    period_ms = _period(areas)
    seen = period_ms if period_ms is not None and _plausible(MS_PER_MINUTE / period_ms) else None
    if told is None:
        return None if seen is None else Rhythm(seen, MS_PER_MINUTE / seen, estimated=True)
    if seen is None or not _disagree(seen, told.cycle_ms, agreement_percent) or not _repeats(areas, seen):
        return told
    return Rhythm(seen, MS_PER_MINUTE / seen, estimated=True, overruled_bpm=MS_PER_MINUTE / told.cycle_ms)


def _told_rhythm(clip: Clip, agreement_percent: float) -> Rhythm | None:
    told = clip.heart_rate_bpm if _plausible(clip.heart_rate_bpm) else None
    intervals = np.diff(clip.r_wave_times_ms)
    if len(intervals) and _plausible(rate := MS_PER_MINUTE / max(float(np.median(intervals)), 1.0)):
        if told is not None and _disagree(told, rate, agreement_percent):
            return Rhythm(MS_PER_MINUTE / rate, rate, overruled_bpm=told)
        return Rhythm(MS_PER_MINUTE / rate, told or rate)
    return None if told is None else Rhythm(MS_PER_MINUTE / told, told)


def _disagree(one: float, other: float, percent: float) -> bool:
    """Tell whether two rates, or two cycles, are further apart than this, of the smaller."""
    return 100 * abs(one - other) > percent * min(one, other)


def _repeats(areas: TimedCurve, period_ms: float) -> bool:
    """Tell whether the curve bears its period out: it looks the same one period on, or its one cycle is very clean."""
    grid = areas.resampled(BLIND_SMOOTHING_MS)
    shift = round(period_ms / GRID_MS)
    if len(grid.values) - shift > MIN_OVERLAP * shift:
        early, late = grid.values[:-shift], grid.values[shift:]
        return min(float(np.ptp(early)), float(np.ptp(late))) > 0 and _correlation(early, late) >= MIN_REPETITION
    return areas.roughness(BLIND_SMOOTHING_MS) <= MAX_BLIND_ROUGHNESS


def _correlation(one: Curve, other: Curve) -> float:
    """Return Pearson's correlation of two curves that both vary."""
    return float(np.corrcoef(one, other)[0, 1])


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


def rr_variation_percent(r_waves_ms: tuple[float, ...], systoles_ms: Curve) -> float | None:
    """Return SD / mean of the RR intervals, of the R waves if they suffice, else of the systoles; None if too few."""
    for moments in (np.asarray(r_waves_ms, dtype=np.float64), systoles_ms):
        intervals = np.diff(moments)
        if len(intervals) >= MIN_INTERVALS and intervals.min() > 0:
            return float(100 * np.std(intervals, ddof=1) / np.mean(intervals))
    return None
