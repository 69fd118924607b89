"""What results take over from their source, and what they survive in it."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

from echo_scp import __version__
from echo_scp.config import ReportConfig
from echo_scp.report import build_seg, build_sr
from tests.unit.report.builders import NOW, make_clip_analysis, make_header, make_refused_analysis, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors, read_back

JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"


def make_results(
    header: Dataset, now: datetime = NOW, config: ReportConfig | None = None
) -> tuple[Dataset, Dataset, Dataset]:
    """Return Segmentation, report and text report on a source, as a receiver reads them."""
    config = config or ReportConfig()
    analysis = make_clip_analysis(header=header)
    study = make_study_analysis(analysis)
    seg = build_seg(analysis, study, config, now)
    refused = make_study_analysis(make_refused_analysis(header=header))
    return read_back(seg), read_back(build_sr(study, [seg], config, now)), read_back(build_sr(refused, [], config, now))


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "山田^太郎"),
        (["", "ISO 2022 IR 87"], JAPANESE),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 100", "Müller^Jürgen"),
        ("ISO_IR 144", "Иванов^Иван"),
    ],
    ids=["utf-8", "japanese", "korean", "latin-1", "cyrillic"],
)
def test_a_name_comes_out_in_the_character_set_it_came_in(character_set: str | list[str], name: str) -> None:
    """The archive matches patients by what it knows, so neither name nor encoding changes."""
    for result in make_results(make_header(SpecificCharacterSet=character_set, PatientName=name)):
        assert result.PatientName == name
        assert result.SpecificCharacterSet == character_set


@pytest.mark.parametrize("character_set", ["ISO_IR 100", ["", "ISO 2022 IR 87"]], ids=["latin-1", "japanese"])
def test_an_institution_outside_the_source_s_repertoire_makes_it_utf_8(character_set: str | list[str]) -> None:
    """Our own words must not be lost, nor the name beside them."""
    name = "Müller^Jürgen" if character_set == "ISO_IR 100" else JAPANESE
    header = make_header(SpecificCharacterSet=character_set, PatientName=name)

    for result in make_results(header, config=ReportConfig(institution_name="Szpital św. Łukasza")):
        assert result.SpecificCharacterSet == "ISO_IR 192"
        assert result.PatientName == name
        assert result.InstitutionName == "Szpital św. Łukasza"


def test_a_header_read_from_a_file_comes_out_like_one_made_in_memory(tmp_path: Path) -> None:
    """Names that were never decoded survive the change of character set, also in nested items."""
    other = Dataset()
    other.PatientID = "東京-7"
    header = make_header(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=JAPANESE)
    header.OtherPatientIDsSequence = [other]
    pydicom.dcmwrite(tmp_path / "clip.dcm", header, implicit_vr=False, little_endian=True)

    for result in make_results(
        pydicom.dcmread(tmp_path / "clip.dcm", force=True), config=ReportConfig(institution_name="Łódź")
    ):
        assert result.PatientName == JAPANESE
        assert result.OtherPatientIDsSequence[0].PatientID == "東京-7"


def test_patient_and_study_are_taken_over() -> None:
    """The result lands in the same study of the same patient, below the same order."""
    header = make_header()

    for result in make_results(header):
        for keyword in (
            "PatientID",
            "IssuerOfPatientID",
            "PatientSize",
            "StudyInstanceUID",
            "AccessionNumber",
            "StudyID",
        ):
            assert result[keyword].value == header[keyword].value
        assert result.ReferringPhysicianName == "Doe^Jane"
        assert result.SeriesInstanceUID != header.SeriesInstanceUID


def test_patient_and_study_are_not_those_of_a_lost_file() -> None:
    """Of that one only UIDs are known; it is named, and comes last."""
    lost = make_refused_analysis(1)
    bare = Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"):
        setattr(bare, keyword, lost.instance.header[keyword].value)
    lost = replace(lost, instance=replace(lost.instance, header=bare, is_lost=True))
    study = make_study_analysis(lost, make_clip_analysis(2))

    report = build_sr(study, [], ReportConfig(), NOW)

    assert (report.PatientID, report.AccessionNumber) == ("P-17", "A-99")
    (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
    named = {item.ReferencedSOPInstanceUID for item in evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence}
    assert lost.instance.sop_instance_uid in named


def test_the_equipment_is_ours() -> None:
    """The cart's maker did not make the result."""
    for result in make_results(make_header(InstitutionName="of the cart")):
        assert result.Manufacturer == "echo-scp"
        assert result.SoftwareVersions == [__version__, "lv-apical 1.2.0", "view 1.0.0"]
        assert "InstitutionName" not in result


