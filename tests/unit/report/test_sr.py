"""The report of a study: numbers with their contours, and the reasons where there are none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from echo_scp.assess import assess
from echo_scp.config import ReportConfig
from echo_scp.model import Flag, NotAssessed, Note, Reason, Sex, StudyAnalysis, View, VolumeMethod
from echo_scp.report import PredecessorReference, build_echo_sr, build_seg, build_sr, study_objects
from tests.unit.report.builders import (
    NOW,
    make_biplane_study,
    make_clip_analysis,
    make_header,
    make_refused_analysis,
    make_study_analysis,
)
from tests.unit.report.validators import dciodvfy_errors, dsrdump, encode, read_back

PREDECESSOR = PredecessorReference("1.2.3", "1.2.3.4", "1.2.3.4.5", Comprehensive3DSRStorage)
RETIRED_ULTRASOUND_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3"
EF_A4C, EDV_A4C, ESV_A4C = (Code(value, "LN", "") for value in ("79993-2", "79999-9", "80004-5"))
EF_A2C = Code("79992-4", "LN", "")
EF, EDV = Code("18043-0", "LN", ""), Code("18026-5", "LN", "")
HEART_RATE = Code("8867-4", "LN", "")

VARIANTS = {
    "calibrated": make_study_analysis,
    "uncalibrated": lambda: make_study_analysis(make_clip_analysis(calibrated=False)),
    "several clips": lambda: make_study_analysis(
        make_clip_analysis(1), make_clip_analysis(2, view=View.A2C), make_refused_analysis()
    ),
    "biplane": make_biplane_study,
    "one plane, indexed": lambda: make_biplane_study(
        method=VolumeMethod.DISKS_SINGLE_PLANE, la_method=VolumeMethod.AREA_LENGTH_SINGLE_PLANE
    ),
    "by regression": lambda: make_biplane_study(method=VolumeMethod.REGRESSION, ef_interval=None),
    "nothing assessed": lambda: make_study_analysis(make_refused_analysis()),
    "japanese": lambda: make_study_analysis(
        make_clip_analysis(
            header=make_header(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")
        )
    ),
    "sparse": lambda: make_study_analysis(
        make_clip_analysis(
            header=make_header(PatientID=None, PatientName=None, StudyDate=None, StudyTime=None, PatientSex=None)
        )
    ),
    "other words": lambda: make_study_analysis(make_refused_analysis(detail="Größe unbekannt")),
}


def make_sr(study: StudyAnalysis | None = None, **changes: object) -> Dataset:
    """Return the report with a Segmentation of each measured clip in the evidence."""
    study = study or make_study_analysis()
    config = ReportConfig(research_use=bool(changes.pop("research_use", True)))
    segs = [build_seg(analysis, study, config, NOW) for analysis in study.clips if analysis.segmentation is not None]
    return build_sr(study, segs, config, NOW, **changes)


def groups_of(ds: Dataset) -> list[highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    """Return the measurement groups as another program finds them."""
    report = highdicom.sr.srread(BytesIO(encode(ds)))
    return list(report.content.get_planar_roi_measurement_groups())


def group_named(ds: Dataset, label: str) -> highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    return next(group for group in groups_of(ds) if group.tracking_identifier == label)


def number(group: highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations, name: Code) -> tuple[float, str] | None:
    """Return value and UCUM unit of a measurement; None when the group has not got it."""
    found = group.get_measurements(name)
    return (float(found[0].value), found[0].unit.value) if found else None


def texts_of(ds: Dataset) -> list[str]:
    return [str(element.value) for element in ds.iterall() if element.keyword == "TextValue"]


@pytest.mark.parametrize("make_study", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("sop_class_uid", [Comprehensive3DSRStorage, ComprehensiveSRStorage], ids=["3D", "plain"])
def test_dciodvfy_finds_no_error(make_study, sop_class_uid: str, tmp_path: Path) -> None:
    """The report conforms to its IOD whatever is in it."""
    report = make_sr(make_study(), sop_class_uid=sop_class_uid, predecessor=PREDECESSOR)

    assert dciodvfy_errors(report, tmp_path) == []


@pytest.mark.dcmtk
@pytest.mark.parametrize("make_study", VARIANTS.values(), ids=VARIANTS.keys())
def test_dcmtk_reads_the_tree(make_study, tmp_path: Path) -> None:
    """A second implementation checks value types and relationships while it prints them."""
    tree = dsrdump(make_sr(make_study(), predecessor=PREDECESSOR), tmp_path)

    assert "Completion Flag     : COMPLETE" in tree
    assert "Verification Flag   : UNVERIFIED" in tree
    assert "LV ejection fraction" in tree


@pytest.mark.dcmtk
def test_dcmtk_prints_a_japanese_name(tmp_path: Path) -> None:
    """What was written as UTF-8 is UTF-8 to others."""
    header = make_header(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada^Tarou=山田^太郎")

    assert "山田^太郎" in dsrdump(make_sr(make_study_analysis(make_clip_analysis(header=header))), tmp_path)


def test_every_measurement_group_has_a_contour() -> None:
    """A group without coordinates stops OHIF."""
    groups = groups_of(make_sr(VARIANTS["several clips"]()))

    assert len(groups) == 1 + 2 * 2 * 3
    assert all(group.roi is not None for group in groups)


def test_the_study_s_numbers_come_first_with_method_and_derivation() -> None:
    """The headline is read without adding anything up."""
    study = make_study_analysis()

    first = groups_of(make_sr(study))[0]

    assert first.tracking_identifier == "LV ejection fraction"
    assert first.roi.graphic_type.value == "POINT"  # on a contour it would cover what is written of that
    assert number(first, EF_A4C) == (round(study.result.ef_percent, 1), "%")
    assert number(first, EDV_A4C) == (117.8, "mL")
    assert number(first, ESV_A4C) == (round(study.result.esv_ml, 1), "mL")
    measured = first.get_measurements(EF_A4C)[0]
    assert (measured.method.value, measured.derivation.value) == ("125208", "373098007")


def test_a_biplane_study_has_every_number_under_its_own_code() -> None:
    """LOINC's biplane names, the indices', flow and the LA's; methods and units of the standard."""
    first = groups_of(make_sr(make_biplane_study()))[0]

    expected = {
        "79991-6": (55.0, "%"),
        "79996-5": (120.0, "mL"),
        "79997-3": (60.0, "mL/m2"),
        "80001-1": (54.0, "mL"),
        "80002-9": (27.0, "mL/m2"),
        "79981-7": (60.0, "mL"),
        "79982-5": (30.0, "mL/m2"),
        "8867-4": (75.0, "/min"),
        "8277-6": (2.0, "m2"),
    }
    assert {value: number(first, Code(value, "LN", "")) for value in expected} == expected
    flow = {"90096001": (66.0, "mL"), "277381004": (33.0, "mL/m2"), "82799009": (4.95, "L/min")}
    assert {value: number(first, Code(value, "SCT", "")) for value in flow} == flow
    assert number(first, Code("54993008", "SCT", "")) == (2.48, "L/min/m2")
    methods = {item.name.value: item.method.value for item in first.get_measurements() if item.method is not None}
    assert (methods["79991-6"], methods["79981-7"], methods["8277-6"]) == ("125207", "125204", "122241")


