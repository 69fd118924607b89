"""Draw the volume of the ventricle over time, with the end-diastoles and end-systoles that were used."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from echo_scp.model import ClipMeasurement, Curve
from echo_scp.report.canvas import (
    ED_COLOUR,
    ES_COLOUR,
    GRID,
    MUTED,
    PANEL,
    TEXT,
    Box,
    Colour,
    Picture,
    dot,
    fill,
    polyline,
    text_width,
    write,
)

SMALL = 0.45
PADDING_LEFT, PADDING_RIGHT, PADDING_TOP, PADDING_BOTTOM = 64, 24, 42, 34


class Axes:
    """Map (seconds, value) onto the pixels of a box."""

    def __init__(self, box: Box, duration_s: float, top: float) -> None:
        self.box = box
        self.duration_s = duration_s
        self.top = top

    def x(self, time_s: float) -> float:
        """Return the column of a time."""
        return self.box.x0 + self.box.width * time_s / self.duration_s

    def y(self, value: float) -> float:
        """Return the row of a value."""
        return self.box.y1 - self.box.height * value / self.top

    def points(self, times_s: Curve, values: Curve) -> NDArray[np.float64]:
        """Return (N, 2) pixels."""
        xs = self.box.x0 + self.box.width * times_s / self.duration_s
        ys = self.box.y1 - self.box.height * values / self.top
        return np.column_stack([xs, ys])


def draw_curve(picture: Picture, box: Box, frame_times_ms: Curve, measurement: ClipMeasurement) -> None:
    """Draw `volume_curve` into a box; frames without a value leave a gap."""
    times_s, values = frame_times_ms / 1000, measurement.volume_curve
    fill(picture, box, PANEL)
    axes = axes_of(box, frame_times_ms, measurement)
    _draw_grid(picture, axes)
    _draw_legend(picture, box, measurement)
    for stretch in _stretches(values):
        polyline(picture, axes.points(times_s[stretch], values[stretch]), TEXT, 2)
    for beat in measurement.beats:
        for ventricle, colour in ((beat.end_diastole, ED_COLOUR), (beat.end_systole, ES_COLOUR)):
            _mark(picture, axes, float(times_s[ventricle.frame_index]), float(values[ventricle.frame_index]), colour)


def axes_of(box: Box, frame_times_ms: Curve, measurement: ClipMeasurement) -> Axes:
    """Return the axes of the curve in a box."""
    inner = Box(box.x0 + PADDING_LEFT, box.y0 + PADDING_TOP, box.x1 - PADDING_RIGHT, box.y1 - PADDING_BOTTOM)
    top = 1.08 * max(float(np.nanmax(measurement.volume_curve)), 1e-6)
    return Axes(inner, max(float(frame_times_ms[-1]) / 1000, 1e-3), top)


def _draw_grid(picture: Picture, axes: Axes) -> None:
    box = axes.box
    for value in _ticks(axes.top, 4):
        y = axes.y(value)
        polyline(picture, np.array([[box.x0, y], [box.x1, y]]), GRID, 1)
        label = f"{value:g}"
        write(picture, label, (box.x0 - 10 - text_width(label, SMALL), round(y) + 5), SMALL, MUTED)
    for time_s in _ticks(axes.duration_s, 8):
        x = axes.x(time_s)
        polyline(picture, np.array([[x, box.y1], [x, box.y1 + 5]]), MUTED, 1)
        label = f"{time_s:g} s"
        write(picture, label, (round(x) - text_width(label, SMALL) // 2, box.y1 + 22), SMALL, MUTED)


def _draw_legend(picture: Picture, box: Box, measurement: ClipMeasurement) -> None:
    title = "LV volume (mL)" if measurement.calibrated else "LV volume (% of largest)"
    baseline = box.y0 + 26
    write(picture, title, (box.x0 + 16, baseline), 0.5, TEXT)
    x = box.x1 - PADDING_RIGHT - text_width("End-diastole", SMALL) - text_width("End-systole", SMALL) - 58
    for label, colour in (("End-diastole", ED_COLOUR), ("End-systole", ES_COLOUR)):
        dot(picture, (x, baseline - 5), 4.5, colour)
        x = write(picture, label, (x + 12, baseline), SMALL, MUTED) + 22


def _mark(picture: Picture, axes: Axes, time_s: float, value: float, colour: Colour) -> None:
    if not np.isfinite(value):
        return
    x, y = axes.x(time_s), axes.y(value)
    polyline(picture, np.array([[x, y], [x, axes.box.y1]]), (colour[0] // 2, colour[1] // 2, colour[2] // 2), 1)
    dot(picture, (x, y), 5.5, colour)


def _stretches(values: Curve) -> Iterator[slice]:
    """Yield the runs of at least two frames that have a value."""
    padded = np.concatenate([[False], np.isfinite(values), [False]]).astype(np.int8)
    starts, stops = np.flatnonzero(np.diff(padded) == 1), np.flatnonzero(np.diff(padded) == -1)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if stop - start >= 2:
            yield slice(start, stop)


def _ticks(top: float, at_most: int) -> list[float]:
    """Return round values from 0 to `top`, at most `at_most` steps of 1, 2 or 5 times a power of ten."""
    magnitude = 10.0 ** math.floor(math.log10(top / at_most))
    step = next(magnitude * factor for factor in (1, 2, 5, 10, 20) if top / (magnitude * factor) <= at_most)
    return [round(number * step, 6) for number in range(math.floor(top / step + 1e-9) + 1)]
