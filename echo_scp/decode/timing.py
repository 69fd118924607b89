"""When each frame was taken, and the machine's heart rate and R waves (PS3.3 C.7.6.5 and C.8.5.8)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from echo_scp.decode import tags
from echo_scp.errors import InstanceError
from echo_scp.model import Curve, Flag, Note, Reason

_SHORTEST_MS, _LONGEST_MS = 1.0, 500.0  # 1000 and 2 frames per second: outside, the unit or the value is wrong
_LOWEST_BPM, _HIGHEST_BPM = 20.0, 300.0
_TOLERANCE = 0.10
_FEW = 8  # steps may grow by chance
_RATES = ("CineRate", "RecommendedDisplayFrameRate")


@dataclass(frozen=True, slots=True)
class Timing:
    """`frame_times_ms` (T,) begins at 0; R waves lie inside the clip and are in order."""

    frame_times_ms: Curve
    heart_rate_bpm: float | None
    r_wave_times_ms: tuple[float, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """Frame times and the element that tells them."""

    keyword: str
    times_ms: Curve

    @property
    def step_ms(self) -> float:
        return float(self.times_ms[-1]) / (len(self.times_ms) - 1)


def read_timing(ds: Dataset, frame_count: int) -> Timing:
    """Return the times of `frame_count` >= 2 frames.

    Frame Time Vector or Frame Time, whichever the Frame Increment Pointer names first, else Cine Rate, else Recommended
    Display Frame Rate. Raises InstanceError(NO_FRAME_TIME).
    """
    sources = [source for source in (_read(ds, keyword, frame_count) for keyword in _order(ds)) if source is not None]
    if not sources:
        elements = ("FrameTimeVector", "FrameTime", *_RATES)
        detail = "; ".join(tags.told(ds, keyword) for keyword in elements if keyword in ds)
        raise InstanceError(Reason.NO_FRAME_TIME, detail or "no element tells the time between frames")
    times_ms = sources[0].times_ms
    return Timing(times_ms, _heart_rate(ds), _r_waves(ds, float(times_ms[-1])), _disagreements(sources))


def _order(ds: Dataset) -> tuple[str, ...]:
    pointed = words[0] if (words := tags.words(ds, "FrameIncrementPointer")) else ""
    intervals = ("FrameTime", "FrameTimeVector") if "0018,1063" in pointed else ("FrameTimeVector", "FrameTime")
    return (*intervals, *_RATES)


def _read(ds: Dataset, keyword: str, frame_count: int) -> _Source | None:
    if keyword == "FrameTimeVector":
        steps_ms = _vector_steps(ds, frame_count)
    else:
        steps_ms = np.full(frame_count - 1, _step(ds, keyword))
    if len(steps_ms) == 0 or not np.all((steps_ms >= _SHORTEST_MS) & (steps_ms <= _LONGEST_MS)):
        return None
    return _Source(keyword, np.concatenate(([0.0], np.cumsum(steps_ms))))


def _step(ds: Dataset, keyword: str) -> float:
    value = tags.number(ds, keyword) or np.nan
    return 1000 / value if keyword in _RATES else value


def _vector_steps(ds: Dataset, frame_count: int) -> Curve:
    """Return the steps between frames; the first entry belongs to no step (PS3.3 C.7.6.5.1.2), some leave it out.

    Some write the time since the first frame: no machine takes every frame later than the one before.
    """
    vector = np.array(tags.numbers(ds, "FrameTimeVector"))
    if len(vector) == frame_count > _FEW and np.all(np.diff(vector) > 0):
        return np.diff(vector)
    if len(vector) == frame_count - 1:
        return vector
    return vector[1:] if len(vector) == frame_count else vector[:0]


def _disagreements(sources: list[_Source]) -> tuple[Note, ...]:
    first, others = sources[0], sources[1:]
    return tuple(
        Note(
            Flag.FRAME_TIME_DISAGREES,
            f"{tags.name(first.keyword)} says {first.step_ms:.1f} ms between frames, used; "
            f"{tags.name(other.keyword)} says {other.step_ms:.1f} ms",
        )
        for other in others
        if abs(other.step_ms / first.step_ms - 1) > _TOLERANCE
    )


def _heart_rate(ds: Dataset) -> float | None:
    """Return the machine's heart rate; 0 is how machines without an ECG say that they have none."""
    value = tags.number(ds, "HeartRate")
    return value if value is not None and _LOWEST_BPM <= value <= _HIGHEST_BPM else None


def _r_waves(ds: Dataset, last_ms: float) -> tuple[float, ...]:
    return tuple(sorted(time for time in tags.numbers(ds, "RWaveTimeVector") if 0 <= time <= last_ms))
