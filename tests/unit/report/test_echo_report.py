"""The report for echo systems: findings by chamber, with method, view and unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import ComprehensiveSRStorage

from echo_scp.config import ReportConfig
from echo_scp.model import BodySize, Flag, Note, StudyAnalysis, View, VolumeMethod
from echo_scp.report import PredecessorReference, build_echo_sr, build_sr
from tests.unit.report.builders import NOW, make_clip_analysis, make_refused_analysis, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors, dsrdump

EF, EDV = "18043-0", "18026-5"


def make_report(study: StudyAnalysis | None = None) -> Dataset:
    return build_echo_sr(study or make_study_analysis(), [], ReportConfig(), NOW)


def make_biplane_study() -> StudyAnalysis:
    study = make_study_analysis(make_clip_analysis(1), make_clip_analysis(2, view=View.A2C))
    body = BodySize(1.81, 80.0, 2.0, "DuBois")
    result = replace(study.result, method=VolumeMethod.DISKS_BIPLANE, body=body, la_volume_ml=50.0)
    return replace(study, result=replace(result, la_method=VolumeMethod.AREA_LENGTH_BIPLANE, heart_rate_bpm=60.0))


CODES = ("90096001", "277381004", "82799009", "54993008")  # stroke volume and index, cardiac output and index (SCT)


def values_of(item: Dataset, code: str) -> set[str]:
    """Return the values of every number of this name in a report."""
    below = set().union(*(values_of(child, code) for child in item.get("ContentSequence", ())))
    names = item.get("ConceptNameCodeSequence")
    if names and names[0].CodeValue == code and item.ValueType == "NUM":
        below.add(str(item.MeasuredValueSequence[0].NumericValue))
    return below


def sections(report: Dataset, code: str) -> Iterator[Dataset]:
    """Yield the containers of a name, wherever they are."""
    for item in report.get("ContentSequence", ()):
        if item.ValueType == "CONTAINER" and item.ConceptNameCodeSequence[0].CodeValue == code:
            yield item
        yield from sections(item, code)


def modifiers(item: Dataset) -> dict[str, str]:
    return {
        child.ConceptNameCodeSequence[0].CodeValue: child.ConceptCodeSequence[0].CodeValue
        for child in item.get("ContentSequence", ())
        if child.ValueType == "CODE"
    }


def numbers(group: Dataset) -> dict[str, tuple[float, str, dict[str, str]]]:
    """Return value, unit and modifiers by the code of the name."""
    found = {}
    for item in group.ContentSequence:
        if item.ValueType == "NUM":
            (measured,) = item.MeasuredValueSequence
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            value = float(measured.NumericValue)
            found[item.ConceptNameCodeSequence[0].CodeValue] = (value, unit, modifiers(item))
    return found


@pytest.mark.parametrize(
    "make_study",
    [
        make_study_analysis,
        make_biplane_study,
        lambda: make_study_analysis(make_clip_analysis(calibrated=False)),
        lambda: make_study_analysis(make_refused_analysis()),
    ],
    ids=["one plane", "biplane", "uncalibrated", "nothing assessed"],
)
def test_dciodvfy_finds_no_error(make_study, tmp_path: Path) -> None:
    """Comprehensive SR, whatever is in it."""
    report = make_report(make_study())

    assert report.SOPClassUID == ComprehensiveSRStorage
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "5200"
    assert dciodvfy_errors(report, tmp_path) == []


def test_the_study_s_numbers_are_the_first_group_of_the_left_ventricle() -> None:
    """EF and volumes under the names that importers know, with method and view."""
    study = make_study_analysis()

    section = next(sections(make_report(study), "59776-5"))
    first = numbers(next(sections(section, "125007")))

    assert modifiers(section) == {"363698007": "87878005"}
    value, unit, told = first[EF]
    assert (value, unit) == (round(study.result.ef_percent, 1), "%")
    assert told == {"370129005": "125208", "111031": "399214001", "121401": "373098007"}
    assert first[EDV][:2] == (117.8, "mL")


def test_a_biplane_result_has_a_method_and_no_view() -> None:
    """It is of two views; the patient's size and the atrium have sections of their own."""
    report = make_report(make_biplane_study())

    ventricle, atrium = sections(report, "59776-5")
    groups = [numbers(group) for group in sections(ventricle, "125007")]
    assert groups[0][EF][2]["370129005"] == "125207"
    assert "111031" not in groups[0][EF][2]
    assert [group[EF][2]["111031"] for group in groups[1:]] == ["399214001", "399232001"]
    assert modifiers(atrium) == {"363698007": "82471001"}
    (size,) = sections(report, "121118")
    assert {name: value for name, (value, _, _) in numbers(size).items()} == {
        "8302-2": 181.0,
        "29463-7": 80.0,
        "8277-6": 2.0,
    }


