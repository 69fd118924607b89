"""Storage Commitment SCU (PS3.4 J.3): ask a destination whether it answers for what it has taken."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable

from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.presentation import build_context

from echo_scp.commitment import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    CommitmentReport,
    Reference,
    read_report,
)
from echo_scp.config import Destination
from echo_scp.deliver.dimse import associate
from echo_scp.deliver.outcome import SUCCESS
from echo_scp.errors import DestinationRefusedError, DestinationUnreachableError, ObjectNotSupportedError

_REQUEST = 1  # Action Type ID (PS3.4 J.3.2.1)
_SAME_ASSOCIATION_S = 10.0  # an archive that takes longer reports on an association of its own


class _AwaitedReport:
    """The report of one transaction. It counts once our response to it is sent: to release before takes that away."""

    def __init__(self, transaction_uid: str) -> None:
        self._transaction_uid = transaction_uid
        self._taken: Dataset | None = None
        self._confirmed: queue.SimpleQueue[Dataset] = queue.SimpleQueue()

    def take(self, event: Event) -> tuple[int, None]:
        """Handle an N-EVENT-REPORT."""
        information = event.event_information
        if information.get("TransactionUID") == self._transaction_uid:
            self._taken = information
        return SUCCESS, None

    def confirmed(self, event: Event) -> None:
        """Handle a sent PDU: the first P-DATA after the report is the response to it."""
        if self._taken is not None and isinstance(event.pdu, P_DATA_TF):
            self._confirmed.put(self._taken)

    def confirmed_report(self, timeout_s: float) -> Dataset:
        """Return the report. Raises queue.Empty when it is not there in time."""
        return self._confirmed.get(timeout=timeout_s)


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
    awaited = _AwaitedReport(transaction_uid)
    handlers = [(evt.EVT_N_EVENT_REPORT, awaited.take), (evt.EVT_PDU_SENT, awaited.confirmed)]
    contexts = [build_context(STORAGE_COMMITMENT)]
    with associate(destination, calling_ae_title, timeout_s, contexts, handlers) as association:
        if association is None:
            raise ObjectNotSupportedError(destination.name, "does not accept Storage Commitment")
        status, _ = association.send_n_action(
            _request(transaction_uid, references),
            _REQUEST,
            STORAGE_COMMITMENT,
            STORAGE_COMMITMENT_INSTANCE,
        )
        _require_success(destination, status)
        deadline = time.monotonic() + min(timeout_s, _SAME_ASSOCIATION_S)
        while association.is_established and (left_s := deadline - time.monotonic()) > 0:
            try:
                return read_report(awaited.confirmed_report(timeout_s=min(left_s, 0.2)))
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
