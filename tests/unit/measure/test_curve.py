"""Curves over uneven times: filling, smoothing, ragged frames."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.curve import TimedCurve


def make_curve(frames=90, frame_ms=30.0, cycle_ms=900.0, **changes):
    """A smooth oscillation between 60 and 100; `changes` sets single frames: f12=30.0."""
    times = np.arange(frames) * frame_ms
    values = 80 + 20 * np.cos(2 * np.pi * times / cycle_ms)
    for name, value in changes.items():
        values[int(name[1:])] = value
    return TimedCurve.of(times, values)


def test_missing_values_are_interpolated_over_time():
    """A NaN between 10 and 40 at a third of the time becomes 20 and is not called measured."""
    curve = TimedCurve.of(np.array([0.0, 10.0, 30.0]), np.array([10.0, np.nan, 40.0]))

    assert curve.values == pytest.approx([10, 20, 40])
    assert curve.measured.tolist() == [True, False, True]
    assert curve.longest_gap_ms == 30.0


def test_duration_includes_the_last_frame():
    """Ten frames of 40 ms last 400 ms."""
    assert make_curve(frames=10, frame_ms=40.0).duration_ms == pytest.approx(400.0)


def test_smoothing_keeps_the_height_of_peaks():
    """Parabolas over a fifth of a cycle take less than 1 % of the swing off a peak."""
    curve = make_curve()

    assert curve.smoothed(180.0).min() == pytest.approx(60.0, abs=0.4)
    assert curve.smoothed(180.0).max() == pytest.approx(100.0, abs=0.4)


def test_smoothing_works_on_uneven_times():
    """Frames at jittered times give the curve that even frames give."""
    times = np.arange(90) * 30.0 + np.where(np.arange(90) % 2, 9.0, 0.0)
    curve = TimedCurve.of(times, 80 + 20 * np.cos(2 * np.pi * times / 900))

    assert curve.smoothed(180.0)[3:-3] == pytest.approx(curve.values[3:-3], abs=0.7)


@pytest.mark.parametrize("value", [30.0, 140.0])
def test_ragged_frame_is_not_measured(value):
    """One frame that leaps off its neighbours is dropped alone and its value interpolated."""
    cleaned = make_curve(f15=value).without_ragged_frames()

    assert np.flatnonzero(~cleaned.measured).tolist() == [15]
    assert cleaned.values[15] == pytest.approx(60.0, abs=1.0)


def test_clean_curve_loses_no_frame():
    """True peaks are no ragged frames, at twelve frames per cycle either."""
    assert make_curve().without_ragged_frames().measured.all()
    assert make_curve(frame_ms=75.0).without_ragged_frames().measured.all()
