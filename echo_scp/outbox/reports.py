"""Reports of Storage Commitment that archives brought on associations of their own -> the tables."""

from __future__ import annotations

from collections.abc import Mapping
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
        self._ae_titles: Mapping[str, str] = {each.name: each.ae_title for each in config.destinations}
        self._retry_s = config.deliver.first_retry_s
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
        """Believe an archive what it was asked, and nobody else."""
        with self._database.transaction() as transaction:
            row = transaction.row("commitment_request", transaction_uid=told.transaction_uid)
            destination, asked = ("", []) if row is None else cast("tuple[str, list[str]]", row)
            if self._ae_titles.get(destination) != told.calling_ae_title:
                log.warning(
                    "commitment.not_awaited",
                    transaction_uid=told.transaction_uid,
                    calling_ae_title=told.calling_ae_title,
                )
                return
            record_report(transaction, destination, answer_to(frozenset(asked), told.report), self._retry_s)
