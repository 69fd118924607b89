"""A canary in every element that can identify a patient: it is in no log line, metric, reason or traceback."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import generate_uid

from tests.acceptance.running import wait_for

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom writes what we plant, and warns of it

SHORT = {"AS", "CS", "DA", "DS", "DT", "IS", "LT", "PN", "SH", "ST", "TM", "UI"}  # a length of 16 bits, and text
CANARY = "KANARIENVOGEL"
# PS3.15 Table E.1-1, what an echo study has of it. What should be no text gets it all the same: a machine may err.
IDENTIFYING = [
    "AccessionNumber",
    "AdmissionID",
    "AdditionalPatientHistory",
    "BodyPartExamined",
    "ContentCreatorName",
    "CountryOfResidence",
    "CurrentPatientLocation",
    "DeviceSerialNumber",
    "EthnicGroup",
    "FrameComments",
    "ImageComments",
    "InstitutionAddress",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "IssuerOfPatientID",
    "MedicalAlerts",
    "MilitaryRank",
    "NameOfPhysiciansReadingStudy",
    "Occupation",
    "OperatorsName",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientAddress",
    "PatientAge",
    "PatientBirthDate",
    "PatientBirthName",
    "PatientBirthTime",
    "PatientComments",
    "PatientID",
    "PatientMotherBirthName",
    "PatientName",
    "PatientReligiousPreference",
    "PatientSex",
    "PatientSize",
    "PatientState",
    "PatientTelephoneNumbers",
    "PatientWeight",
    "PerformedProcedureStepDescription",
    "PerformingPhysicianName",
    "PhysiciansOfRecord",
    "ProtocolName",
    "ReferringPhysicianAddress",
    "ReferringPhysicianName",
    "ReferringPhysicianTelephoneNumbers",
    "RequestedProcedureDescription",
    "RequestingPhysician",
    "SeriesDescription",
    "StationName",
    "StudyComments",
    "StudyDescription",
    "StudyID",
]
# Numbers and dates that the software reads, and whose errors quote what they found.
READ = [
    "FrameTime",
    "FrameIncrementPointer",
    "HeartRate",
    "NumberOfFrames",
    "Rows",
    "StartTrim",
    "StopTrim",
    "CineRate",
    "RecommendedDisplayFrameRate",
    "ContentDate",
    "ContentTime",
    "AcquisitionDateTime",
    "StudyDate",
    "StudyTime",
    "InstanceNumber",
    "SeriesNumber",
    "PixelSpacing",
    "SpecificCharacterSet",
    "ImageType",
    "StageName",
    "StageNumber",
    "NumberOfStages",
    "ViewName",
    "Manufacturer",
]


def plant(path: Path, *keywords: str) -> None:
    """Set elements of a file to the canary, whatever their value representation says of it."""
    ds = dcmread(path)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    for keyword in keywords:
        ds.pop(keyword, None)
        ds.add_new(tag_for_keyword(keyword), "LO", f"{CANARY}^{keyword}")
    ds.save_as(path)
    content = path.read_bytes()
    for keyword in keywords:  # pydicom would refuse to write it
        tag, vr = tag_for_keyword(keyword), dictionary_VR(keyword)
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if vr in SHORT:
            content = content.replace(head + b"LO", head + vr.encode(), 1)
    path.write_bytes(content)


@pytest.fixture
def canaries(make_study, tmp_path):
    """Instances of one patient: whole, unreadable in each number, cut off, and of no study."""
    whole, other = make_study(0, 4).files
    numbers = []
    for keyword in (None, *READ):
        path = tmp_path / f"canary-{keyword}.dcm"
        shutil.copy(whole if keyword is None else other, path)
        plant(path, *IDENTIFYING, *([] if keyword is None else [keyword]))
        numbers.append(path)
    content = numbers[0].read_bytes()
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(content[: content.index(CANARY.encode()) + 400])
    homeless = tmp_path / "homeless.dcm"
    shutil.copy(numbers[1], homeless)
    plant(homeless, "StudyInstanceUID")
    return [*numbers, homeless], cut


def test_the_canary_sings_nowhere(node, pacs, canaries):
    """At level debug, with instances that make every reader of a header fail."""
    files, cut = canaries
    node.settings = 'log.level = "debug"\n'
    node.start()
    for path in files:
        node.send(path)
    node.send_bytes(cut)

    wait_for(lambda: node.rows("SELECT state FROM study WHERE state <> 'reported'") == [] and not node.spooled())
    wait_for(lambda: node.rows("SELECT count(*) FROM delivery WHERE state = 'waiting'") == [(0,)])

    assert node.rows("SELECT count(*) FROM instance") >= [(len(READ),)]
    assert CANARY in (node.data / "audit.log").read_text()
    assert CANARY not in node.log()
    assert CANARY not in node.get("/metrics")
    assert CANARY not in "".join(path.read_text() for path in (node.data / "quarantine").glob("*.txt"))
    assert CANARY not in str(node.rows("SELECT * FROM quarantined_file"))
    assert CANARY not in str(node.rows("SELECT failure FROM study"))
    assert CANARY not in str(node.rows("SELECT detail FROM delivery"))
