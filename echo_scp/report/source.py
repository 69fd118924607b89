"""What a result takes over from the instances it rests on: patient, study, character set, time zone, references."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from types import MappingProxyType

from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.uid import UltrasoundMultiFrameImageStorage

from echo_scp import __version__
from echo_scp.config import ObjectKind, ReportConfig
from echo_scp.model import MANUFACTURER, ClipAnalysis, Instance, StudyAnalysis

SERIES_NUMBERS: Mapping[ObjectKind, int] = MappingProxyType(
    {"SR": 0, "SEG": 1, "SR_ECHO": 2, "CINE": 3, "KO": 4, "PDF": 5, "SR_COMPREHENSIVE": 6, "SR_SIMPLIFIED": 7}
)
"""By how much the Series Number of a kind lies above `series_number_base`."""
REQUIRED_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
# Patient, Clinical Trial Subject, General Study, Patient Study and Clinical Trial Study (PS3.3 C.7.1 and C.7.2).
PATIENT_AND_STUDY = """
    ReferencedPatientSequence PatientName PatientID IssuerOfPatientID TypeOfPatientID
    IssuerOfPatientIDQualifiersSequence PatientBirthDate PatientBirthTime PatientSex QualityControlSubject
    OtherPatientNames OtherPatientIDsSequence EthnicGroup EthnicGroupCodeSequence PatientComments
    PatientSpeciesDescription PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence
    BreedRegistrationSequence ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization
    PatientIdentityRemoved DeidentificationMethod DeidentificationMethodCodeSequence
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName ClinicalTrialSiteID
    ClinicalTrialSiteName ClinicalTrialSubjectID ClinicalTrialSubjectReadingID
    StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence ReferringPhysicianName
    ReferringPhysicianIdentificationSequence ConsultingPhysicianName StudyDescription ProcedureCodeSequence
    PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence NameOfPhysiciansReadingStudy
    ReferencedStudySequence StudyInstanceUID StudyID RequestingService
    AdmittingDiagnosesDescription AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientWeight
    PatientBodyMassIndex MedicalAlerts Allergies Occupation SmokingStatus AdditionalPatientHistory PregnancyStatus
    LastMenstrualDate PatientSexNeutered ReasonForVisit AdmissionID IssuerOfAdmissionIDSequence PatientState
    ClinicalTrialTimePointID ClinicalTrialTimePointDescription
