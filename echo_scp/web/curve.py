"""The geometry of a volume curve, for a drawing in the page: x is the frame number, y the volume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 22, 40  # what the axes leave free


@dataclass(frozen=True, slots=True)
class Mark:
    """An end-diastole or end-systole on the curve."""

    kind: str  # "ED" or "ES"
    frame_number: int
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled place on an axis, in pixels along it."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Span:
    """A beat, from its end-diastole to its end-systole, in pixels of x."""

    number: int
    x0: float
    x1: float


@dataclass(frozen=True, slots=True)
class CurvePlot:
    """Everything to draw; a stretch is the `points` of an SVG polyline. Frame n is at `x_first + (n - 1) * x_step`."""

    unit: str
    stretches: tuple[str, ...]
    marks: tuple[Mark, ...]
    beats: tuple[Span, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    frame_count: int
    x_first: float
    x_step: float
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def plot_curve(values: Sequence[float | None], unit: str, beats: Sequence[tuple[int, int]]) -> CurvePlot | None:
    """Return the plot of one value per frame; `beats` are frame numbers of ED and ES. None without two values."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    axes = _Axes(len(values), 1.08 * max(*known, 1e-6))
    return CurvePlot(
        unit=unit,
        stretches=tuple(_stretches(values, axes)),
        marks=tuple(
            Mark(kind, number, axes.x(number), axes.y(value))
            for beat in beats
            for kind, number in zip(("ED", "ES"), beat, strict=True)
            if 1 <= number <= len(values) and (value := values[number - 1]) is not None
        ),
        beats=tuple(Span(number, axes.x(ed), axes.x(es)) for number, (ed, es) in enumerate(beats, start=1)),
        x_ticks=tuple(Tick(axes.x(number), str(number)) for number in _frame_ticks(len(values))),
        y_ticks=tuple(Tick(axes.y(value), f"{value:g}") for value in _ticks(axes.top, 4)),
        frame_count=len(values),
        x_first=LEFT,
        x_step=axes.step,
    )


class _Axes:
    """Map frame number and value onto the pixels of the drawing."""

    def __init__(self, frame_count: int, top: float) -> None:
        self.top = top
        self.step = (WIDTH - LEFT - RIGHT) / (frame_count - 1)

    def x(self, frame_number: int) -> float:
        """Return the column of a frame."""
        return round(LEFT + (frame_number - 1) * self.step, 2)

    def y(self, value: float) -> float:
        """Return the row of a value."""
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.top, 2)


def _stretches(values: Sequence[float | None], axes: _Axes) -> list[str]:
    """Return the runs of frames that have a value; a frame without one is a gap."""
    runs: list[list[str]] = [[]]
    for number, value in enumerate(values, start=1):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{axes.x(number)},{axes.y(value)}")
    return [" ".join(run) for run in runs if len(run) > 1]


def _ticks(top: float, at_most: int) -> list[float]:
    """Return round values from 0 to `top`, at most `at_most` steps of 1, 2 or 5 times a power of ten."""
    magnitude = 10.0 ** math.floor(math.log10(top / at_most))
    step = next(magnitude * factor for factor in (1, 2, 5, 10, 20) if top / (magnitude * factor) <= at_most)
    return [round(number * step, 6) for number in range(math.floor(top / step + 1e-9) + 1)]


def _frame_ticks(frame_count: int) -> list[int]:
    step = int(max(_ticks(max(frame_count, 6), 6)[1], 1))
    return [1, *range(step, frame_count + 1, step)] if step > 1 else list(range(1, frame_count + 1))
