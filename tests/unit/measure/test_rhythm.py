"""Heart rate by what the machine says, else by the curve; systoles at any rate."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.rhythm import find_rhythm, find_systoles, rr_variation_percent
from echo_scp.model import Clip, Region

AGREEMENT_PERCENT = 20


def areas_of(phantom):
    return TimedCurve.of(phantom.frame_times_ms, phantom.volumes_ml ** (2 / 3))


def rhythm_of(phantom):
    return find_rhythm(phantom.clip(), areas_of(phantom), AGREEMENT_PERCENT)


def test_heart_rate_of_the_machine_is_believed(make_phantom):
    """A told rate sets the cycle and is not called estimated."""
    rhythm = rhythm_of(make_phantom(heart_rate_bpm=75))

    assert rhythm.cycle_ms == pytest.approx(800)
    assert not rhythm.estimated


def test_r_waves_set_the_cycle_and_the_told_rate_is_reported(make_phantom):
    """The heart beats at 60 in this clip, whatever the average the machine shows."""
    rhythm = rhythm_of(make_phantom(heart_rate_bpm=60, told_heart_rate_bpm=66.0, r_waves=True))

    assert rhythm.cycle_ms == pytest.approx(1000)
    assert rhythm.heart_rate_bpm == 66.0


def test_r_waves_overrule_a_told_rate_that_they_contradict(make_phantom):
    """A rate of 120 beside R waves a second apart is not of this clip; the R waves still tell where beats begin."""
    rhythm = rhythm_of(make_phantom(heart_rate_bpm=60, told_heart_rate_bpm=120.0, r_waves=True))

    assert rhythm.heart_rate_bpm == pytest.approx(60)
    assert rhythm.overruled_bpm == 120.0
    assert rhythm.r_waves_hold


def test_r_waves_alone_give_the_heart_rate(make_phantom):
    """Two R waves are enough; this is no estimate."""
    rhythm = rhythm_of(make_phantom(heart_rate_bpm=60, told_heart_rate_bpm=None, r_waves=True))

    assert rhythm.heart_rate_bpm == pytest.approx(60)
    assert not rhythm.estimated


@pytest.mark.parametrize("heart_rate_bpm", [40, 70, 120, 160, 200])
def test_missing_heart_rate_is_estimated_from_the_curve(make_phantom, heart_rate_bpm):
    """The period of the curve gives the rate within 3 %, beyond 150 per minute too."""
    rhythm = rhythm_of(make_phantom(heart_rate_bpm=heart_rate_bpm, told_heart_rate_bpm=None, frame_rate_hz=50))

    assert rhythm.heart_rate_bpm == pytest.approx(heart_rate_bpm, rel=0.03)
    assert rhythm.estimated


@pytest.mark.parametrize("told", [0.0, -5.0, 999.0])
def test_impossible_heart_rate_is_as_good_as_none(make_phantom, told):
    """0 means absent; nonsense is not used either."""
    rhythm = rhythm_of(make_phantom(told_heart_rate_bpm=told))

    assert rhythm.estimated
    assert rhythm.heart_rate_bpm == pytest.approx(70, rel=0.03)


def test_no_rate_is_assumed_when_none_shows(make_phantom):
    """Less than a cycle and no told rate: there is no rhythm, not a default one."""
    assert rhythm_of(make_phantom(beats=0.7, first_phase=0.0, told_heart_rate_bpm=None)) is None


def test_frames_far_apart_have_no_period(make_phantom):
    """Hours between frames, from a wrong tag, are neither a rhythm nor gigabytes of samples."""
    hours = tuple(index * 3.6e7 for index in range(50))

    assert rhythm_of(make_phantom(times_ms=hours, told_heart_rate_bpm=None)) is None


@pytest.mark.parametrize("told", [30.0, 140.0, 95.0])
def test_clearly_beating_curve_overrules_a_wrong_heart_rate(make_phantom, told):
    """The machine counted T waves, or its number is of another moment: the clip shows 70 per minute."""
    rhythm = rhythm_of(make_phantom(told_heart_rate_bpm=told))

    assert rhythm.heart_rate_bpm == pytest.approx(70, rel=0.03)
    assert rhythm.overruled_bpm == pytest.approx(told)


def test_single_clean_cycle_overrules_a_heart_rate_of_twice_its_length(make_phantom):
    """One cycle of 0.86 s is seen whole; the machine's 2 s would make the clip shorter than a beat."""
    rhythm = rhythm_of(make_phantom(beats=1.2, told_heart_rate_bpm=30.0))

    assert rhythm.heart_rate_bpm == pytest.approx(70, rel=0.1)


@pytest.mark.parametrize("told", [62.0, 80.0])
def test_heart_rate_that_is_nearly_right_is_believed(make_phantom, told):
    """Machines average over earlier beats."""
    rhythm = rhythm_of(make_phantom(told_heart_rate_bpm=told))

    assert (rhythm.heart_rate_bpm, rhythm.overruled_bpm) == (told, None)


def test_noise_does_not_overrule_the_machine():
    """A still heart whose outline flickers shows many minima and repeats none of them."""
    rng = np.random.default_rng(3)
    areas = TimedCurve.of(np.arange(100) * 30.0, 80 + 3 * rng.standard_normal(100))
    clip = Clip(None, np.zeros((100, 1, 1), dtype=np.uint8), areas.times_ms, Region(0, 0, 1, 1, None), 60.0)

    assert find_rhythm(clip, areas, AGREEMENT_PERCENT).heart_rate_bpm == 60.0


@pytest.mark.parametrize("heart_rate_bpm", [40, 90, 150, 180, 220])
def test_every_systole_is_found_once(make_phantom, heart_rate_bpm):
    """Five beats show five systoles, 0.38 of a cycle after each R wave."""
    phantom = make_phantom(heart_rate_bpm=heart_rate_bpm, beats=5, frame_rate_hz=60)

    systoles = find_systoles(areas_of(phantom), rhythm_of(phantom))

    expected = (np.arange(5) + 0.25 + 0.38) * phantom.cycle_ms
    assert systoles == pytest.approx(expected, abs=0.05 * phantom.cycle_ms)


def test_clip_that_ends_in_mid_systole_shows_no_systole_there(make_phantom):
    """The last frame is the smallest seen, but it is no minimum."""
    phantom = make_phantom(beats=1.45, first_phase=-0.25)

    assert len(find_systoles(areas_of(phantom), rhythm_of(phantom))) == 1


def test_systole_counts_though_the_clip_ends_soon_after(make_phantom):
    """A third of the refilling is enough to see where the LV was smallest."""
    phantom = make_phantom(beats=0.95, first_phase=-0.3)

    assert len(find_systoles(areas_of(phantom), rhythm_of(phantom))) == 1


def test_regular_beats_do_not_vary(make_phantom):
    """Equal systoles give a variation of about nothing."""
    phantom = make_phantom(beats=6)

    variation = rr_variation_percent((), find_systoles(areas_of(phantom), rhythm_of(phantom)))
    assert variation < 3


def test_variation_needs_three_intervals():
    """Two intervals say nothing about the rhythm."""
    assert rr_variation_percent((), np.array([0.0, 500.0, 1500.0])) is None


def test_irregular_systoles_vary():
    """SD / mean of 600, 1000 and 800 ms is 25 %."""
    assert rr_variation_percent((), np.array([0.0, 600.0, 1600.0, 2400.0])) == pytest.approx(25)
