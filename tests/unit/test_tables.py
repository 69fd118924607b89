"""What the terminal shows of a study."""

from __future__ import annotations

import json
import re

import pytest

from echo_scp.model import Interval
from echo_scp.report.narrative import headline, result_sentences
from echo_scp.report.results import results_json
from echo_scp.tables import clip_table, remark_lines, study_lines
from echo_scp.web.measurements import study_rows
from tests.unit.report.builders import (
    make_biplane_study,
    make_clip_analysis,
    make_refused_analysis,
    make_study_analysis,
)


def lines_of(study):
    return list(study_lines(json.loads(results_json(study))))


def test_headline_tells_method_interval_and_what_follows():
    """EF first, then flow, LA and indices, then why these clips, then the doubts."""
    headline, derived, choice, flag, *grades = lines_of(make_biplane_study())

    assert headline == (
        "[bold]EF 55.0 %[/] (95 % interval 41 to 69) (A4C and A2C, disks biplane, 4 beats); EDV 120.0 mL, ESV 54.0 mL"
    )
    assert derived.strip() == (
        "SV 66.0 mL, CO 5.0 L/min, LA 60.0 mL, EDV index 60.0 mL/m2, ESV index 27.0 mL/m2, LA index 30.0 mL/m2, "
        "EF by area-length 54.0 %, EF by regression 42.0 %"
    )
    assert choice.strip().startswith("Biplane from")
    assert "ef_disagrees" in flag
    assert len(grades) == 2


def test_uncalibrated_study_shows_no_millilitre():
    """An EF and nothing else."""
    text = "\n".join(lines_of(make_study_analysis(make_clip_analysis(calibrated=False))))

    assert "not calibrated" in text
    assert "mL" not in text


def test_refused_study_shows_its_reason():
    """One line."""
    (line,) = lines_of(make_study_analysis(make_refused_analysis()))

    assert "EF not assessed" in line


def test_clips_are_named_with_their_series_and_told_as_everywhere():
    """Some machines begin every clip's series with instance 1; the sentence below the table names both."""
    measured, refused = make_clip_analysis(), make_refused_analysis()
    for series, clip in enumerate((measured, refused), start=4):
        clip.instance.header.SeriesNumber, clip.instance.header.InstanceNumber = series, 1
    results = json.loads(results_json(make_study_analysis(measured, refused)))

    numbers, _, _, _, volumes, _ = (list(column.cells) for column in clip_table(results, "").columns)

    assert numbers == ["4/1", "5/1"]
    assert volumes[0] == "117.8/51.7, 56.1"
    assert "5/1: " in list(remark_lines(results))[-1]


@pytest.mark.parametrize("heart_rate_bpm", [65.46, 67.5, 67.39])
def test_reports_page_and_terminal_round_alike(heart_rate_bpm):
    """Also what is rounded in results.json before: 4.4484 L/min is told as 4.5 from there, 41.46 % as 42."""
    study = make_biplane_study(ef_interval=Interval(41.46, 68.46), heart_rate_bpm=heart_rate_bpm)
    results = json.loads(results_json(study))
    sentences = " ".join((headline(study), *result_sentences(study)))
    told = {row.name: row.value for row in study_rows(results["result"])}

    output, rate = re.search(r"cardiac output (\S+) L/min at (\d+)/min", sentences).groups()
    interval = re.search(r"interval (\d+ to \d+)", sentences)[1]

    assert (output, rate) == (told["Cardiac output"], told["Heart rate"])
    assert f"interval {interval})" in lines_of(study)[0]
