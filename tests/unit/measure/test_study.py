"""The headline of a study."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from echo_scp.measure import measure_study
from echo_scp.model import (
    Beat,
    ClipAnalysis,
    ClipMeasurement,
    Instance,
    NotAssessed,
    Reason,
    StudyMeasurement,
    Ventricle,
    View,
    ViewEstimate,
)


def make_ventricle(volume_ml):
    return Ventricle(0, np.zeros((0, 2)), (0.0, 0.0), ((0.0, 0.0), (1.0, 0.0)), None, None, volume_ml, None)


def make_analysis(uid="1.2.3", view=View.A4C, efs=(60.0,), edv_ml=100.0, reason=None):
    """A clip with one beat per EF; not assessed when a reason is given; uncalibrated when edv_ml is None."""
    header = Dataset()
    header.SOPInstanceUID = uid
    beats = tuple(
        Beat(make_ventricle(edv_ml), make_ventricle(edv_ml and edv_ml * (1 - ef / 100)), ef, ef) for ef in efs
    )
    measurement = ClipMeasurement(
        beats, float(np.mean(efs)), None, 0.0, edv_ml, None, 60.0, edv_ml is not None, np.zeros(1)
    )
    return ClipAnalysis(
        Instance(header, None),
        view=ViewEstimate(view, 0.9, ()),
        measurement=None if reason else measurement,
        not_assessed=NotAssessed(reason, "because") if reason else None,
    )


def test_headline_is_the_mean_over_all_beats():
    """Three beats of 60 % and one of 40 % are 55 %: a beat counts once, whichever clip it is in."""
    result = measure_study([make_analysis("1", efs=(60.0, 60.0, 60.0)), make_analysis("2", efs=(40.0,))])

    assert result.ef_percent == pytest.approx(55)
    assert result.edv_ml == pytest.approx(100)
    assert result.esv_ml == pytest.approx(45)
    assert (result.view, result.beat_count, result.sop_instance_uids) == (View.A4C, 4, ("1", "2"))


def test_a4c_is_preferred_and_views_are_not_mixed():
    """A measured A2C does not move the headline of a study with an A4C."""
    result = measure_study([make_analysis("1", View.A2C, (30.0,)), make_analysis("2", View.A4C, (60.0,))])

    assert (result.view, result.ef_percent, result.sop_instance_uids) == (View.A4C, 60.0, ("2",))


def test_a2c_stands_in_when_no_a4c_was_measured():
    """An A4C that was refused leaves the A2C."""
    refused = make_analysis("1", reason=Reason.UNSTABLE_SEGMENTATION)

    result = measure_study([refused, make_analysis("2", View.A2C, (50.0,))])

    assert (result.view, result.ef_percent) == (View.A2C, 50.0)


def test_volumes_rest_on_calibrated_beats():
    """An uncalibrated clip gives its EF; without any calibrated clip there is no volume."""
    uncalibrated, calibrated = make_analysis("1", edv_ml=None), make_analysis("2", edv_ml=120.0)

    assert measure_study([uncalibrated, calibrated]).edv_ml == pytest.approx(120)
    alone = measure_study([uncalibrated])
    assert (alone.edv_ml, alone.esv_ml, alone.ef_percent) == (None, None, 60.0)


def test_refusal_sums_up_the_reasons():
    """The most frequent reason comes first."""
    clips = [
        make_analysis(reason=Reason.COLOUR_DOPPLER),
        make_analysis(reason=Reason.VIEW_NOT_MEASURED),
        make_analysis(reason=Reason.VIEW_NOT_MEASURED),
    ]

    result = measure_study(clips)

    assert result == NotAssessed(
        Reason.NO_ELIGIBLE_CLIP, "no clip could be measured: 2 x view_not_measured, 1 x colour_doppler"
    )


def test_study_without_clips_is_not_assessed():
    """No clips at all is said in words."""
    assert measure_study([]) == NotAssessed(Reason.NO_ELIGIBLE_CLIP, "no clip could be measured: there are no clips")


@given(reasons=st.lists(st.sampled_from(Reason), min_size=1, max_size=6))
def test_not_assessed_is_absorbing(reasons):
    """Refused clips alone never make a number."""
    result = measure_study([make_analysis(reason=reason) for reason in reasons])

    assert isinstance(result, NotAssessed)


efs = st.floats(5, 85)


@given(beats=st.lists(efs, min_size=1, max_size=12), added=efs)
def test_added_beat_moves_the_mean_by_its_weight(beats, added):
    """One more beat moves the headline by its distance divided by the number of beats."""
    before, after = (measure_study([make_analysis(efs=tuple(values))]) for values in (beats, [*beats, added]))

    assert isinstance(after, StudyMeasurement)
    assert abs(after.ef_percent - before.ef_percent) <= abs(added - before.ef_percent) / (len(beats) + 1) + 1e-9
