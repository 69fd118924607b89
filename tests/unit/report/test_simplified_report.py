"""The Simplified Adult Echo SR: each number once, by a code that says all, or by modifiers that do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard
from pydicom.uid import ComprehensiveSRStorage, SimplifiedAdultEchoSRStorage

from echo_scp.config import ReportConfig
from echo_scp.model import BodySize, StudyAnalysis, View, VolumeMethod
from echo_scp.report import PredecessorReference, build_simplified_sr
from tests.unit.report.builders import NOW, make_clip_analysis, make_header, make_refused_analysis, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors, dsrdump, encode

PRE, POST = "125301", "125302"
BIPLANE_EF, FOUR_CHAMBER_EF, TWO_CHAMBER_EF = "79991-6", "79993-2", "79992-4"
CORE = {code.value for code in standard.cid12300.concepts.values()}


def make_report(study: StudyAnalysis, predecessor: PredecessorReference | None = None) -> Dataset:
    report = build_simplified_sr(study, [], ReportConfig(), NOW, predecessor)
    assert report is not None
    return report


def make_biplane_study(**changes: object) -> StudyAnalysis:
    study = make_study_analysis(make_clip_analysis(1), make_clip_analysis(2, view=View.A2C))
    result = replace(
        study.result,
        method=VolumeMethod.DISKS_BIPLANE,
        body=BodySize(1.81, 80.0, 2.0, "DuBois"),
        la_volume_ml=50.0,
        la_method=VolumeMethod.AREA_LENGTH_BIPLANE,
        heart_rate_bpm=60.0,
        sop_instance_uids=tuple(clip.instance.sop_instance_uid for clip in study.clips),
    )
    return replace(study, result=replace(result, **changes))


def measurements(report: Dataset, section: str) -> dict[str, Dataset]:
    """Return the numbers of a section by code; a name stands once."""
    found = [
        item
        for container in report.ContentSequence
        if container.ConceptNameCodeSequence[0].CodeValue == section
        for item in container.ContentSequence
    ]
    named = {item.ConceptNameCodeSequence[0].CodeValue: item for item in found}
    assert len(named) == len(found)
    return named


def told(item: Dataset) -> dict[str, str]:
    """Return what stands below a number, by the code of its name."""
    return {
        below.ConceptNameCodeSequence[0].CodeValue: (
            below.TextValue if below.ValueType == "TEXT" else below.ConceptCodeSequence[0].CodeValue
        )
        for below in item.ContentSequence
    }


def value(item: Dataset) -> tuple[float, str]:
    (measured,) = item.MeasuredValueSequence
    return float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue


def items(tree: Dataset) -> Iterator[Dataset]:
    for item in tree.get("ContentSequence", ()):
        yield item
        yield from items(item)


STUDIES = [
    make_study_analysis,
    make_biplane_study,
    lambda: make_biplane_study(la_method=VolumeMethod.AREA_LENGTH_SINGLE_PLANE, la_view=View.A2C),
    lambda: make_study_analysis(make_clip_analysis(calibrated=False)),
]
IDS = ["one plane", "biplane", "atrium of one plane", "uncalibrated"]


@pytest.mark.parametrize("make_study", STUDIES, ids=IDS)
def test_dciodvfy_finds_no_error(make_study, tmp_path: Path) -> None:
    """It knows no Simplified Adult Echo SR; its modules and its tree are a part of Comprehensive SR's."""
    report = make_report(make_study())
    assert report.SOPClassUID == report.file_meta.MediaStorageSOPClassUID == SimplifiedAdultEchoSRStorage
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage

    assert dciodvfy_errors(report, tmp_path) == []


@pytest.mark.dcmtk
@pytest.mark.parametrize("make_study", STUDIES, ids=IDS)
def test_dcmtk_warns_of_nothing(make_study, tmp_path: Path) -> None:
    """DCMTK knows the class: its modules, template, value types and relationships (PS3.3 A.35.17)."""
    report = make_report(make_study())
    assert "Simplified Adult Echo SR Document" in dsrdump(report, tmp_path)

    (tmp_path / "object.dcm").write_bytes(encode(report))
    done = subprocess.run(["dsrdump", tmp_path / "object.dcm"], capture_output=True, check=True)
    warnings = [line for line in done.stderr.splitlines() if b"template constraints not yet supported" not in line]
    assert warnings == []


def test_a_biplane_result_stands_beside_its_planes() -> None:
    """By the codes of the core set alone: no method, no view, no site."""
    study = make_biplane_study()

    found = measurements(make_report(study), PRE)

    assert set(found) <= CORE
    assert {BIPLANE_EF, FOUR_CHAMBER_EF, TWO_CHAMBER_EF, "79996-5", "79997-3", "79994-0", "79974-2"} <= set(found)
    assert value(found[BIPLANE_EF]) == (round(study.result.ef_percent, 1), "%")
    assert value(found["79997-3"]) == (round(study.result.edv_ml / 2.0, 1), "mL/m2")
    assert told(found[BIPLANE_EF])["125309"] == "LV EF (MOD)"
    assert told(found["79999-9"])["125309"] == "LV EDV 4C (MOD)"
    for item in found.values():
        assert set(told(item)) <= {"121404", "125309"}


def test_a_mean_over_beats_says_so() -> None:
    """Selection Status, the one place for it; nothing of the kind for a single beat."""
    study = make_study_analysis()

    chosen = [
        told(measurements(make_report(replace(study, result=result)), PRE)[FOUR_CHAMBER_EF]).get("121404")
        for result in (study.result, replace(study.result, beat_count=1))
    ]

    assert chosen == ["121412", None]


