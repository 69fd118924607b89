"""Audit messages as XML (PS3.15 A.5.1), of the kinds that this node gives rise to (A.5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from xml.etree.ElementTree import Element, SubElement, tostring

_SOURCE_ROLE, _DESTINATION_ROLE, _APPLICATION_ROLE = "110153", "110152", "110150"
_ROLE_NAMES = {
    _SOURCE_ROLE: "Source Role ID",
    _DESTINATION_ROLE: "Destination Role ID",
    _APPLICATION_ROLE: "Application",
}
_LIFE_CYCLE = {"C": "1", "R": "6", "D": "14"}  # origination, access, permanent erasure (PS3.15 A.5.2)


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a transfer: its AE title or URL, and its network address if that is known."""

    name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """What a message is about; `sop_classes` are (SOP Class UID, number of instances)."""

    study_instance_uid: str
    patient_ids: tuple[str, ...]
    sop_classes: tuple[tuple[str, int], ...] = ()


def application_started(node: str, when: datetime) -> bytes:
    """Application Activity (A.5.3.1)."""
    return _application(node, when, "110120", "Application Start")


def application_stopped(node: str, when: datetime) -> bytes:
    """Application Activity (A.5.3.1)."""
    return _application(node, when, "110121", "Application Stop")


def instances_transferred(node: str, when: datetime, source: Party, destination: Party, study: Study) -> bytes:
    """DICOM Instances Transferred (A.5.3.7): the destination has them."""
    message = _message("C", when, "110104", "DICOM Instances Transferred")
    _participant(message, source, _SOURCE_ROLE, requestor=True)
    _participant(message, destination, _DESTINATION_ROLE, requestor=False)
    return _finish(message, node, study, "C")


def instances_accessed(node: str, when: datetime, study: Study) -> bytes:
    """DICOM Instances Accessed (A.5.3.6): a study was analysed."""
    message = _message("R", when, "110103", "DICOM Instances Accessed")
    _participant(message, Party(node), _APPLICATION_ROLE, requestor=True)
    return _finish(message, node, study, "R")


def study_deleted(node: str, when: datetime, study: Study) -> bytes:
    """DICOM Study Deleted (A.5.3.8)."""
    message = _message("D", when, "110105", "DICOM Study Deleted")
    _participant(message, Party(node), _APPLICATION_ROLE, requestor=True)
    return _finish(message, node, study, "D")


def _application(node: str, when: datetime, code: str, text: str) -> bytes:
    message = _message("E", when, "110100", "Application Activity")
    _code(message[0], "EventTypeCode", code, text)
    _participant(message, Party(node), _APPLICATION_ROLE, requestor=False)
    return _finish(message, node, None, "E")


def _message(action: str, when: datetime, code: str, text: str) -> Element:
    message = Element("AuditMessage")
    attributes = {"EventActionCode": action, "EventDateTime": when.isoformat(), "EventOutcomeIndicator": "0"}
    event = SubElement(message, "EventIdentification", attributes)
    _code(event, "EventID", code, text)
    return message


def _participant(message: Element, party: Party, role: str, *, requestor: bool) -> None:
    attributes = {"UserID": _legal(party.name), "UserIsRequestor": str(requestor).lower()}
    if party.address:
        attributes |= {
            "NetworkAccessPointID": _legal(party.address),
            "NetworkAccessPointTypeCode": _access_point_type(party.address),
        }
    participant = SubElement(message, "ActiveParticipant", attributes)
    _code(participant, "RoleIDCode", role, _ROLE_NAMES[role])


def _access_point_type(address: str) -> str:
    """Return 2 for an IP address, 1 for the name of a machine (PS3.15 A.5.2.4)."""
    try:
        ip_address(address)
    except ValueError:
        return "1"
    return "2"


def _finish(message: Element, node: str, study: Study | None, action: str) -> bytes:
    SubElement(message, "AuditSourceIdentification", {"AuditSourceID": _legal(node)})
    if study is not None:
        _study(message, study, _LIFE_CYCLE[action])
        for patient_id in study.patient_ids:
            _patient(message, patient_id)
    content: bytes = tostring(message, encoding="utf-8", xml_declaration=True)
    return content.replace(b"\n", b"")


def _study(message: Element, study: Study, life_cycle: str) -> None:
    attributes = {
        "ParticipantObjectID": _legal(study.study_instance_uid),
        "ParticipantObjectTypeCode": "2",  # system object
        "ParticipantObjectTypeCodeRole": "3",  # report
        "ParticipantObjectDataLifeCycle": life_cycle,
    }
    participant = SubElement(message, "ParticipantObjectIdentification", attributes)
    _code(participant, "ParticipantObjectIDTypeCode", "110180", "Study Instance UID")
    if study.sop_classes:
        description = SubElement(participant, "ParticipantObjectDescription")
        for uid, count in study.sop_classes:
            SubElement(description, "SOPClass", {"UID": _legal(uid), "NumberOfInstances": str(count)})


def _patient(message: Element, patient_id: str) -> None:
    attributes = {
        "ParticipantObjectID": _legal(patient_id),
        "ParticipantObjectTypeCode": "1",  # person
        "ParticipantObjectTypeCodeRole": "1",  # patient
    }
    participant = SubElement(message, "ParticipantObjectIdentification", attributes)
    _code(participant, "ParticipantObjectIDTypeCode", "2", "Patient Number", "RFC-3881")


def _code(parent: Element, name: str, code: str, text: str, system: str = "DCM") -> None:
    SubElement(parent, name, {"csd-code": code, "codeSystemName": system, "originalText": text})


def _legal(text: str) -> str:
    """Return text that XML can hold: a header may say anything."""
    return "".join(letter if letter.isprintable() and not "\ud800" <= letter <= "\udfff" else "?" for letter in text)
