"""Area curve -> the frames of end-diastole and end-systole of every beat that lies inside the clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.rhythm import Rhythm
from echo_scp.model import Curve

# All in shares of the cycle.
EJECTION = 0.8  # ED lies at most this long before ES; it is about 0.35 at rest, more in a racing heart
MIN_EJECTION = 0.2  # an R wave nearer to ES than this belongs to another beat, or its time is wrong
R_WAVE_TOLERANCE = 0.1  # the LV is largest within this of the R wave
SYSTOLE_TOLERANCE = 0.15
EDGE = 0.05  # a maximum nearer than this to the clip's start may be the tail of a larger one outside
EDGE_STEP = 0.06
EDGE_DROP = 0.15  # of the way to ES: how far the LV may empty in that step; less than 0.1 after a true ED


@dataclass(frozen=True, slots=True)
class Cycle:
    """Frame indices of one beat."""

    end_diastole: int
    end_systole: int


@dataclass(frozen=True, slots=True)
class _Search:
    """The curve as the search sees it: smoothed, so that no single frame's error sets ED or ES."""

    times_ms: Curve
    values: Curve
    rhythm: Rhythm

    def largest(self, start_ms: float, end_ms: float) -> int | None:
        return self._extreme(start_ms, end_ms, 1.0)

    def smallest(self, start_ms: float, end_ms: float) -> int | None:
        return self._extreme(start_ms, end_ms, -1.0)

    def _extreme(self, start_ms: float, end_ms: float, sign: float) -> int | None:
        inside = (self.times_ms >= start_ms) & (self.times_ms <= end_ms) & np.isfinite(self.values)
        return int(np.argmax(np.where(inside, sign * self.values, -np.inf))) if inside.any() else None


def find_cycles(
    areas: TimedCurve, rhythm: Rhythm, systoles_ms: Curve, r_waves_ms: tuple[float, ...]
) -> tuple[Cycle, ...]:
    """Return the beats whose ED and ES both lie inside the clip, in order.

    ED is the largest LV before a systole within its cycle, ES the smallest around the systole. A beat whose diastole
    began before the clip is dropped.
    """
    search = _Search(areas.times_ms, np.where(areas.measured, areas.smoothed(rhythm.smoothing_ms), np.nan), rhythm)
    previous = np.concatenate([[-np.inf], systoles_ms])[:-1]
    found = (_find_cycle(search, *pair, r_waves_ms) for pair in zip(previous, systoles_ms, strict=True))
    return tuple(cycle for cycle in found if cycle is not None)


def _find_cycle(search: _Search, previous_ms: float, systole_ms: float, r_waves_ms: tuple[float, ...]) -> Cycle | None:
    cycle_ms = search.rhythm.cycle_ms
    start_ms = max(previous_ms, systole_ms - EJECTION * cycle_ms, _r_wave_start(r_waves_ms, systole_ms, cycle_ms))
    end_diastole = search.largest(start_ms, systole_ms)
    end_systole = search.smallest(systole_ms - SYSTOLE_TOLERANCE * cycle_ms, systole_ms + SYSTOLE_TOLERANCE * cycle_ms)
    if end_diastole is None or end_systole is None or end_diastole >= end_systole:
        return None
    cycle = Cycle(end_diastole, end_systole)
    return cycle if _begins_inside(search, cycle, r_waves_ms) else None


def _r_wave_start(r_waves_ms: tuple[float, ...], systole_ms: float, cycle_ms: float) -> float:
    """Return where the R wave before the systole lets the beat begin; minus infinity without one."""
    near, far = systole_ms - MIN_EJECTION * cycle_ms, systole_ms - EJECTION * cycle_ms
    waves = [wave for wave in r_waves_ms if far <= wave <= near]
    return max(waves) - R_WAVE_TOLERANCE * cycle_ms if waves else -np.inf


def _begins_inside(search: _Search, cycle: Cycle, r_waves_ms: tuple[float, ...]) -> bool:
    """Tell an ED from the edge of a clip that begins in mid-systole.

    Carts capture from R wave to R wave, so a clip may begin at ED. At the edge, an R wave proves it; else the LV must
    not be emptying fast yet.
    """
    cycle_ms = search.rhythm.cycle_ms
    time_ms = search.times_ms[cycle.end_diastole]
    if time_ms - search.times_ms[0] > EDGE * cycle_ms:
        return True
    if any(abs(wave - time_ms) <= R_WAVE_TOLERANCE * cycle_ms for wave in r_waves_ms):
        return True
    full, empty = search.values[cycle.end_diastole], search.values[cycle.end_systole]
    soon = np.interp(time_ms + EDGE_STEP * cycle_ms, search.times_ms, search.values)
    return bool(soon >= full - EDGE_DROP * (full - empty))