def test_area_length_and_regression_stand_beside_under_the_generic_names() -> None:
    """Two EFs under one name are told apart by their methods."""
    first = groups_of(make_sr(make_biplane_study()))[0]

    found = {item.method.value: float(item.value) for item in first.get_measurements(EF)}
    assert found == {"125204": 54.0, "regression": 42.0}


def test_an_ef_carries_how_far_its_interval_reaches() -> None:
    """TID 310: upper and lower uncertainty, in points of the EF's own unit: 13.8 without a unit would be nothing."""
    report = make_sr(make_biplane_study())

    reaches = {
        item.ConceptNameCodeSequence[0].CodeValue: (
            float(item.MeasuredValueSequence[0].NumericValue),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for item in items_of(report)
        if item.get("ValueType") == "NUM" and item.ConceptNameCodeSequence[0].CodeValue.startswith("37188")
    }
    assert reaches == {"371886008": (13.8, "%"), "371885007": (13.8, "%")}


def items_of(ds: Dataset) -> list[Dataset]:
    """Return every content item of the tree."""
    found = list(ds.get("ContentSequence", ()))
    return [*found, *(below for item in found for below in items_of(item))]


def test_an_index_without_a_code_of_its_own_is_modified() -> None:
    """A single-plane EDV per body surface is the EDV with the modifier Index = BSA."""
    report = make_sr(VARIANTS["one plane, indexed"]())

    indexed = [
        item
        for item in items_of(report)
        if item.get("ValueType") == "NUM" and any(child.RelationshipType == "HAS CONCEPT MOD" and
        child.ConceptNameCodeSequence[0].CodeValue == "121425" for child in item.get("ContentSequence", ()))
    ]  # fmt: skip
    assert [item.ConceptNameCodeSequence[0].CodeValue for item in indexed] == ["79999-9", "80004-5", "399235004"]
    assert {item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue for item in indexed} == {"mL/m2"}


def test_an_atrium_has_its_contour_and_numbers() -> None:
    """On the frame of end-systole, with the LA as finding."""
    study = make_biplane_study()
    atrium = study.clips[1].measurement.beats[0].left_atrium

    group = group_named(make_sr(study), "LA endocardium ES, A2C beat 1")

    assert number(group, Code("79973-4", "LN", "")) == (20.0, "cm2")
    assert number(group, Code("79979-1", "LN", "")) == (5.0, "cm")
    assert number(group, Code("399235004", "SCT", "")) == (67.9, "mL")
    assert group.finding_type.value == "82471001"
    assert frame_numbers(group) == [atrium.frame_index + 1]


def test_a_reader_is_told_the_numbers_the_choice_and_the_doubts() -> None:
    """In sentences, without any code table."""
    texts = texts_of(make_sr(make_biplane_study()))

    for sentence in (
        "LV ejection fraction 55.0 % (95 % interval 41 to 69 %), EDV 120.0 mL, ESV 54.0 mL; method of disks, biplane, "
        "A4C and A2C views; 4 beats in 2 clips.",
        "Stroke volume 66.0 mL, cardiac output 5.0 L/min at 75/min.",
        "LA volume 60.0 mL at end-systole (area-length, biplane).",
        "Per body surface (2.00 m2 by DuBois): EDV 60.0, ESV 27.0, stroke volume 33.0, LA 30.0 mL/m2.",
        "By area-length: ejection fraction 54.0 %, EDV 118.0 mL, ESV 53.0 mL.",
        "By regression, without outlines: ejection fraction 42.0 %.",
        "Biplane from instance 1 and instance 2, the best pair.",
        "ef_disagrees: 55.0 % from outlines, 42.0 % by regression.",
    ):
        assert sentence in texts


def test_a_number_is_told_as_it_was_graded() -> None:
    """150.4 mL is above the normal range of men, 150 mL would not be."""
    study = make_biplane_study(edv_ml=150.4, la_volume_ml=69.8)
    study = replace(study, assessment=assess(study.result, Sex.MALE))

    texts = " ".join(texts_of(make_sr(study)))

    assert "EDV 150.4 mL" in texts
    assert "LV EDV, ASE/EACVI 2015, men: above normal range." in texts
    assert "LA 34.9 mL/m2" in texts
    assert "LA volume index, ASE/EACVI 2015: normal." in texts


def test_volumes_beside_the_ef_of_a_network_are_those_of_the_outlines() -> None:
    """The sentence does not ascribe them to the network."""
    study = make_biplane_study(method=VolumeMethod.REGRESSION, ef_percent=42.0, ef_interval=None)

    assert (
        "LV ejection fraction 42.0 %, EDV 120.0 mL, ESV 54.0 mL (method of disks, single plane); "
        "regression by a network, A4C view; 4 beats in 2 clips."
    ) in texts_of(make_sr(study))


def test_settings_that_differ_are_said() -> None:
    """A reader learns that the clips were aggregated in another way."""
    other = replace(make_biplane_study(), measure_settings=(("aggregation", "usal"),))

    assert "Measured with settings other than the defaults: aggregation = usal." in texts_of(make_sr(other))


def test_a_result_of_one_beat_is_no_mean() -> None:
    """A derivation is claimed only where something was averaged."""
    study = make_study_analysis()
    study = replace(study, result=replace(study.result, beat_count=1))

    assert groups_of(make_sr(study))[0].get_measurements(EF_A4C)[0].derivation is None


@pytest.mark.parametrize(("notes", "told"), [((), None), ((Note(Flag.HEART_RATE_DISAGREES, ""),), "414135002")])
def test_a_heart_rate_read_off_the_outlines_is_an_estimate(notes, told) -> None:
    """The machine's stands as it is."""
    analysis = make_clip_analysis()
    analysis = replace(analysis, measurement=replace(analysis.measurement, notes=notes))

    (rate,) = groups_of(make_sr(make_study_analysis(analysis)))[1].get_measurements(HEART_RATE)
    assert (None if rate.derivation is None else rate.derivation.value) == told


def test_a_percentile_over_clips_is_no_mean() -> None:
    """usal_echo's numbers are calculated otherwise (PS3.16 CID 3627)."""
    study = make_study_analysis()
    study = replace(study, result=replace(study.result, beat_count=7, aggregation="usal"))

    measured = groups_of(make_sr(study))[0].get_measurements()
    assert {item.derivation.value for item in measured if item.derivation is not None} == {"258090004"}


def test_volumes_of_one_window_beside_a_regressed_ef_are_no_mean() -> None:
    """The EF is the network's estimate; the volumes are those of the outlines in the one window."""
    study = make_study_analysis()
    study = replace(study, result=replace(study.result, method=VolumeMethod.REGRESSION, beat_count=1))

    first = groups_of(make_sr(study))[0]
    assert first.get_measurements(EF)[0].derivation.value == "414135002"
    assert first.get_measurements(EDV_A4C)[0].derivation is None


def test_an_area_length_result_reports_under_the_generic_names() -> None:
    """The names per view mean method of disks."""
    study = make_study_analysis()
    study = replace(study, result=replace(study.result, method=VolumeMethod.AREA_LENGTH_SINGLE_PLANE))

    first = groups_of(make_sr(study))[0]

    assert number(first, EF_A4C) is None
    assert number(first, EF) == (round(study.result.ef_percent, 1), "%")
    assert first.get_measurements(EF)[0].method.value == "125205"


def test_a_beat_has_its_numbers_on_its_frames() -> None:
    """End-diastole carries EDV and heart rate, end-systole ESV and EF, each on its own frame number."""
    study = make_study_analysis()
    beat = study.clips[0].measurement.beats[1]

    report = make_sr(study)

    diastole = group_named(report, "LV endocardium ED, A4C beat 2")
    systole = group_named(report, "LV endocardium ES, A4C beat 2")
    assert number(diastole, Code("399109006", "SCT", "")) == (35.34, "cm2")
    assert number(diastole, Code("18077-8", "LN", "")) == (9.0, "cm")
    assert number(diastole, EDV_A4C) == (117.8, "mL")
    assert number(diastole, EDV) == (117.8, "mL")
    assert number(diastole, HEART_RATE) == (75.0, "/min")
    assert number(systole, ESV_A4C) == (round(beat.end_systole.disks_ml, 1), "mL")
    assert number(systole, EF_A4C) == (round(beat.ef_percent, 1), "%")
    assert number(systole, EF) == (55.5, "%")
    assert frame_numbers(diastole) == [beat.end_diastole.frame_index + 1]
    assert frame_numbers(systole) == [beat.end_systole.frame_index + 1]


def frame_numbers(group: highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations) -> list[int]:
    item = group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber
    return [int(item)]


def test_a_contour_is_the_measured_one_and_closed() -> None:
    """Column before row, first point repeated at the end."""
    study = make_study_analysis()
    contour = study.clips[0].measurement.beats[0].end_diastole.contour

    drawn = group_named(make_sr(study), "LV endocardium ED, A4C beat 1").roi.value

    assert np.array_equal(drawn[0], drawn[-1])
    assert drawn[:-1] == pytest.approx(contour, abs=1e-4)


def test_a_contour_that_is_closed_already_is_not_closed_twice() -> None:
    """The last point is there once."""
    study = make_study_analysis()
    (analysis,) = study.clips
    beat = analysis.measurement.beats[0]
    ring = np.vstack([beat.end_diastole.contour, beat.end_diastole.contour[:1]])
    beat = replace(beat, end_diastole=replace(beat.end_diastole, contour=ring))
    analysis = replace(analysis, measurement=replace(analysis.measurement, beats=(beat,)))

    drawn = group_named(make_sr(replace(study, clips=(analysis,))), "LV endocardium ED, A4C beat 1").roi.value

    assert len(drawn) == len(ring)


def test_view_and_cycle_point_are_coded() -> None:
    """A program finds the A2C end-systoles without reading labels."""
    group = group_named(make_sr(VARIANTS["several clips"]()), "LV endocardium ES, A2C beat 1")

    evaluations = {item.name.value: item.value.value for item in group.get_qualitative_evaluations()}
    assert evaluations["111031"] == "399232001"
    assert evaluations["272518008"] == "416430001"
    assert number(group, EF_A2C) is not None


def test_an_uncalibrated_clip_gives_an_ejection_fraction_and_nothing_in_millilitres() -> None:
    """A volume from an unknown spacing is a wrong number."""
    report = make_sr(VARIANTS["uncalibrated"]())

    units = {m.unit.value for group in groups_of(report) for m in group.get_measurements()}
    assert units == {"%", "/min"}
    assert "mL" not in "".join(texts_of(report))
    assert any("not calibrated" in text for text in texts_of(report))


def test_a_volume_outside_a_published_pipelines_limits_is_not_called_uncalibrated() -> None:
    """usal_echo drops an EDV below 20 mL; the clips it rests on are calibrated."""
    study = make_study_analysis()
    study = replace(study, result=replace(study.result, aggregation="usal", edv_ml=None))

    said = next(text for text in texts_of(make_sr(study)) if text.startswith("LV ejection fraction "))

    assert "usal_echo's limits" in said
    assert "calibrated" not in said


def test_grades_and_thresholds_are_said() -> None:
    """Each scale speaks for itself."""
    texts = texts_of(make_sr())

    assert "ASE/EACVI 2015, men: normal." in texts
    assert "BSE 2020: normal." in texts
    assert "LV ejection fraction is below 50 %, 45 %." in texts


def test_a_refused_clip_is_named_with_its_reason() -> None:
    """A reader sees what was not assessed, and why."""
    texts = texts_of(make_sr(VARIANTS["several clips"]()))

    assert "Series 2, instance 9: not assessed: colour_doppler: colour in 40 % of the region." in texts


def test_a_flag_on_a_clip_is_said_with_its_values() -> None:
    """A number is not separated from the doubt about it."""
    texts = texts_of(make_sr(VARIANTS["uncalibrated"]()))

    assert any("no_calibration: no region states a spacing in cm." in text for text in texts)


def test_without_any_contour_the_report_is_text() -> None:
    """TID 5200 says what was not assessed; a TID 1500 without contours would stop viewers."""
    report = make_sr(VARIANTS["nothing assessed"]())

    assert report.SOPClassUID == ComprehensiveSRStorage
    assert report.ConceptNameCodeSequence[0].CodeValue == "125200"
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "5200"
    texts = texts_of(report)
    assert "LV ejection fraction not assessed: no_eligible_clip: no clip shows the left ventricle." in texts
    assert "Series 2, instance 9: not assessed: colour_doppler: colour in 40 % of the region." in texts
    assert f"Engine lv-apical 1.2.0 sha256:{'cd' * 32}." in texts


def test_contours_without_a_result_of_the_study_are_still_reported() -> None:
    """A clip may be measured and the study refused; then there is no headline group."""
    study = make_study_analysis(result=NotAssessed(Reason.UNSTABLE_SEGMENTATION, "beats differ"), assessment=None)

    report = make_sr(study)

    assert groups_of(report)[0].tracking_identifier == "LV endocardium ED, A4C beat 1"
    assert "LV ejection fraction not assessed: unstable_segmentation: beats differ." in texts_of(report)


def test_it_says_research_use_until_configured_otherwise() -> None:
    """The content and the list of series both say it."""
    assert "Research use only. Not for diagnosis or treatment." in texts_of(make_sr())
    assert "research use" in make_sr().SeriesDescription
    assert "esearch use" not in encode(make_sr(research_use=False)).decode("latin-1")


def test_the_evidence_names_every_instance_and_segmentation() -> None:
    """Also the refused ones were looked at; a Segmentation is in the evidence and nowhere in the content."""
    report = make_sr(VARIANTS["several clips"]())

    classes = [
        item.ReferencedSOPClassUID.name
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert sorted(classes) == ["Segmentation Storage"] * 2 + ["Ultrasound Multi-frame Image Storage"] * 3
    referenced = {
        element.value for element in report.ContentSequence[-2].iterall() if element.keyword == "ReferencedSOPClassUID"
    }
    assert "Segmentation Storage" not in {uid.name for uid in referenced}


def test_a_source_of_a_retired_class_is_referenced_as_what_it_is() -> None:
    """The class that highdicom was told does not leak into a reference."""
    header = make_header(SOPClassUID=RETIRED_ULTRASOUND_MULTI_FRAME)
    study = make_study_analysis(make_clip_analysis(header=header))

    report = read_back(build_sr(study, [], ReportConfig(), NOW))

    classes = {element.value for element in report.iterall() if element.keyword == "ReferencedSOPClassUID"}
    assert classes == {RETIRED_ULTRASOUND_MULTI_FRAME}


def test_flags_say_complete_preliminary_and_unverified() -> None:
    """A machine finished it, and no physician has signed it."""
    report = make_sr()

    assert (report.CompletionFlag, report.PreliminaryFlag, report.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )


def test_a_revision_names_its_predecessor() -> None:
    """An archive can show that the earlier report is superseded."""
    report = make_sr(make_study_analysis(revision=2), predecessor=PREDECESSOR)

    (study,) = report.PredecessorDocumentsSequence
    assert study.StudyInstanceUID == "1.2.3"
    assert study.ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3.4"
    (item,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert (item.ReferencedSOPInstanceUID, item.ReferencedSOPClassUID) == ("1.2.3.4.5", Comprehensive3DSRStorage)


def test_a_first_report_has_no_predecessor() -> None:
    """There is nothing that it supersedes."""
    assert "PredecessorDocumentsSequence" not in make_sr()


def test_the_two_classes_are_two_instances_in_two_series() -> None:
    """A destination that got both can tell them apart."""
    one, other = make_sr(), make_sr(sop_class_uid=ComprehensiveSRStorage)

    assert (one.SOPClassUID, other.SOPClassUID) == (Comprehensive3DSRStorage, ComprehensiveSRStorage)
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID


@pytest.mark.parametrize("make_study", VARIANTS.values(), ids=VARIANTS.keys())
def test_the_same_result_gives_the_same_bytes(make_study) -> None:
    """A retry after a crash sends the object that was perhaps already sent."""
    assert encode(make_sr(make_study())) == encode(make_sr(make_study()))


@pytest.mark.parametrize("make_study", VARIANTS.values(), ids=VARIANTS)
def test_the_files_are_what_pydicom_writes(make_study) -> None:
    """Byte by byte, of both classes, although they share one tree and it is encoded apart."""
    study, config = make_study(), ReportConfig()

    files = {file.kind: content for file, content in study_objects(study, [], [], config, NOW)}

    plain = build_sr(study, [], config, NOW, sop_class_uid=ComprehensiveSRStorage)
    assert files["SR"] == encode(build_sr(study, [], config, NOW))
    assert files["SR_COMPREHENSIVE"] == encode(plain)
    assert files["SR_ECHO"] == encode(build_echo_sr(study, [], config, NOW))


def test_the_order_of_arrival_changes_no_byte() -> None:
    """After a restart the clips may come out of the index in another order."""
    study = VARIANTS["several clips"]()

    assert encode(make_sr(replace(study, clips=study.clips[::-1]))) == encode(make_sr(study))


def test_the_time_of_writing_is_the_only_clock() -> None:
    """Another `now` changes dates and times, and no UID."""
    study = make_study_analysis()

    first = read_back(build_sr(study, [], ReportConfig(), NOW))
    later = read_back(build_sr(study, [], ReportConfig(), NOW + timedelta(days=1, hours=1)))

    assert {element.keyword for element in first if element != later[element.tag]} == {
        "InstanceCreationDate",
        "InstanceCreationTime",
        "ContentDate",
        "ContentTime",
        "ContributingEquipmentSequence",
    }


def test_a_word_outside_the_source_s_repertoire_is_readable() -> None:
    """A reason may quote what the repertoire of the source cannot write."""
    report = read_back(make_sr(VARIANTS["other words"]()))

    assert report.SpecificCharacterSet == "ISO_IR 192"
    assert any("Größe unbekannt" in text for text in texts_of(report))
    assert report.PatientName == "Müller^Jürgen"
