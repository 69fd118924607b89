"""Audit messages: their content by PS3.15 A.5, and the ways they go."""

from __future__ import annotations

import re
import socket
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest

from echo_scp.audit import (
    AuditTrail,
    Party,
    Study,
    application_started,
    application_stopped,
    instances_accessed,
    instances_transferred,
    study_deleted,
)
from echo_scp.config import AuditConfig

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STUDY = Study("1.2.3", ("P-1",), (("1.2.840.10008.5.1.4.1.1.3.1", 80),))


def transferred(node: str = "ECHO_SCP", when: datetime = NOW, study: Study = STUDY) -> bytes:
    return instances_transferred(node, when, Party("CART", "10.0.0.1"), Party(node), study)


def code(parent: Element, path: str) -> str:
    found = parent.find(path)
    assert found is not None
    return found.attrib["csd-code"]


@pytest.mark.parametrize(
    ("message", "event", "action", "kind"),
    [
        (application_started("N", NOW), "110100", "E", "110120"),
        (application_stopped("N", NOW), "110100", "E", "110121"),
        (transferred(), "110104", "C", None),
        (instances_accessed("N", NOW, STUDY), "110103", "R", None),
        (study_deleted("N", NOW, STUDY), "110105", "D", None),
    ],
)
def test_each_kind_of_message_has_its_codes(message, event, action, kind):
    """Of context group 400 and 401 (PS3.16)."""
    root = fromstring(message)

    identification = root.find("EventIdentification")
    assert root.tag == "AuditMessage"
    assert code(identification, "EventID") == event
    assert identification.attrib["EventActionCode"] == action
    assert identification.attrib["EventOutcomeIndicator"] == "0"
    assert identification.attrib["EventDateTime"] == "2026-01-02T03:04:05+00:00"
    assert root.find("AuditSourceIdentification").attrib["AuditSourceID"]
    assert root.find("ActiveParticipant") is not None
    if kind is not None:
        assert code(identification, "EventTypeCode") == kind


def test_a_transfer_names_source_destination_study_and_patient():
    """And how many instances of which SOP class."""
    root = fromstring(transferred())

    source, destination = root.findall("ActiveParticipant")
    assert (source.attrib["UserID"], source.attrib["NetworkAccessPointID"]) == ("CART", "10.0.0.1")
    assert (code(source, "RoleIDCode"), code(destination, "RoleIDCode")) == ("110153", "110152")
    study, patient = root.findall("ParticipantObjectIdentification")
    assert (study.attrib["ParticipantObjectID"], patient.attrib["ParticipantObjectID"]) == ("1.2.3", "P-1")
    assert study.find("ParticipantObjectDescription/SOPClass").attrib["NumberOfInstances"] == "80"


@pytest.mark.parametrize(("address", "kind"), [("10.0.0.1", "2"), ("fd00::1", "2"), ("pacs.example.org", "1")])
def test_an_address_and_the_name_of_a_machine_are_told_apart(address, kind):
    """Network Access Point Type Code: 1 is a machine's name, 2 an IP address."""
    message = instances_transferred("N", NOW, Party("N"), Party("PACS", address), STUDY)

    _, destination = fromstring(message).findall("ActiveParticipant")
    assert destination.attrib["NetworkAccessPointTypeCode"] == kind


def test_what_xml_cannot_hold_is_replaced():
    """A header may say anything; the message stays one line."""
    message = transferred(study=Study('1.2"<&', ("P\x00\n\ud800",)))

    assert b"\n" not in message
    patient = fromstring(message).findall("ParticipantObjectIdentification")[1]
    assert patient.attrib["ParticipantObjectID"] == "P???"