def test_a_regressed_ef_is_an_estimate_and_no_mean() -> None:
    """As the measurement report says; usal_echo's percentiles are neither."""
    study = make_study_analysis()
    told = {"regression": {"method": VolumeMethod.REGRESSION, "beat_count": 3}, "usal": {"aggregation": "usal"}}

    derived = {}
    for name, changes in told.items():
        report = make_report(replace(study, result=replace(study.result, **changes)))
        first = numbers(next(sections(next(sections(report, "59776-5")), "125007")))
        derived[name] = tuple(first[quantity][2].get("121401") for quantity in (EF, EDV))

    assert derived == {"regression": ("414135002", "373098007"), "usal": ("258090004", "258090004")}


@pytest.mark.parametrize(("seen_by", "told"), [(View.A2C, "399232001"), (None, None)])
def test_an_atrium_of_one_plane_names_that_plane(seen_by, told) -> None:
    """Beside a biplane result of the LV too, whose own view is the A4C."""
    study = make_biplane_study()
    method = VolumeMethod.AREA_LENGTH_SINGLE_PLANE
    report = make_report(replace(study, result=replace(study.result, la_method=method, la_view=seen_by)))

    _, atrium = sections(report, "59776-5")
    ((_, _, modified),) = numbers(next(sections(atrium, "125007"))).values()
    assert modified.get("111031") == told


@pytest.mark.parametrize(("notes", "told"), [((), None), ((Note(Flag.HEART_RATE_ESTIMATED, ""),), "414135002")])
def test_a_heart_rate_read_off_the_outlines_is_an_estimate(notes, told) -> None:
    """The machine's stands as it is."""
    analysis = make_clip_analysis()
    analysis = replace(analysis, measurement=replace(analysis.measurement, notes=notes))

    clip = list(sections(make_report(make_study_analysis(analysis)), "125007"))[1]

    assert numbers(clip)["8867-4"][2].get("121401") == told


def test_a_number_is_the_same_in_every_report() -> None:
    """To the last digit, wherever a reader looks."""
    study = make_biplane_study()
    study = replace(study, result=replace(study.result, edv_ml=120.04, esv_ml=54.0, heart_rate_bpm=70.26))
    reports = build_sr(study, [], ReportConfig(), NOW), make_report(study)

    first, again = ({name: values_of(report, name) for name in CODES} for report in reports)

    assert all(first.values())
    assert first == again


def test_every_group_is_of_two_dimensional_pictures() -> None:
    """Importers sort by Image Mode (PS3.16 TID 5202)."""
    groups = list(sections(make_report(make_biplane_study()), "125007"))

    assert len(groups) == 4
    assert {modifiers(group)["399264008"] for group in groups} == {"399064001"}


def test_it_names_the_earlier_one_of_its_kind() -> None:
    """The reports of a study supersede each other kind by kind."""
    earlier = PredecessorReference("1.2.3", "1.2.3.4", "1.2.3.4.5", ComprehensiveSRStorage, "SR_ECHO")

    report = build_echo_sr(make_study_analysis(revision=2), [], ReportConfig(), NOW, earlier)

    (study,) = report.PredecessorDocumentsSequence
    assert study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.5"


def test_it_is_another_document_than_the_measurement_report() -> None:
    """Own UID, series and number."""
    study = make_study_analysis()
    echo, measured = make_report(study), build_sr(study, [], ReportConfig(), NOW)

    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
        assert echo[keyword].value != measured[keyword].value


@pytest.mark.dcmtk
def test_dcmtk_reads_the_tree(tmp_path: Path) -> None:
    """A second implementation checks value types and relationships while it prints them."""
    tree = dsrdump(make_report(make_biplane_study()), tmp_path)

    assert "Adult Echocardiography Procedure Report" in tree
    assert "Research use only" in tree
