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
            detail = "" if report else "no report of Storage Commitment came yet"
            has_been_asked = True
        except DeliveryError as error:
            report, detail, has_been_asked = None, error.detail, False
        attempt = 1 + max(failure_count for _, _, failure_count in rows)
        wait_s = retry_wait_s(self._settings.first_retry_s, self._settings.maximum_retry_s, attempt)
        record_report(transaction, self._destination.name, report or CommitmentReport(frozenset(), ()), wait_s)
        told = set() if report is None else report.committed | {uid for uid, _ in report.failed}
        unanswered = [uid for uid, _, _ in rows if uid not in told]
        if unanswered:
            asked = {"destination": self._destination.name, "sop_instance_uids": unanswered}
            transaction.execute("commitment_unanswered", detail=detail, wait_s=wait_s, **asked)
            if has_been_asked:  # the report may still come, on an association of the destination's own
                transaction.execute("insert_commitment_request", transaction_uid=transaction_uid, **asked)
            COMMITMENTS.add(len(unanswered), destination=self._destination.name, outcome="unanswered")
            tell = log.info if has_been_asked else log.warning
            tell("commitment.unanswered", destination=self._destination.name, detail=detail)


def record_report(transaction: Transaction, destination: str, report: CommitmentReport, wait_s: float) -> None:
    """Keep what was answered; what the destination does not have (any more) is sent again, as the same object."""
    if report.committed:
        transaction.execute("delivery_committed", destination=destination, sop_instance_uids=list(report.committed))
        COMMITMENTS.add(len(report.committed), destination=destination, outcome="committed")
        log.info("commitment.given", destination=destination, objects=len(report.committed))
    for uid, reason in report.failed:
        detail = f"Storage Commitment failed with reason 0x{reason:04X}"
        transaction.execute(
            "commitment_failed", destination=destination, sop_instance_uid=uid, detail=detail, wait_s=wait_s
        )
        COMMITMENTS.add(destination=destination, outcome="failed")
        log.warning("commitment.failed", destination=destination, sop_instance_uid=uid, detail=detail)