def test_a_clip_that_the_result_does_not_rest_on_is_left_out() -> None:
    """A receiver that takes a number by its code must not get another's."""
    study = make_study_analysis(make_clip_analysis(1), make_clip_analysis(2, view=View.A2C))
    first = replace(study.result, sop_instance_uids=(study.clips[0].instance.sop_instance_uid,))

    found = measurements(make_report(replace(study, result=first)), PRE)

    assert FOUR_CHAMBER_EF in found
    assert TWO_CHAMBER_EF not in found


def test_of_several_clips_of_a_view_the_first_of_the_result_speaks() -> None:
    """The best pair comes first; a clip that only adds beats may lie before it in the study."""
    clips = [make_clip_analysis(number, view=view) for number, view in enumerate((View.A4C, View.A4C, View.A2C), 1)]
    clips[1] = replace(clips[1], measurement=replace(clips[1].measurement, ef_percent=33.3))
    adding, four, two = (clip.instance.sop_instance_uid for clip in clips)
    result = replace(make_biplane_study().result, sop_instance_uids=(four, two, adding))

    found = measurements(make_report(make_study_analysis(*clips, result=result)), PRE)

    assert value(found[FOUR_CHAMBER_EF]) == (33.3, "%")


def test_a_published_pipeline_by_area_length_has_no_code_of_the_core_set() -> None:
    """Its stroke volume says by modifiers what it is; the codes of the method of disks are the clips' own."""
    study = make_study_analysis()
    method = VolumeMethod.AREA_LENGTH_SINGLE_PLANE
    usal = replace(study.result, method=method, aggregation="usal", ef_percent=71.0, edv_ml=90.0, esv_ml=30.0)

    report = make_report(replace(study, result=usal))

    assert value(measurements(report, PRE)[FOUR_CHAMBER_EF])[0] == round(study.clips[0].measurement.ef_percent, 1)
    volume = measurements(report, POST)["LVSV4CAL"]
    assert value(volume) == (60.0, "mL")
    assert told(volume)["370129005"] == "125205"


def test_what_has_no_code_says_all_by_modifiers() -> None:
    """As the example of PS3.17 CCCC.5, whose stroke index is ours."""
    found = measurements(make_report(make_biplane_study()), POST)

    assert told(found["LVSIMOD"]) == {
        "125306": "125313",
        "363698007": "87878005",
        "125305": "44324008",
        "125307": "90096001",
        "370129005": "125207",
        "399264008": "399064001",
        "125308": "8277-6",
        "125309": "LV SI (MOD)",
    }
    assert set(found) == {"LVSVMOD", "LVSIMOD", "LVCOMOD", "LVCIMOD"}
    assert all(item.ConceptNameCodeSequence[0].CodingSchemeDesignator == "99ECHOSCP" for item in found.values())


def test_an_atrium_of_one_plane_says_which_plane() -> None:
    """Of two planes it has a code, of one by area-length it has none."""
    one = make_biplane_study(la_method=VolumeMethod.AREA_LENGTH_SINGLE_PLANE, la_view=View.A2C)

    assert "79981-7" in measurements(make_report(make_biplane_study()), PRE)
    volume = measurements(make_report(one), POST)["LAVol2CAL"]
    assert value(volume) == (50.0, "mL")
    assert told(volume)["111031"] == "399232001"
    assert told(volume)["272518008"] == "416430001"


def test_patient_characteristics_are_whole_or_absent() -> None:
    """TID 3602 wants age, sex, height and weight."""
    study = make_biplane_study()
    clips = tuple(
        replace(clip, instance=replace(clip.instance, header=make_header(number, PatientAge="074Y")))
        for number, clip in enumerate(study.clips, start=1)
    )
    whole = make_report(replace(study, clips=clips))

    (patient,) = [item for item in items(whole) if item.ConceptNameCodeSequence[0].CodeValue == "121118"]
    assert [item.ConceptNameCodeSequence[0].CodeValue for item in patient.ContentSequence] == [
        "121033",
        "121032",
        "8302-2",
        "29463-7",
        "8277-6",
    ]
    assert value(patient.ContentSequence[0]) == (74.0, "a")
    assert "121118" not in {item.ConceptNameCodeSequence[0].CodeValue for item in items(make_report(study))}


def test_a_regressed_ef_is_no_measurement_on_a_picture() -> None:
    """The outlines' volumes stand; the clip's own EF is theirs."""
    study = make_study_analysis()
    regressed = replace(study.result, method=VolumeMethod.REGRESSION, ef_percent=12.3)

    found = measurements(make_report(replace(study, result=regressed)), PRE)

    assert value(found[FOUR_CHAMBER_EF])[0] == round(study.clips[0].measurement.ef_percent, 1)
    assert value(found["79999-9"]) == (round(study.result.edv_ml, 1), "mL")


def test_nothing_measured_is_no_report() -> None:
    """What was not assessed and why is said in the SR."""
    assert build_simplified_sr(make_study_analysis(make_refused_analysis()), [], ReportConfig(), NOW) is None


def test_it_names_the_earlier_one_of_its_kind() -> None:
    """As every report does."""
    earlier = PredecessorReference("1.2.3", "1.2.3.4", "1.2.3.4.5", SimplifiedAdultEchoSRStorage, "SR_SIMPLIFIED")

    (study,) = make_report(make_study_analysis(revision=2), earlier).PredecessorDocumentsSequence

    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPClassUID == SimplifiedAdultEchoSRStorage
