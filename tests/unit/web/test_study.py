"""A results.json as the page of a study."""

from __future__ import annotations

import json

import pytest

from echo_scp.report.results import results_json
from echo_scp.web.study import clips_of, headline_of
from tests.unit.report.builders import make_clip_analysis, make_refused_analysis, make_study_analysis


def make_results(*clips):
    return json.loads(results_json(make_study_analysis(*clips)))


def test_a_used_clip_has_numbers_beats_and_a_curve():
    """Frame numbers are those of the file."""
    results = make_results(make_clip_analysis())

    (clip,) = clips_of(results)

    measured = results["instances"][0]["measurement"]
    assert (clip.use, clip.used, clip.view, clip.outlined) == ("used", True, "A4C", True)
    assert [beat.ed_frame_number for beat in clip.beats] == [
        beat["end_diastole"]["frame_number"] for beat in measured["beats"]
    ]
    assert clip.curve.frame_count == len(measured["volume_curve"])
    assert clip.rows[0].value == f"{measured['ef_percent']:.1f}"


def test_a_refused_clip_tells_why():
    """It has no numbers; a clip that was never seen is not played."""
    refused = clips_of(make_results(make_clip_analysis(), make_refused_analysis(2)))[1]

    assert (refused.use, refused.outlined, refused.playable) == ("not measured", False, False)
    assert refused.code
    assert refused.why
    assert refused.rows == refused.beats == ()


def test_a_measured_clip_that_the_headline_leaves_out_says_so():
    """Measured is not used."""
    results = make_results(make_clip_analysis())
    results["result"]["sop_instance_uids"] = ["1.2"]

    assert clips_of(results)[0].use == "measured, not used"


def test_the_headline_has_its_grades_or_its_reason():
    """A study without a clip that could be measured has no EF."""
    assessed, refused = (
        headline_of(make_results(make_clip_analysis())),
        headline_of(make_results(make_refused_analysis())),
    )

    assert float(assessed.ef) > 0
    assert assessed.rows
    assert assessed.grades
    assert (refused.ef, refused.rows) == ("", ())
    assert refused.reason == "no_eligible_clip"


@pytest.mark.parametrize("key", ["estimates", "view_evidence"])
def test_results_of_an_earlier_version_are_shown(key):
    """Without what that version did not know."""
    results = make_results(make_clip_analysis())
    del results["instances"][0][key]

    assert clips_of(results)[0].estimates == ()
