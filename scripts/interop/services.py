"""What other programs ask of the node beside storing: verification, storage commitment, procedure steps."""

from __future__ import annotations

import queue
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID, generate_uid
from pynetdicom import AE, evt
from pynetdicom.association import Association

from scripts.interop import senders, tools
from scripts.interop.node import Node, Target, wait_until
from scripts.interop.seen import Seen, good, limited, not_run, wrong
from scripts.interop.tools import Tool
from scripts.viewer.archive import Orthanc

_COMMITMENT = UID("1.2.840.10008.1.20.1")
_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
_STEP = UID("1.2.840.10008.3.1.2.3.3")
_REPORT_S = 60.0  # ten seconds after the answer the node calls who asked


@dataclass(frozen=True, slots=True)
class Served:
    """What one program asked, and what came of it."""

    service: str
    program: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class Instance:
    """Something that the node has."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


def instance_of(path: Path) -> Instance:
    ds = dcmread(path, stop_before_pixels=True)
    return Instance(ds.SOPClassUID, ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID)


def echoes(node: Node, orthanc: Orthanc | None, *, asks_for_certificates: bool) -> Iterator[Served]:
    """Verify the node with each program, plain and over TLS; one without a certificate must be let in, or must not."""
    anonymous = "C-ECHO over TLS without a certificate"
    for program, tool, echo in _echoes(orthanc):
        asked = (("C-ECHO", node.plain()), ("C-ECHO over TLS with a certificate", node.secure()))
        for service, target in asked if asks_for_certificates else ():
            complaint = "" if tool.missing else echo(target)
            yield Served(service, program, _seen(tool, wrong("refused", complaint) if complaint else good("answered")))
        if program == "Orthanc" and not tool.missing:
            yield Served(_where(anonymous, asks_for_certificates), program, limited("it always shows its own"))
            continue
        complaint = "" if tool.missing else echo(node.anonymous())
        if asks_for_certificates:
            seen = good("refused, as it must be") if complaint else wrong("answered, and must not be")
        else:
            seen = wrong("refused", complaint) if complaint else good("answered")
        yield Served(_where(anonymous, asks_for_certificates), program, _seen(tool, seen))


def _where(service: str, asks_for_certificates: bool) -> str:
    return f"{service}, `authorities` {'set' if asks_for_certificates else 'not set'}"


def _echoes(orthanc: Orthanc | None) -> Iterator[tuple[str, Tool, Callable[[Target], str]]]:
    yield "echoscu", tools.dcmtk(), senders.dcmtk_echo
    yield "Orthanc", tools.orthanc(), lambda to: senders.orthanc_echo(orthanc, to)
    yield "dcmjs-dimse", tools.dcmjs_dimse(), senders.dcmjs_echo
    yield "pynetdicom", tools.pynetdicom_(), senders.pynetdicom_echo


def commitments(node: Node, orthanc: Orthanc | None, instance: Instance) -> Iterator[Served]:
    """Ask for storage commitment of an instance that the node has."""
    service = "Storage Commitment"
    dcmjs, orthanc_tool = tools.dcmjs_dimse(), tools.orthanc()
    yield Served(service, "dcmjs-dimse", not_run(dcmjs.missing) if dcmjs.missing else _dcmjs_commit(node, instance))
    yield Served(
        service, "Orthanc", _orthanc_commit(orthanc, node, instance) if orthanc else not_run(orthanc_tool.missing)
    )
    yield Served(service, "pynetdicom", _pynetdicom_commit(node, instance))


def _dcmjs_commit(node: Node, instance: Instance) -> Seen:
    references = [(instance.sop_class_uid, instance.sop_instance_uid)]
    order = {"do": "commit", "transaction": generate_uid(prefix=None), "references": references}
    answer = senders.dcmjs(order, node.plain())
    if answer.get("committed") == [instance.sop_instance_uid]:
        return good("committed, report on the same association")
    return wrong("no report", str(answer))


def _orthanc_commit(orthanc: Orthanc, node: Node, instance: Instance) -> Seen:
    """Orthanc takes the report on an association of the node's own: it must be a destination of the node."""
    reference = {"SOPClassUID": instance.sop_class_uid, "SOPInstanceUID": instance.sop_instance_uid}
    try:
        with senders.orthanc_modality(orthanc, node.plain()) as modality:
            asked = orthanc.tell("POST", f"{modality}/storage-commitment", {"DicomInstances": [reference]})
    except urllib.error.HTTPError as error:
        return wrong("refused", f"HTTP {error.code}")
    wait_until(lambda: orthanc.get(asked["Path"])["Status"] != "Pending", _REPORT_S)
    status = orthanc.get(asked["Path"])["Status"]
    return good("committed, report on an association of the node's") if status == "Success" else wrong(status)


