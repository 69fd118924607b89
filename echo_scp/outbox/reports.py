"""Reports of Storage Commitment that archives brought on associations of their own -> the tables."""

from __future__ import annotations

from typing import cast

import structlog

from echo_scp.commitment import ArchiveReport, CommitmentDesk
from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.outbox.committing import answer_to, record_report
from echo_scp.spool import Spool

log = structlog.get_logger(__name__)


class ArchiveReports:
    """Takes up what the receivers kept. Used by one thread."""

    def __init__(self, config: Config, spool: Spool, database: Database) -> None:
        self._settings = config.deliver
        self._desk = CommitmentDesk(spool)
        self._database = database

    def work(self, now: float) -> None:
        """Take up what is there. Raises DatabaseUnavailableError; what is not taken up then stays."""
        for path, told in self._desk.reports():
            try:
                self._take_up(told)
            except ValueError as error:  # what a peer wrote must not keep the others waiting
                log.error("commitment.unusable", transaction_uid=told.transaction_uid, detail=str(error))
            path.unlink(missing_ok=True)

    def _take_up(self, told: ArchiveReport) -> None:
        """Believe what answers a transaction of ours, by any AE title: its UID is told to that archive alone."""
        about = {"transaction_uid": told.transaction_uid, "calling_ae_title": told.calling_ae_title}
        with self._database.transaction() as transaction:
            row = transaction.row("commitment_request", transaction_uid=told.transaction_uid)
            if row is None:
                log.warning("commitment.not_awaited", **about)
                return
            destination, asked = cast("tuple[str, list[str]]", row)
            record_report(transaction, destination, answer_to(frozenset(asked), told.report), self._settings)
            log.info("commitment.report_taken", **about)
