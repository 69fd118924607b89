"""Reports of Storage Commitment that destinations send on associations of their own (PS3.4 J.3.3) -> the outbox.

A receiver keeps the report before it says Success. Here it is matched, by its transaction, to what was asked: a report
that answers no request of ours, or names objects that were not asked for, commits nothing.
"""

from __future__ import annotations

from typing import cast

import structlog

from echo_scp.commitment import CommitmentDesk, ReceivedReport
from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.deliver import CommitmentReport
from echo_scp.outbox.committing import record_report
from echo_scp.spool import Spool

UNMATCHED_FOR_S = 3600.0  # it may be here before the request that it answers is in the table

log = structlog.get_logger(__name__)


class Reports:
    """Takes up what lies there. Used by one thread."""

    def __init__(self, config: Config, spool: Spool, database: Database) -> None:
        self._resend_after_s = config.deliver.first_retry_s
        self._commitments = CommitmentDesk(spool)
        self._database = database

    def work(self, now: float) -> None:
        """Record all that can be matched now (seconds since 1970). Raises DatabaseUnavailableError."""
        for report in self._commitments.reports():
            told = {"transaction_uid": report.transaction_uid, "calling_ae_title": report.calling_ae_title}
            if self._record(report):
                log.info("commitment.report_taken", **told)
            elif now - report.reported_at > UNMATCHED_FOR_S:
                log.warning("commitment.report_unmatched", **told)
            else:
                continue
            self._commitments.forget_report(report)

    def _record(self, report: ReceivedReport) -> bool:
        """Record a report with the request that it answers; return False when there is none."""
        with self._database.transaction() as transaction:
            row = transaction.row("take_commitment_request", transaction_uid=report.transaction_uid)
            if row is None:
                return False
            destination, asked = str(row[0]), frozenset(cast("list[str]", row[1]))
            answered = CommitmentReport(
                asked.intersection(report.committed),
                tuple((uid, reason) for uid, reason in report.failed if uid in asked),
            )
            record_report(transaction, destination, answered, self._resend_after_s)
        return True
