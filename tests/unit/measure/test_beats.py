"""Which frames are ED and ES, and which beats lie wholly inside the clip."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.beats import find_cycles
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.rhythm import Rhythm, find_systoles


def cycles_of(phantom, **values):
    """Find the beats of the phantom's true area curve; `values` sets single frames: f12=np.nan."""
    areas = phantom.volumes_ml ** (2 / 3)
    for name, value in values.items():
        areas[int(name[1:])] = value
    curve = TimedCurve.of(phantom.frame_times_ms, areas)
    rhythm = Rhythm(phantom.cycle_ms, phantom.heart_rate_bpm)
    return find_cycles(curve, rhythm, find_systoles(curve, rhythm), phantom.clip().r_wave_times_ms)


def test_end_diastole_is_the_largest_and_end_systole_the_smallest(make_phantom):
    """At 60/min and 100 frames per second the phantom's ED lies at 250 ms, its ES at 630 ms."""
    phantom = make_phantom(heart_rate_bpm=60, frame_rate_hz=100, beats=2)

    frames = [(cycle.end_diastole, cycle.end_systole) for cycle in cycles_of(phantom)]

    assert frames == [pytest.approx((25, 63), abs=1), pytest.approx((125, 163), abs=1)]


def test_clip_of_exactly_one_r_to_r_beat_counts(make_phantom):
    """Carts capture from R wave to R wave: ED is frame index 0."""
    (cycle,) = cycles_of(make_phantom(beats=1, first_phase=0.0))

    assert cycle.end_diastole == 0


@pytest.mark.parametrize("first_phase", [0.08, 0.12, 0.2, 0.3])
def test_clip_that_begins_in_mid_systole_does_not_count_that_beat(make_phantom, first_phase):
    """The first frame is the largest before that systole, but the true ED was earlier."""
    assert cycles_of(make_phantom(beats=1, first_phase=first_phase)) == ()
    assert len(cycles_of(make_phantom(beats=3, first_phase=first_phase))) == 2


def test_r_wave_at_the_first_frames_proves_an_end_diastole(make_phantom):
    """With an R wave there, a beat that empties steeply from the first frame on is whole."""
    steep = {"beats": 1, "first_phase": 0.06}

    assert cycles_of(make_phantom(**steep)) == ()
    phantom = make_phantom(**steep)
    curve = TimedCurve.of(phantom.frame_times_ms, phantom.volumes_ml ** (2 / 3))
    rhythm = Rhythm(phantom.cycle_ms, phantom.heart_rate_bpm)
    assert len(find_cycles(curve, rhythm, find_systoles(curve, rhythm), (0.0,))) == 1


@pytest.mark.parametrize("first_phase", [0.7, 0.8, 0.9, 0.97])
def test_beat_that_begins_in_diastole_counts(make_phantom, first_phase):
    """ED is a true peak some frames into the clip."""
    (cycle,) = cycles_of(make_phantom(beats=1, first_phase=first_phase))

    assert cycle.end_diastole > 0


def test_r_waves_bound_the_search_for_end_diastole(make_phantom):
    """An outline that swells in mid-diastole, long before the R wave, is not taken for ED."""
    plain = make_phantom(heart_rate_bpm=60, frame_rate_hz=50, beats=1.2, first_phase=-0.6)
    swollen = {f"f{index}": 24.0 for index in range(8, 15)}

    assert cycles_of(plain, **swollen)[0].end_diastole < 15
    told = make_phantom(heart_rate_bpm=60, frame_rate_hz=50, beats=1.2, first_phase=-0.6, r_waves=True)
    assert cycles_of(told, **swollen)[0].end_diastole == pytest.approx(30, abs=1)


def test_frame_without_outline_is_neither_ed_nor_es(make_phantom):
    """The neighbour of a missing extreme takes its place."""
    phantom = make_phantom(heart_rate_bpm=60, frame_rate_hz=50, beats=1.5)
    (whole,) = cycles_of(phantom)

    (partial,) = cycles_of(phantom, **{f"f{whole.end_diastole}": np.nan, f"f{whole.end_systole}": np.nan})

    assert abs(partial.end_diastole - whole.end_diastole) == 1
    assert abs(partial.end_systole - whole.end_systole) == 1


def test_noise_does_not_pick_end_diastole_and_end_systole(make_phantom):
    """At an EF of 15 % and 2 % of noise per frame, ten beats' ED and ES stay within 40 ms of the true ones."""
    phantom = make_phantom(ef_percent=15, heart_rate_bpm=60, frame_rate_hz=50, beats=10.5)
    areas = phantom.volumes_ml ** (2 / 3) * (
        1 + 0.01 * np.random.default_rng(1).standard_normal(len(phantom.volumes_ml))
    )
    curve = TimedCurve.of(phantom.frame_times_ms, areas)
    smooth = TimedCurve(curve.times_ms, curve.smoothed(300.0), curve.measured)
    rhythm = Rhythm(1000.0, 60.0)

    cycles = find_cycles(smooth, rhythm, find_systoles(smooth, rhythm), ())

    assert len(cycles) >= 9
    late = [phantom.frame_times_ms[cycle.end_diastole] % 1000 - 250 for cycle in cycles]
    assert np.ptp(late) <= 60
    assert abs(np.mean(late)) <= 40


def test_beats_of_an_irregular_rhythm_keep_their_own_times():
    """Cycles of 700 to 1200 ms: ES lies 300 ms after each R wave; the clip ends at the fifth, which does not count."""
    waves = np.cumsum([250.0, 700.0, 1200.0, 800.0, 1000.0])
    times = np.arange(0, 4300, 20.0)
    since = times - waves[np.maximum(np.searchsorted(waves, times, side="right") - 1, 0)]
    before = np.where(times < waves[0], 0.0, np.where(since < 300, since / 300, np.maximum(1 - (since - 300) / 300, 0)))
    curve = TimedCurve.of(times, 100 - 40 * np.sin(np.pi / 2 * before) ** 2)
    rhythm = Rhythm(900.0, 67.0)

    cycles = find_cycles(curve, rhythm, find_systoles(curve, rhythm), tuple(waves))

    assert [times[cycle.end_systole] for cycle in cycles] == pytest.approx((waves + 300)[: len(cycles)], abs=40)
    assert len(cycles) == 4


def test_uneven_frame_times_give_the_same_beats(make_phantom):
    """Alternating intervals of 10 and 40 ms: ED and ES are found at the same moments."""
    times = tuple(np.cumsum(np.tile([10.0, 40.0], 50)).tolist())
    phantom = make_phantom(heart_rate_bpm=60, times_ms=times)

    cycles = cycles_of(phantom)

    assert [times[cycle.end_diastole] for cycle in cycles] == pytest.approx([250, 1250], abs=40)
    assert [times[cycle.end_systole] for cycle in cycles] == pytest.approx([630, 1630], abs=40)
