"""The interval of an EF: each term alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.config import MeasureConfig
from echo_scp.measure.interval import around, beat_variance, outline_variance, single_plane_interval

CONFIG = MeasureConfig(beat_sd_percent=3, plane_sd_percent=4, outline_sd_percent=5)


def test_interval_is_the_root_of_the_summed_squares():
    """One beat: 3, 4 and 5 points make 7.07, times 1.96."""
    interval = single_plane_interval([50.0], None, CONFIG)

    assert (interval.low, interval.high) == pytest.approx((50 - 13.859, 50 + 13.859), abs=0.001)


def test_one_beat_has_the_usual_spread():
    """Nothing is known of this heart's own."""
    assert beat_variance([60.0], CONFIG) == pytest.approx(9.0)


def test_beats_that_differ_widen_and_many_beats_narrow():
    """The variance of the mean falls with the number of beats and grows with their spread."""
    assert beat_variance([60.0] * 4, CONFIG) < beat_variance([60.0] * 2, CONFIG) < beat_variance([60.0], CONFIG)
    assert beat_variance([50.0, 70.0], CONFIG) > beat_variance([59.0, 61.0], CONFIG)


def test_two_beats_do_not_make_the_interval_explode():
    """Five points apart, they say little about the spread: it stays near the usual one."""
    assert beat_variance([55.0, 60.0], CONFIG) ** 0.5 == pytest.approx(3 / 2**0.5, rel=0.2)


def test_test_time_variation_widens_and_never_narrows():
    """A network that is sure of itself is not more right for it."""
    assert outline_variance(None, CONFIG) == outline_variance(1.0, CONFIG) == 25
    assert outline_variance(8.0, CONFIG) == 64


@given(ef=st.floats(0, 100), variance=st.floats(0, 400))
def test_interval_holds_its_ef_and_stays_a_percentage(ef, variance):
    """Between 0 and 100, around the EF."""
    interval = around(ef, variance)

    assert 0 <= interval.low <= ef <= interval.high <= 100


def test_interval_of_an_ef_below_zero_holds_it():
    """Nonsense is flagged elsewhere; the interval stays one."""
    interval = around(-3.0, 4.0)

    assert interval.low <= -3.0 <= interval.high
