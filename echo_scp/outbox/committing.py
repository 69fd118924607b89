"""Ask destinations for Storage Commitment of what they took, and keep their answers."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import structlog
from pydicom.uid import generate_uid

from echo_scp.config import Config, Destination
from echo_scp.database.connection import Database, Transaction
from echo_scp.deliver import CommitmentReport, Reference, request_commitment
from echo_scp.errors import DeliveryError
from echo_scp.metrics import COMMITMENTS
from echo_scp.outbox.queue import retry_wait_s

_ASKED = 500  # objects in one request

log = structlog.get_logger(__name__)


class Committing:
    """Asks one destination. Holds no state: several threads may use it at once."""

    def __init__(self, config: Config, destination: Destination, database: Database) -> None:
        self._destination = destination
        self._database = database
        self._calling_ae_title = config.receive.ae_title
        self._settings = config.deliver

    def ask_due(self) -> bool:
        """Ask the destination whether it answers for what it took; return False when there was nothing to ask."""
        if not self._destination.commitment:
            return False
        with self._database.transaction() as transaction:
            longest_wait = timedelta(seconds=self._settings.maximum_retry_s + self._settings.timeout_s)
            rows = transaction.rows(
                "take_uncommitted", destination=self._destination.name, longest_wait=longest_wait, limit=_ASKED
            )
            if rows:
                self._ask(transaction, cast("list[tuple[str, str, int]]", rows))
        return bool(rows)

    def _ask(self, transaction: Transaction, rows: list[tuple[str, str, int]]) -> None:
        references = [Reference(sop_class_uid, uid) for uid, sop_class_uid, _ in rows]
        timeout_s, transaction_uid = self._settings.timeout_s, str(generate_uid(prefix=None))
        try:
            report = request_commitment(
                self._destination, self._calling_ae_title, timeout_s, transaction_uid, references
            )
            detail = "" if report else "no report of Storage Commitment came"
        except DeliveryError as error:
            report, detail = None, error.detail
        except Exception as error:  # the edge of a request: else it would be made again every second
            log.exception("commitment.request_failed", destination=self._destination.name)
            report, detail = None, f"the request for Storage Commitment failed: {type(error).__name__}"
        attempt = 1 + max(failure_count for _, _, failure_count in rows)
        wait_s = retry_wait_s(self._settings.first_retry_s, self._settings.maximum_retry_s, attempt)
        asked = frozenset(uid for uid, _, _ in rows)
        report = _answer_to(asked, report) if report else CommitmentReport(frozenset(), ())
        self._record_commitment(transaction, report, wait_s)
        unanswered = sorted(asked - report.committed - {uid for uid, _ in report.failed})
        if unanswered:
            self._execute(
                transaction, "commitment_unanswered", sop_instance_uids=unanswered, detail=detail, wait_s=wait_s
            )
            COMMITMENTS.add(len(unanswered), destination=self._destination.name, outcome="unanswered")
            log.warning("commitment.unanswered", destination=self._destination.name, detail=detail)

    def _record_commitment(self, transaction: Transaction, report: CommitmentReport, wait_s: float) -> None:
        """Keep what was answered; what the destination does not have (any more) is sent again, as the same object."""
        if report.committed:
            self._execute(transaction, "delivery_committed", sop_instance_uids=list(report.committed))
            COMMITMENTS.add(len(report.committed), destination=self._destination.name, outcome="committed")
            log.info("commitment.given", destination=self._destination.name, objects=len(report.committed))
        for uid, reason in report.failed:
            detail = f"Storage Commitment failed with reason 0x{reason:04X}"
            self._execute(transaction, "commitment_failed", sop_instance_uid=uid, detail=detail, wait_s=wait_s)
            COMMITMENTS.add(destination=self._destination.name, outcome="failed")
            log.warning("commitment.failed", destination=self._destination.name, sop_instance_uid=uid, detail=detail)

    def _execute(self, transaction: Transaction, name: str, **parameters: object) -> None:
        transaction.execute(name, destination=self._destination.name, **parameters)


def _answer_to(asked: frozenset[str], report: CommitmentReport) -> CommitmentReport:
    """Return what a report says of what was asked: what waits to be sent is not committed by a mistake."""
    return CommitmentReport(report.committed & asked, tuple(each for each in report.failed if each[0] in asked))
