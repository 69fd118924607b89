"""The store path: a C-STORE request -> a durable object in the spool -> the status that says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from echo_scp import metrics
from echo_scp.errors import StorageError
from echo_scp.receive.status import Status
from echo_scp.spool import Spool, SpooledIdentity, SpoolFile

log = structlog.get_logger(__name__)


class Reception:
    """One object between its command set and its status. The data set is neither decoded nor changed.

    What fails is remembered: the rest of the object is thrown away, and the sender hears of it at the end.
    """

    def __init__(self, spool: Spool, identity: SpooledIdentity, on_spooled: Callable[[], None]) -> None:
        """Begin an object; `on_spooled` is called when it is durable and answered, in the association's thread."""
        self._identity = identity
        self._on_spooled = on_spooled
        self._byte_count = 0
        self._status = Status.SUCCESS
        self._file: SpoolFile | None = None
        self._path: str | None = None
        try:
            self._file = spool.open(identity)
        except Exception as error:  # noqa: BLE001 - the edge of a DIMSE handler
            self._fail(error)

    def write(self, pieces: Sequence[memoryview]) -> None:
        """Take the next bytes of the data set. Never raises."""
        if self._file is None:
            return
        try:
            self._file.write(pieces)
        except Exception as error:  # noqa: BLE001 - the edge of a DIMSE handler
            self._fail(error)

    def finish(self) -> Status:
        """Answer Success when, and only when, the bytes of the request are durable (PS3.4 B.2.3)."""
        if self._file is None:
            return self._status
        try:
            self._path = self._file.commit()
            self._byte_count = self._file.data_set_bytes
            self._file = None
        except Exception as error:  # noqa: BLE001 - the edge of a DIMSE handler
            self._fail(error)
        return self._status

    def answered(self) -> None:
        """Tell of a stored object; after the response, for which the sender waits."""
        if self._path is None:
            return
        metrics.INSTANCES_RECEIVED.add(outcome="stored")
        metrics.RECEIVED_BYTES.add(self._byte_count)
        log.info("instance.spooled", **self._told(), file=self._path.rpartition("/")[2], bytes=self._byte_count)
        self._on_spooled()

    def abandon(self) -> None:
        """Leave nothing of an object that did not come to its end."""
        if self._file is not None:
            self._file.abort()
            self._file = None

    def _fail(self, error: Exception) -> None:
        self.abandon()
        if isinstance(error, StorageError):
            self._status = Status.OUT_OF_RESOURCES
            metrics.INSTANCES_RECEIVED.add(outcome="refused")
            log.error("instance.refused", **self._told(), reason=str(error))
        else:
            self._status = Status.PROCESSING_FAILURE
            metrics.INSTANCES_RECEIVED.add(outcome="failed")
            log.error("instance.failed", **self._told(), exc_info=error)

    def _told(self) -> dict[str, str]:
        return {
            "sop_instance_uid": self._identity.sop_instance_uid,
            "sop_class_uid": self._identity.sop_class_uid,
            "transfer_syntax_uid": self._identity.transfer_syntax_uid,
            "calling_ae_title": self._identity.calling_ae_title,
        }
