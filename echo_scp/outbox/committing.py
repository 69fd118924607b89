"""Ask destinations for Storage Commitment of what they took, and keep their answers."""

from __future__ import annotations

from collections.abc import Set
from datetime import timedelta
from typing import cast

import structlog
from pydicom.uid import generate_uid

from echo_scp.commitment import CommitmentReport, Reference
from echo_scp.config import Config, DeliverConfig, Destination
from echo_scp.database.connection import Database, Transaction
from echo_scp.deliver import request_commitment
from echo_scp.errors import DeliveryError
from echo_scp.metrics import COMMITMENTS
from echo_scp.outbox.queue import retry_wait_s

_ASKED = 500  # objects in one request
_REPORTS_AWAITED_S = 30 * 86400.0
_ASKING_TIMEOUTS = 4  # to connect, to associate, to be answered, and the report

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
        transaction_uid = str(generate_uid(prefix=None))
        references, wait_s = self._take(transaction_uid)
        if references:
            self._ask(transaction_uid, references, wait_s)
        return bool(references)

    def _take(self, transaction_uid: str) -> tuple[list[Reference], float]:
        """Return what is to be asked, ours for as long as asking takes, and how long it then rests without an answer.

        The request is in the tables before it is made: its report may come to another process at once.
        """
        with self._database.transaction() as transaction:
            asking_s = _ASKING_TIMEOUTS * self._settings.timeout_s
            taken = transaction.rows(
                "take_uncommitted",
                destination=self._destination.name,
                longest_wait=timedelta(seconds=self._settings.maximum_retry_s + 2 * asking_s),
                limit=_ASKED,
            )
            rows = cast("list[tuple[str, str, int]]", taken)
            if not rows:
                return [], 0.0
            attempt = 1 + max(failure_count for _, _, failure_count in rows)
            wait_s = retry_wait_s(self._settings.first_retry_s, self._settings.maximum_retry_s, attempt)
            uids = [uid for uid, _, _ in rows]
            self._execute(
                transaction, "note_commitment_request", transaction_uid=transaction_uid, sop_instance_uids=uids
            )
            transaction.execute("forget_commitment_requests", kept_s=_REPORTS_AWAITED_S)
            self._execute(
                transaction,
                "commitment_asked",
                sop_instance_uids=uids,
                wait_s=wait_s + asking_s,
            )
        return [Reference(sop_class_uid, uid) for uid, sop_class_uid, _ in rows], wait_s

    def _ask(self, transaction_uid: str, references: list[Reference], wait_s: float) -> None:
        try:
            report = request_commitment(
                self._destination, self._calling_ae_title, self._settings.timeout_s, transaction_uid, references
            )
            detail = "" if report else "no report of Storage Commitment came"
        except DeliveryError as error:
            report, detail = None, error.detail
        except Exception as error:  # the edge of a request: else it would end the thread that sends
            log.exception("commitment.request_failed", destination=self._destination.name)
            report, detail = None, f"the request for Storage Commitment failed: {type(error).__name__}"
        asked = frozenset(each.sop_instance_uid for each in references)
        report = answer_to(asked, report) if report else CommitmentReport(frozenset(), ())
        unanswered = sorted(asked - report.committed - {uid for uid, _ in report.failed})
        with self._database.transaction() as transaction:
            record_report(transaction, self._destination.name, report, self._settings)
            if unanswered:
                self._execute(
                    transaction, "commitment_unanswered", sop_instance_uids=unanswered, detail=detail, wait_s=wait_s
                )
        if unanswered:
            COMMITMENTS.add(len(unanswered), destination=self._destination.name, outcome="unanswered")
            log.warning("commitment.unanswered", destination=self._destination.name, detail=detail)

    def _execute(self, transaction: Transaction, name: str, **parameters: object) -> None:
        transaction.execute(name, destination=self._destination.name, **parameters)


def answer_to(asked: Set[str], report: CommitmentReport) -> CommitmentReport:
    """Return what a report says of what was asked; of other objects it is not believed."""
    return CommitmentReport(report.committed & asked, tuple(each for each in report.failed if each[0] in asked))


def record_report(
    transaction: Transaction, destination: str, report: CommitmentReport, settings: DeliverConfig
) -> None:
    """Keep what was answered; what the destination does not have (any more) is sent again, as the same object.

    Later each time and not for ever: there are archives that take an object and never answer for it.

    Only of what counts as delivered: an older report changes nothing of an object that is on its way again.
    """
    committed = transaction.rows(
        "delivery_committed", destination=destination, sop_instance_uids=sorted(report.committed)
    )
    if committed:
        COMMITMENTS.add(len(committed), destination=destination, outcome="committed")
        log.info("commitment.given", destination=destination, objects=len(committed))
    for uid, reason in report.failed:
        detail = f"Storage Commitment failed with reason 0x{reason:04X}"
        row = transaction.row(
            "commitment_failed",
            sop_instance_uid=uid,
            destination=destination,
            detail=detail,
            first_s=settings.first_retry_s,
            maximum_s=settings.maximum_retry_s,
            give_up_after_s=settings.give_up_after_h * 3600,
        )
        if row is None:
            continue
        COMMITMENTS.add(destination=destination, outcome="failed")
        log.warning("commitment.failed", destination=destination, sop_instance_uid=uid, detail=detail)
        if row[0] == "given_up":
            log.warning("delivery.given_up", destination=destination, sop_instance_uid=uid)