def test_the_file_has_one_message_a_line_and_is_not_for_everybody(tmp_path):
    """Two processes may write to it."""
    file = tmp_path / "audit.log"
    with AuditTrail(AuditConfig(), file, "N") as trail, AuditTrail(AuditConfig(), file, "M") as other:
        trail.record(application_started)
        other.record(application_started)
        trail.record(application_stopped)

    lines = file.read_bytes().splitlines()
    assert [fromstring(line).find("ActiveParticipant").attrib["UserID"] for line in lines] == ["N", "M", "N"]
    assert file.stat().st_mode & 0o007 == 0


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path, capfd):
    """The log says so."""
    with AuditTrail(AuditConfig(), tmp_path / "none" / "audit.log", "N") as trail:
        trail.record(application_started)

    assert "audit.not_written" in "".join(capfd.readouterr())


HEADER = re.compile(rb"<85>1 \S+ \S+ ECHO_SCP \d+ DICOM\+RFC3881 - \xef\xbb\xbf(<\?xml.*)")


def test_a_collector_gets_datagrams(tmp_path):
    """RFC 5424 over UDP (RFC 5426)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(10)
        config = AuditConfig(syslog_host="127.0.0.1", syslog_port=collector.getsockname()[1])
        with AuditTrail(config, None, "ECHO_SCP") as trail:
            trail.record(partial(instances_accessed, study=STUDY))
            line = collector.recv(65536)

    assert fromstring(HEADER.fullmatch(line)[1]).tag == "AuditMessage"


def test_a_collector_gets_counted_octets_over_tcp(tmp_path):
    """RFC 5425 4.3."""
    with socket.create_server(("127.0.0.1", 0)) as collector:
        collector.settimeout(10)
        config = AuditConfig(syslog_host="127.0.0.1", syslog_port=collector.getsockname()[1], syslog_transport="tcp")
        with AuditTrail(config, None, "ECHO_SCP") as trail:
            trail.record(application_started)
            connection, _ = collector.accept()
            with connection, connection.makefile("rb") as stream:
                length, _, line = stream.read().partition(b" ")

    assert int(length) == len(line)
    assert HEADER.fullmatch(line)


def test_a_collector_that_is_away_stops_nothing(tmp_path, free_port):
    """The file has the message all the same."""
    file = tmp_path / "audit.log"
    config = AuditConfig(syslog_host="127.0.0.1", syslog_port=free_port, syslog_transport="tcp")
    with AuditTrail(config, file, "N") as trail:
        trail.record(application_started)

    assert Path(file).read_bytes().count(b"AuditMessage") == 2


def received(collector: socket.socket) -> bytes:
    """The next message that comes over TCP."""
    connection, _ = collector.accept()
    with connection, connection.makefile("rb") as stream:
        line = HEADER.fullmatch(stream.read().partition(b" ")[2])
    assert line is not None
    return line[1]


def test_what_a_collector_missed_is_sent_when_it_is_back(free_port, monkeypatch):
    """In order, from the first message that it missed."""
    monkeypatch.setattr("echo_scp.audit.trail._RETRY_S", 0.05)
    config = AuditConfig(syslog_host="127.0.0.1", syslog_port=free_port, syslog_transport="tcp")
    missed = threading.Event()
    send = AuditTrail._send

    def watched(trail: AuditTrail, line: bytes) -> None:
        try:
            send(trail, line)
        except OSError:
            missed.set()
            raise

    monkeypatch.setattr(AuditTrail, "_send", watched)
    with AuditTrail(config, None, "ECHO_SCP") as trail:
        trail.record(application_started)
        trail.record(application_stopped)
        assert missed.wait(10)
        with socket.create_server(("127.0.0.1", free_port)) as collector:
            collector.settimeout(10)
            lines = [received(collector) for _ in range(2)]

    assert [code(fromstring(line), "EventIdentification/EventTypeCode") for line in lines] == ["110120", "110121"]


def test_a_node_ends_though_its_collector_is_away_and_everything_waits(free_port, monkeypatch):
    """What waits is in the file."""
    monkeypatch.setattr("echo_scp.audit.trail._WAITING", 1)
    config = AuditConfig(syslog_host="127.0.0.1", syslog_port=free_port, syslog_transport="tcp")
    with AuditTrail(config, None, "N") as trail:
        for _ in range(4):
            trail.record(application_started)

    assert not trail._thread.is_alive()