def _pynetdicom_commit(node: Node, instance: Instance) -> Seen:
    reports: queue.SimpleQueue[Dataset] = queue.SimpleQueue()

    def report(event: evt.Event) -> tuple[int, None]:
        reports.put(event.event_information)
        return 0x0000, None

    item, request = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    request.TransactionUID, request.ReferencedSOPSequence = generate_uid(prefix=None), [item]
    ae = AE(ae_title=senders.CALLING)
    ae.add_requested_context(_COMMITMENT)
    handlers = [(evt.EVT_N_EVENT_REPORT, report)]
    with senders.pynetdicom_association(ae, node.plain(), evt_handlers=handlers) as association:
        status, _ = association.send_n_action(request, 1, _COMMITMENT, _COMMITMENT_INSTANCE)
        try:
            told = reports.get(timeout=_REPORT_S)
        except queue.Empty:
            return wrong("no report", str(status))
    committed = [each.ReferencedSOPInstanceUID for each in told.get("ReferencedSOPSequence", ())]
    good_answer = committed == [instance.sop_instance_uid]
    return good("committed, report on the same association") if good_answer else wrong("not committed", str(told))


def procedure_steps(node: Node, instance: Instance) -> Iterator[Served]:
    """Tell of a procedure step that began and is complete; the node's table must know both."""
    service, dcmjs = "MPPS N-CREATE, N-SET", tools.dcmjs_dimse()
    yield Served(service, "dcmjs-dimse", not_run(dcmjs.missing) if dcmjs.missing else _dcmjs_step(node, instance))
    yield Served(service, "pynetdicom", _pynetdicom_step(node, instance))


def _dcmjs_step(node: Node, instance: Instance) -> Seen:
    uid = str(generate_uid(prefix=None))
    order = {
        "do": "step",
        "step": uid,
        "study": instance.study_instance_uid,
        "series": instance.series_instance_uid,
        "references": [(instance.sop_class_uid, instance.sop_instance_uid)],
    }
    answer = senders.dcmjs(order, node.plain())
    return _judge_step(node, uid, instance, str(answer))


def _pynetdicom_step(node: Node, instance: Instance) -> Seen:
    uid = generate_uid(prefix=None)
    ae = AE(ae_title=senders.CALLING)
    ae.add_requested_context(_STEP)
    with senders.pynetdicom_association(ae, node.plain()) as association:
        statuses = _tell_step(association, uid, instance)
    return _judge_step(node, str(uid), instance, str(statuses))


def _tell_step(association: Association, uid: UID, instance: Instance) -> list[Dataset]:
    scheduled, begun, series, reference, ended = (Dataset() for _ in range(5))
    scheduled.StudyInstanceUID = instance.study_instance_uid
    begun.PerformedProcedureStepStatus = "IN PROGRESS"
    begun.ScheduledStepAttributesSequence, begun.PerformedSeriesSequence = [scheduled], []
    reference.ReferencedSOPClassUID = instance.sop_class_uid
    reference.ReferencedSOPInstanceUID = instance.sop_instance_uid
    series.SeriesInstanceUID, series.ReferencedImageSequence = instance.series_instance_uid, [reference]
    ended.PerformedProcedureStepStatus, ended.PerformedSeriesSequence = "COMPLETED", [series]
    return [association.send_n_create(begun, _STEP, uid)[0], association.send_n_set(ended, _STEP, uid)[0]]


def _judge_step(node: Node, uid: str, instance: Instance, detail: str) -> Seen:
    wanted = (uid, "COMPLETED", [instance.study_instance_uid], [instance.sop_instance_uid])
    query = "SELECT sop_instance_uid, state, study_instance_uids, instance_uids FROM procedure_step"
    if wait_until(lambda: wanted in node.rows(query), 30):
        return good("complete, with its study and instance")
    return wrong("not noted", detail)


def _seen(tool: Tool, seen: Seen) -> Seen:
    return not_run(tool.missing) if tool.missing else seen