def test_elements_that_say_nothing_are_not_taken_over(tmp_path: Path) -> None:
    """Carts write optional elements without a value, and references that name nothing: no result conforms so."""
    nameless = Dataset()
    nameless.ReferencedSOPClassUID = nameless.ReferencedSOPInstanceUID = ""
    header = make_header(
        ReferencedStudySequence=[nameless],
        ReferencedPatientSequence=[],
        ProcedureCodeSequence=[],
        OtherPatientIDsSequence=[],
        ClinicalTrialSponsorName="",
        PatientSpeciesDescription="",
        SpecificCharacterSet="",
        PatientName="Doe^Jane",
    )
    analysis = make_clip_analysis(header=header)
    study = make_study_analysis(analysis)
    seg = build_seg(analysis, study, ReportConfig(), NOW)

    for result in (seg, build_sr(study, [seg], ReportConfig(), NOW)):
        assert dciodvfy_errors(result, tmp_path) == []
        assert result.StudyInstanceUID == header.StudyInstanceUID


def test_what_may_be_empty_where_it_is_required_stays(tmp_path: Path) -> None:
    """A trial need not name its site, nor an animal its breed."""
    header = make_header(
        ClinicalTrialSponsorName="Sponsor",
        ClinicalTrialProtocolID="P-1",
        ClinicalTrialProtocolName="",
        ClinicalTrialSiteID="",
        ClinicalTrialSiteName="",
        ClinicalTrialSubjectID="7",
    )
    analysis = make_clip_analysis(header=header)

    seg = build_seg(analysis, make_study_analysis(analysis), ReportConfig(), NOW)

    assert seg["ClinicalTrialSiteID"].is_empty
    assert not any("Type 2 " in error for error in dciodvfy_errors(seg, tmp_path))


def test_required_elements_that_the_source_lacks_are_present_and_empty() -> None:
    """A type 2 element is there even when nobody knows its value (PS3.5 7.4.3)."""
    lacking = (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
        "SpecificCharacterSet",
        "SeriesNumber",
        "InstanceNumber",
    )

    for result in make_results(make_header(**dict.fromkeys(lacking))):
        for keyword in lacking[:9]:
            assert result[keyword].is_empty


# pydicom's words on what this test feeds it
@pytest.mark.filterwarnings("ignore:Invalid value for VR", 'ignore:Value "1.5" is not valid')
def test_malformed_values_stop_nothing(tmp_path: Path) -> None:
    """What is no value of its representation is carried as it is, and never read as a number."""
    header = make_header()
    with pydicom.config.disable_value_validation():
        header.add_new("PatientSex", "CS", "weiblich!")
        header.add_new("StudyDate", "DA", "06.05.2024")
        header.add_new("PatientBirthDate", "DA", "unknown")
        header.add_new("PatientWeight", "LO", "heavy")
        header.add_new("SeriesNumber", "LO", "two")
        header.add_new("InstanceNumber", "LO", "1.5")
        pydicom.dcmwrite(tmp_path / "clip.dcm", header, implicit_vr=True, little_endian=True)

    for result in make_results(pydicom.dcmread(tmp_path / "clip.dcm", force=True)):
        assert result.PatientID == "P-17"
        assert result.StudyDate == "06.05.2024"
        assert result.PatientWeight == "heavy"


def test_times_are_written_in_the_zone_of_the_source() -> None:
    """One offset holds for every time of an instance, also for the study's (PS3.3 C.12.1.1.8)."""
    now = datetime(2024, 5, 6, 23, 30, tzinfo=UTC)

    for result in make_results(make_header(TimezoneOffsetFromUTC="+0530"), now):
        assert result.TimezoneOffsetFromUTC == "+0530"
        assert (result.ContentDate, result.ContentTime) == ("20240507", "050000")


@pytest.mark.parametrize("offset", [None, "", "0530", "+9900"])
def test_without_a_valid_zone_of_the_source_none_is_claimed(offset: str | None, monkeypatch) -> None:
    """An offset would also reinterpret the study's time, which is not ours to know; the node's clock is our own."""
    monkeypatch.setenv("TZ", "UTC-5:30")  # POSIX counts westward: five and a half hours east
    time.tzset()
    try:
        results = make_results(make_header(TimezoneOffsetFromUTC=offset), datetime(2024, 5, 6, 23, 30, tzinfo=UTC))
    finally:
        monkeypatch.undo()
        time.tzset()

    for result in results:
        assert "TimezoneOffsetFromUTC" not in result
        assert (result.ContentDate, result.ContentTime) == ("20240507", "050000")