""".split()  # noqa: SIM905 - seventy quoted lines would say less

EMPTY_WHERE_REQUIRED = frozenset(
    """
    ClinicalTrialProtocolName ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialTimePointID PatientBreedDescription
    PatientBreedCodeSequence BreedRegistrationSequence ResponsiblePerson ResponsibleOrganization PatientSexNeutered
    """.split()  # noqa: SIM905
)
"""Type 2 and 2C of these modules where there is a clinical trial or an animal."""


def element_of(header: Dataset, keyword: str) -> DataElement | None:
    """Return an element; None when it is absent or its bytes are no value of its representation."""
    try:
        return header[keyword]
    except (KeyError, ValueError, TypeError):
        return None


def value_of(header: Dataset, keyword: str) -> str:
    """Return a value as text; empty when it is absent, empty or malformed."""
    element = element_of(header, keyword)
    return "" if element is None or element.value is None else str(element.value)


def readable_name(name: str) -> str:
    """Return every group of components of a person name as a reader writes it (PS3.5 6.2.1)."""
    groups = (" ".join(group.replace("^", " ").split()) for group in name.split("="))
    return ", ".join(group for group in groups if group)


def ordered_clips(study: StudyAnalysis) -> tuple[ClipAnalysis, ...]:
    """Return the clips as a reader counts them, whatever the order in which they arrived; lost ones last."""
    return tuple(sorted(study.clips, key=_reading_order))


def _reading_order(analysis: ClipAnalysis) -> tuple[bool, int, int, str]:
    header, is_lost = analysis.instance.header, analysis.instance.is_lost
    series, number = (value_of(header, keyword) for keyword in ("SeriesNumber", "InstanceNumber"))
    return is_lost, _count_of(series), _count_of(number), analysis.instance.sop_instance_uid


def _count_of(text: str) -> int:
    return int(text) if re.fullmatch(r"-?\d+", text) else 0


def shell(instance: Instance) -> Dataset:
    """Return the least that highdicom needs to know of an instance, free of anything that it could refuse.

    Every source is presented as an Ultrasound Multi-frame Image, because highdicom knows no retired SOP class;
    `complete` puts the real classes and the real patient and study back.
    """
    ds = Dataset()
    for keyword in REQUIRED_MAY_BE_EMPTY:
        setattr(ds, keyword, "")
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = instance.sop_instance_uid
    ds.StudyInstanceUID = instance.study_instance_uid
    ds.SeriesInstanceUID = instance.series_instance_uid
    ds.Modality = "US"
    return ds


def complete(
    result: Dataset,
    study: StudyAnalysis,
    instances: Sequence[Instance],
    config: ReportConfig,
    now: datetime,
    *,
    texts: Iterable[str] = (),
) -> None:
    """Put into `result` what belongs to the study of its first instance, and take every clock reading from `now`.

    `texts` are the words of our own in it, which the character set has to hold.
    """
    header = instances[0].header
    _restore_sop_classes(result, {source.sop_instance_uid: source.sop_class_uid for source in instances})
    _copy_patient_and_study(result, header)
    _set_equipment(result, study, config)
    _set_character_set(result, header, (*texts, config.institution_name))
    _set_times(result, header, now)


def engine_parameters(study: StudyAnalysis) -> dict[str, str]:
    """Return each engine with its version and the hash of its artefact."""
    engines = sorted(study.engines, key=lambda engine: engine.name)
    return {engine.name: f"{engine.version} sha256:{engine.sha256}" for engine in engines}


def _set_equipment(result: Dataset, study: StudyAnalysis, config: ReportConfig) -> None:
    """Write the Enhanced General Equipment module (PS3.3 C.7.5.2)."""
    result.Manufacturer = result.ManufacturerModelName = MANUFACTURER
    result.SoftwareVersions = [__version__, *sorted(f"{engine.name} {engine.version}"[:64] for engine in study.engines)]
    result.DeviceSerialNumber = __version__  # type 1, and software has no other serial number
    if config.institution_name:
        result.InstitutionName = config.institution_name


def _copy_patient_and_study(result: Dataset, header: Dataset) -> None:
    for keyword in PATIENT_AND_STUDY:
        element = element_of(header, keyword)
        if element is not None and (keyword in EMPTY_WHERE_REQUIRED or _says_something(element)):
            result.add(deepcopy(element))


def _says_something(element: DataElement) -> bool:
    """Tell whether there is a value: carts write optional elements without one, which may not be empty in all of them.

    A sequence whose items are empty throughout has none.
    """
    if element.VR == "SQ":
        return any(_says_something(each) for item in element.value for each in item)
    return not element.is_empty


def _restore_sop_classes(result: Dataset, classes: Mapping[str, str]) -> None:
    foreign = {uid: sop_class for uid, sop_class in classes.items() if sop_class != UltrasoundMultiFrameImageStorage}

    def restore(item: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPInstanceUID" and element.value in foreign:
            item.ReferencedSOPClassUID = foreign[element.value]

    if foreign:
        result.walk(restore)


def _set_character_set(result: Dataset, header: Dataset, texts: Iterable[str]) -> None:
    """Keep the source's repertoire, unless words of our own may not be in it: then everything becomes UTF-8."""
    element = element_of(header, "SpecificCharacterSet")
    if element is not None and not element.is_empty:
        result.SpecificCharacterSet = element.value
    if not all(text.isascii() for text in texts):
        result.walk(_forget_encoded_names)
        result.SpecificCharacterSet = "ISO_IR 192"


def _forget_encoded_names(_: Dataset, element: DataElement) -> None:
    """Keep the characters of a person name only; pydicom would write its original bytes. The walk decodes the rest."""
    if element.VR == "PN" and not element.is_empty:
        names = element.value if isinstance(element.value, MultiValue) else [element.value]
        element.value = [str(name) for name in names]


def time_beside(header: Dataset, now: datetime) -> datetime:
    """Return `now` in the zone that the source states, since one offset holds for all times of an instance.

    A source that states none has the times of its hospital: as the node, by its own clock.
    """
    return now.astimezone(_offset(value_of(header, "TimezoneOffsetFromUTC")))


def _set_times(result: Dataset, header: Dataset, now: datetime) -> None:
    now = time_beside(header, now)
    if _offset(value_of(header, "TimezoneOffsetFromUTC")) is not None:
        result.TimezoneOffsetFromUTC = value_of(header, "TimezoneOffsetFromUTC")
    result.ContentDate = result.InstanceCreationDate = now.strftime("%Y%m%d")
    result.ContentTime = result.InstanceCreationTime = now.strftime("%H%M%S")
    for item in result.get("ContributingEquipmentSequence", ()):
        item.ContributionDateTime = now.strftime("%Y%m%d%H%M%S")


def _offset(text: str) -> timezone | None:
    match = re.fullmatch(r"([+-])(\d{2})(\d{2})", text)
    if match is None:
        return None
    minutes = 60 * int(match[2]) + int(match[3])
    if not minutes <= 14 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
