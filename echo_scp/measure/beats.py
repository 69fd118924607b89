"""Area curve -> the frames of end-diastole and end-systole of every beat that lies inside the clip.

Picked beat by beat, ED and ES would be where the outlines happen to err most: noise alone makes an EF. So the beats are
laid upon each other at mid-ejection, where the curve is steep and noise moves it little, and their mean says how long
before it ED lies and how long after it ES.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo_scp.measure.curve import GRID_MS, TimedCurve
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
MAX_SHIFT = 0.15  # a beat whose own ED or ES lies further from the common one is left as it is


@dataclass(frozen=True, slots=True)
class Cycle:
    """Frame indices of one beat."""

    end_diastole: int
    end_systole: int


@dataclass(frozen=True, slots=True)
class _Search:
    """The curve as the search sees it: NaN where a frame was not measured."""

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

    def nearest(self, time_ms: float) -> int:
        """Return the measured frame nearest to a time."""
        distance = np.where(np.isfinite(self.values), np.abs(self.times_ms - time_ms), np.inf)
        return int(np.argmin(distance))


def find_cycles(
    areas: TimedCurve, rhythm: Rhythm, systoles_ms: Curve, r_waves_ms: tuple[float, ...]
) -> tuple[Cycle, ...]:
    """Return the beats whose ED and ES both lie inside the clip, in order.

    ED is the largest LV before a systole within its cycle, ES the smallest around the systole, at the same distance
    from mid-ejection in every beat. A beat whose diastole began before the clip is dropped.
    """
    search = _Search(areas.times_ms, np.where(areas.measured, areas.values, np.nan), rhythm)
    previous = np.concatenate([[-np.inf], systoles_ms])[:-1]
    found = (_find_cycle(search, *pair, r_waves_ms) for pair in zip(previous, systoles_ms, strict=True))
    return _aligned(areas, search, [cycle for cycle in found if cycle is not None])


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
    known = np.isfinite(search.values)
    full, empty = search.values[cycle.end_diastole], search.values[cycle.end_systole]
    soon = np.interp(time_ms + EDGE_STEP * cycle_ms, search.times_ms[known], search.values[known])
    return bool(soon >= full - EDGE_DROP * (full - empty))


def _aligned(areas: TimedCurve, search: _Search, cycles: Sequence[Cycle]) -> tuple[Cycle, ...]:
    """Move ED and ES of every beat to where the mean of all beats has them."""
    if len(cycles) < 2:
        return tuple(cycles)
    middles = [_mid_ejection(areas, cycle) for cycle in cycles]
    before = max(middle - areas.times_ms[cycle.end_diastole] for middle, cycle in zip(middles, cycles, strict=True))
    after = max(areas.times_ms[cycle.end_systole] - middle for middle, cycle in zip(middles, cycles, strict=True))
    offsets = np.arange(-before, after + GRID_MS, GRID_MS)
    mean = np.mean([np.interp(middle + offsets, areas.times_ms, areas.values) for middle in middles], axis=0)
    early = offsets <= 0
    to_diastole, to_systole = offsets[early][np.argmax(mean[early])], offsets[~early][np.argmin(mean[~early])]
    moved = zip(cycles, middles, strict=True)
    return tuple(_moved(search, cycle, middle + to_diastole, middle + to_systole) for cycle, middle in moved)


def _mid_ejection(areas: TimedCurve, cycle: Cycle) -> float:
    """Return when the LV is first half way from its size at ED to that at ES."""
    part = slice(cycle.end_diastole, cycle.end_systole + 1)
    times_ms, values = areas.times_ms[part], areas.values[part]
    half = (values[0] + values[-1]) / 2
    after = max(int(np.argmax(values <= half)), 1)
    return float(np.interp(half, values[[after, after - 1]], times_ms[[after, after - 1]]))


def _moved(search: _Search, cycle: Cycle, diastole_ms: float, systole_ms: float) -> Cycle:
    limit_ms = MAX_SHIFT * search.rhythm.cycle_ms
    frames = []
    for own, wanted_ms in ((cycle.end_diastole, diastole_ms), (cycle.end_systole, systole_ms)):
        frame = search.nearest(wanted_ms)
        frames.append(frame if abs(search.times_ms[frame] - search.times_ms[own]) <= limit_ms else own)
    return Cycle(*frames) if frames[0] < frames[1] else cycle
