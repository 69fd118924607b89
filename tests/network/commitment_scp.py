"""A storage SCP that also answers for what it took: N-ACTION, and the N-EVENT-REPORT on the same association."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import Dataset
from pydicom.uid import UID, ComprehensiveSRStorage, SegmentationStorage
from pynetdicom import AE, evt

PUSH_MODEL = UID("1.2.840.10008.1.20.1")
PUSH_MODEL_INSTANCE = UID("1.2.840.10008.1.20.1.1")
NO_SUCH_OBJECT = 0x0112  # PS3.4 J.3.3.1.2


class CommitmentScp:
    """Commits everything but the instance `loses`; says nothing when it does not report."""

    def __init__(self, *, reports: bool = True) -> None:
        self.reports = reports
        self.loses = ""
        self.received: list[str] = []
        self.transaction_uids: list[str] = []
        self.confirmations: list[int | None] = []  # of its reports, by who asked
        self._threads: list[threading.Thread] = []
        self._ae = AE(ae_title="PACS")
        for uid in (ComprehensiveSRStorage, SegmentationStorage, PUSH_MODEL):
            self._ae.add_supported_context(uid)

    @contextmanager
    def running(self) -> Iterator[int]:
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_N_ACTION, self._act)]
        server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        try:
            yield server.server_address[1]
        finally:
            for thread in self._threads:
                thread.join()
            self._ae.shutdown()

    def _store(self, event: evt.Event) -> int:
        self.received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def _act(self, event: evt.Event) -> tuple[int, None]:
        self.transaction_uids.append(event.action_information.TransactionUID)
        if self.reports:
            thread = threading.Thread(target=self._report, args=(event.assoc, event.action_information))
            self._threads.append(thread)
            thread.start()
        return 0x0000, None

    def _report(self, association: object, request: Dataset) -> None:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        items = list(request.ReferencedSOPSequence)
        report.ReferencedSOPSequence = [item for item in items if item.ReferencedSOPInstanceUID != self.loses]
        failed = [item for item in items if item.ReferencedSOPInstanceUID == self.loses]
        for item in failed:
            item.FailureReason = NO_SUCH_OBJECT
        if failed:
            report.FailedSOPSequence = failed
        status, _ = association.send_n_event_report(report, 2 if failed else 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        self.confirmations.append(status.get("Status"))
