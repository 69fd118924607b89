"""Storage Commitment SCU (PS3.4 J.3): ask a destination whether it answers for what it has taken."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_context

from echo_scp.config import Destination
from echo_scp.deliver.dimse import associate
from echo_scp.deliver.outcome import SUCCESS
from echo_scp.errors import DestinationRefusedError, DestinationUnreachableError, ObjectNotSupportedError

_PUSH_MODEL = UID("1.2.840.10008.1.20.1")
_PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
_REQUEST = 1  # Action Type ID (PS3.4 J.3.2.1)
_SAME_ASSOCIATION_S = 10.0  # an archive that takes longer reports on an association of its own


@dataclass(frozen=True, slots=True)
class Reference:
    """One object that the destination is asked about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """What the destination answered: committed SOP Instance UIDs, and those that failed with their reason."""

    committed: frozenset[str]
    failed: tuple[tuple[str, int], ...]


def request_commitment(
    destination: Destination,
    calling_ae_title: str,
    timeout_s: float,
    transaction_uid: str,
    references: Iterable[Reference],
) -> CommitmentReport | None:
    """Request commitment and wait a while for the report on the same association; None when none came.

    `timeout_s` is for each answer. The report may then come on an association of the destination's (PS3.4 J.3.3).
    Raises DestinationUnreachableError, DestinationRefusedError or ObjectNotSupportedError (no such service there).
    """
    reports: queue.SimpleQueue[Dataset] = queue.SimpleQueue()
    handlers = [(evt.EVT_N_EVENT_REPORT, _on_report, [transaction_uid, reports])]
    contexts = [build_context(_PUSH_MODEL)]
    with associate(destination, calling_ae_title, timeout_s, contexts, handlers) as association:
        if association is None:
            raise ObjectNotSupportedError(destination.name, "does not accept Storage Commitment")
        status, _ = association.send_n_action(
            _request(transaction_uid, references),
            _REQUEST,
            _PUSH_MODEL,
            _PUSH_MODEL_INSTANCE,
        )
        _require_success(destination, status)
        deadline = time.monotonic() + min(timeout_s, _SAME_ASSOCIATION_S)
        while association.is_established and (left_s := deadline - time.monotonic()) > 0:
            try:
                return read_report(reports.get(timeout=min(left_s, 0.2)))
            except queue.Empty:
                continue
    return None


def _request(transaction_uid: str, references: Iterable[Reference]) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = []
    for reference in references:
        item = Dataset()
        item.ReferencedSOPClassUID = reference.sop_class_uid
        item.ReferencedSOPInstanceUID = reference.sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request


def _require_success(destination: Destination, status: Dataset) -> None:
    if "Status" not in status:
        raise DestinationUnreachableError(destination.name, "no answer to the request for Storage Commitment")
    if status.Status != SUCCESS:
        detail = f"status 0x{status.Status:04X} to the request for Storage Commitment"
        raise DestinationRefusedError(destination.name, detail, status.Status)


def _on_report(event: Event, transaction_uid: str, reports: queue.SimpleQueue[Dataset]) -> tuple[int, None]:
    information = event.event_information
    if information.get("TransactionUID") == transaction_uid:
        reports.put(information)
    return SUCCESS, None


def read_report(information: Dataset) -> CommitmentReport:
    """Return what the Event Information of an N-EVENT-REPORT says (PS3.4 Table J.3-4)."""
    committed = frozenset(str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence") or ())
    failed = tuple(
        (str(item.ReferencedSOPInstanceUID), int(item.get("FailureReason") or 0))
        for item in information.get("FailedSOPSequence") or ()
    )
    return CommitmentReport(committed, failed)
