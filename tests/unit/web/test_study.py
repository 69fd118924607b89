"""A results.json as the page of a study."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from echo_scp.report.results import results_json
from echo_scp.web.identity import Identities
from echo_scp.web.study import clips_of, headline_of, read_study
from tests.unit.report.builders import (
    STUDY_UID,
    make_biplane_study,
    make_clip_analysis,
    make_header,
    make_refused_analysis,
    make_study_analysis,
)


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


@pytest.mark.parametrize(("ef_percent", "told"), [(49.6, "49.6"), (49.96, "50.0")])
def test_the_headline_is_told_as_it_was_graded(ef_percent, told):
    """An EF of 49.6 % is below 50 %: the page does not call it 50 %."""
    results = json.loads(results_json(make_biplane_study(ef_percent=ef_percent)))

    assert headline_of(results).ef == told


def test_a_biplane_result_is_of_both_views():
    """As the report says."""
    assert headline_of(json.loads(results_json(make_biplane_study()))).summary == (
        "A4C and A2C, method of disks, biplane, 4 beats in 2 clips"
    )


def test_clips_of_several_series_are_told_apart():
    """Some machines begin every clip's series with instance 1."""
    headers = [make_header(1, SeriesNumber=number) for number in (2, 3, None)]
    clips = clips_of(make_results(*(make_clip_analysis(header=header) for header in headers)))

    assert [clip.label for clip in clips] == ["series 2, instance 1", "series 3, instance 1", "instance 1"]


class Tables:
    """A reported study of whose result no object was made but `kinds`, with its deliveries."""

    def __init__(self, *kinds, deliveries=()):
        self.kinds = kinds
        self.deliveries = deliveries

    def row(self, query, **values):
        return "reported", NOON, NOON, "CART"

    def rows(self, query, **values):
        objects = [(f"1.2.{kind}", kind, f"absent/{kind}.dcm") for kind in self.kinds]
        runs = [(1, 1, "1.0", NOON, NOON)]
        return {"page_runs": runs, "page_objects": objects, "page_deliveries": self.deliveries}.get(query, [])


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("kinds", [(), ("SEG",), ("SEG", "SR_ECHO"), ("SR",)])
def test_a_result_is_shown_whatever_objects_are_made_of_it(kinds, tmp_path):
    """Sites choose them by report.objects."""
    (tmp_path / "results.json").write_text(results_json(make_study_analysis()))

    study = read_study(Tables(*kinds), STUDY_UID, None, None, lambda uid, revision: tmp_path)

    assert study.headline.ef == "56.1"
    assert [clip.outlined for clip in study.clips] == ["SEG" in kinds]


@pytest.mark.parametrize(
    ("identities", "answer"),
    [
        (Identities(), "status 0xA700: Failure, Refused (no room for DOE^JANE)"),
        (None, "status 0xA700: Failure, Refused"),
    ],
)
def test_what_a_destination_says_is_for_those_who_may_see_patients(tmp_path, identities, answer):
    """An Error Comment may name one; why nothing goes out is everybody's to see."""
    refused = (
        "1.2.3",
        "SR",
        "pacs",
        "waiting",
        1,
        NOON,
        0xA700,
        "status 0xA700: Failure, Refused (no room for DOE^JANE)",
    )
    away = ("1.2.4", "SEG", "pacs", "waiting", 1, NOON, None, "no association (the network)")

    study = read_study(Tables(deliveries=[refused, away]), STUDY_UID, None, identities, lambda uid, revision: tmp_path)

    assert [delivery.detail for delivery in study.deliveries] == [answer, "no association (the network)"]


@pytest.mark.parametrize("key", ["estimates", "view_evidence"])
def test_results_of_an_earlier_version_are_shown(key):
    """Without what that version did not know."""
    results = make_results(make_clip_analysis())
    del results["instances"][0][key]

    assert clips_of(results)[0].estimates == ()
