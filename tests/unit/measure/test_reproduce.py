"""Published pipelines' rules, on curves and clips of known volumes."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.measure import measure_clip
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.reproduce import beat_windows, echonet_dynamic, usal_echo
from echo_scp.measure.rhythm import Rhythm
from echo_scp.measure.shape import Shape

RHYTHM = Rhythm(1000.0, 60.0)


def make_shape(area_mm2, length_mm=90.0):
    return Shape(np.zeros((4, 2)), np.zeros(2), np.zeros((2, 2)), length_mm, area_mm2, 0.0, 0.0, np.zeros(20))


def make_curve(cycles=3, frame_ms=25.0, low=2000.0, high=3500.0):
    times = np.arange(0, cycles * 1000, frame_ms)
    return TimedCurve.of(times, low + (high - low) * (1 + np.cos(2 * np.pi * times / 1000)) / 2)


def test_usal_takes_the_90th_and_10th_percentile_of_the_area():
    """Of a cosine between 2000 and 3500 mm2: 0.85 A^2 / L at about 3463 and 2037 mm2."""
    curve = make_curve()

    found = usal_echo([make_shape(area) for area in curve.values], [None] * 120, 25.0, RHYTHM)

    edv, esv = (0.85 * area**2 / 90 / 1000 for area in (3463, 2037))
    assert found.edv_ml == pytest.approx(edv, rel=0.02)
    assert found.esv_ml == pytest.approx(esv, rel=0.03)
    assert found.ef_percent == pytest.approx(100 * (1 - esv / edv), abs=2)
    assert found.la_volume_ml is None


def test_usal_windows_begin_every_half_cycle():
    """0.9 cycles long, and none that is cut below 0.8: five in three cycles."""
    curve = make_curve()

    found = usal_echo([make_shape(area) for area in curve.values], [None] * 120, 25.0, RHYTHM)

    assert found.window_count == 5


def test_usal_leaves_out_what_no_heart_is():
    """An EF outside 10 to 80 % and an EDV beyond 600 mL do not count."""
    still = usal_echo([make_shape(3000.0)] * 120, [None] * 120, 25.0, RHYTHM)
    huge = usal_echo([make_shape(area) for area in make_curve(low=9000, high=12000).values], [None] * 120, 25.0, RHYTHM)

    assert still.ef_percent is None
    assert huge.edv_ml is None


def test_echonet_takes_the_largest_and_the_smallest_round_each_systole():
    """Three systoles, an EF of 60 % each."""
    curve = make_curve()
    volumes = TimedCurve.of(curve.times_ms, 40 + 60 * (curve.values - 2000) / 1500)

    found = echonet_dynamic(volumes, curve, calibrated=True)

    assert found.window_count == 3
    assert found.ef_percent == pytest.approx(60, abs=0.5)
    assert echonet_dynamic(volumes, curve, calibrated=False).edv_ml is None


def test_windows_are_shifted_into_the_clip():
    """Every second frame of 64 round a systole; the first and the last window are moved, not dropped."""
    windows = beat_windows(make_curve())

    assert len(windows) == 3
    assert all(len(window) == 32 for window in windows)
    assert windows[0][0] == 0
    assert windows[-1][-1] >= 118
    assert windows[1] == tuple(range(60 - 32, 60 + 32, 2))


def test_short_clip_gives_all_its_frames():
    """Forty frames are twenty of the window's thirty-two."""
    (window,) = beat_windows(make_curve(cycles=1))

    assert window == tuple(range(0, 40, 2))


def test_still_heart_has_no_windows():
    """No systole, no EF."""
    flat = TimedCurve.of(np.arange(100) * 25.0, np.full(100, 3000.0))

    assert beat_windows(flat) == ()
    assert echonet_dynamic(flat, flat, calibrated=True).ef_percent is None


@pytest.mark.parametrize("aggregation", ["usal", "echonet-dynamic"])
def test_clip_carries_what_the_configured_pipeline_makes_of_it(make_phantom, aggregation):
    """A clean clip of an EF of 60 % is one by either rule, the percentiles' somewhat lower."""
    phantom = make_phantom(beats=3)

    result = measure_clip(phantom.clip(), phantom.segmentation(), MeasureConfig(aggregation=aggregation))

    assert 50 < result.reproduction.ef_percent < 62
    assert result.ef_percent == pytest.approx(60, abs=2)
    assert measure_clip(phantom.clip(), phantom.segmentation()).reproduction is None
