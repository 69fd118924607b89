"""Each refusal at its threshold."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.errors import InstanceError
from echo_scp.measure.curve import TimedCurve
from echo_scp.measure.plausible import require_stability, require_ventricle
from echo_scp.measure.rhythm import Rhythm
from echo_scp.model import Reason, Region

REGION = Region(0, 0, 100, 100, None)
CONFIG = MeasureConfig()


def make_areas(missing=()):
    """Two cycles of one second, 40 frames each; NaN on the frames that miss an outline."""
    times = np.arange(80) * 25.0
    areas = 80 + 20 * np.cos(2 * np.pi * times / 1000)
    areas[list(missing)] = np.nan
    return TimedCurve.of(times, areas)


def reason_of(check, *values):
    with pytest.raises(InstanceError) as caught:
        check(*values)
    return caught.value.reason


def test_a_tenth_of_the_frames_may_be_empty():
    """8 of 80 pass, 9 do not."""
    counts = np.full(80, 900.0)
    counts[:8] = 0
    require_ventricle(counts, REGION, CONFIG)

    counts[8] = 0
    assert reason_of(require_ventricle, counts, REGION, CONFIG) is Reason.NO_VENTRICLE


def test_ventricle_fills_a_hundredth_of_the_region():
    """100 of 10 000 pixels pass, 99 do not."""
    require_ventricle(np.full(80, 100.0), REGION, CONFIG)

    assert reason_of(require_ventricle, np.full(80, 99.0), REGION, CONFIG) is Reason.NO_VENTRICLE


def test_a_tenth_of_the_frames_may_be_without_credible_outline():
    """8 scattered frames of 80 pass, 9 do not."""
    rhythm = Rhythm(1000.0, 60.0)
    require_stability(make_areas(range(4, 68, 8)), rhythm, CONFIG)

    assert reason_of(require_stability, make_areas(range(4, 76, 8)), rhythm, CONFIG) is Reason.UNSTABLE_SEGMENTATION


def test_no_gap_may_hide_an_extreme():
    """200 ms without outline pass in a cycle of a second, 300 ms do not, however few frames that is."""
    rhythm = Rhythm(1000.0, 60.0)
    require_stability(make_areas(range(20, 27)), rhythm, CONFIG)

    slow = TimedCurve.of(np.append(np.arange(40) * 25.0, 1275.0 + np.arange(40) * 25.0), make_areas().values)
    assert reason_of(require_stability, slow, rhythm, CONFIG) is Reason.NO_BEAT
