"""Remove local copies of studies that their destinations have, when the disk fills; never others.

Two steps, so that a crash at any point leaves no file without its row and no row without its file: one transaction
forgets the study's instances and notes their files; then each file is removed, unless it has come again meanwhile.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

import structlog

from echo_scp.audit import AuditTrail, Study, study_deleted
from echo_scp.config import Config
from echo_scp.database.connection import Database, Transaction
from echo_scp.decode import read_instance
from echo_scp.errors import InstanceError, UnindexableFileError
from echo_scp.metrics import PURGED_STUDIES
from echo_scp.report.results import RESULTS_NAME
from echo_scp.spool import Spool

_STUCK_STUDIES = 3  # of which files cannot be removed: as many mean that it is not the files

log = structlog.get_logger(__name__)


def disk_used_percent(folder: Path) -> float:
    """Return how full the disk of a folder is, for those who may not use what is reserved for root."""
    disk = shutil.disk_usage(folder)
    return 100.0 * (1.0 - disk.free / (disk.used + disk.free))


class Retention:
    """Keeps the disk below its watermark. Several hosts may do so on one database."""

    def __init__(
        self, config: Config, database: Database, spool: Spool, audit: AuditTrail, used_percent: Callable[[], float]
    ) -> None:
        self._settings = config.retention
        self._committing = [destination.name for destination in config.destinations if destination.commitment]
        self._database = database
        self._spool = spool
        self._audit = audit
        self._used_percent = used_percent
        self._stuck: set[str] = set()  # files that this run could not remove

    def run(self) -> int:
        """Purge from the high watermark down to the low one, longest received first; return how many studies.

        Nothing is forgotten whose files would stay: while the store is not there, or takes no removal.
        """
        if not self._spool.has_store:
            return 0
        self._stuck.clear()
        self._remove_files()  # what an earlier run was stopped at
        settings, count = self._settings, 0
        if not settings.high_watermark_percent or self._used_percent() <= settings.high_watermark_percent:
            return 0
        while (
            len({Path(name).parent.parent.name for name in self._stuck}) < _STUCK_STUDIES
            and self._used_percent() > settings.low_watermark_percent
            and self._purge_next()
        ):
            count += 1
        if self._used_percent() > settings.high_watermark_percent:
            log.warning("retention.nothing_left_to_purge", purged=count)
        return count

    def _purge_next(self) -> bool:
        with self._database.transaction() as transaction:
            row = transaction.row(
                "take_purgeable_study",
                minimum_age_s=self._settings.minimum_age_h * 3600,
                committing=self._committing,
            )
            if row is None:
                return False
            uid = cast(str, row[0])
            paths = [Path(str(path)) for (path,) in transaction.rows("study_files", study_instance_uid=uid)]
            study = _audited(uid, paths)
            transaction.execute("forget_study_files", study_instance_uid=uid)
        self._audit.record(partial(_deleted_message, study))
        PURGED_STUDIES.add()
        log.info("study.purged", study_instance_uid=uid, files=len(paths))
        self._remove_files()
        return True

    def _remove_files(self) -> None:
        while self._remove_next():
            pass

    def _remove_next(self) -> bool:
        with self._database.transaction() as transaction:
            row = transaction.row("take_purged_file", stuck=list(self._stuck))
            if row is None:
                return False
            name = str(row[0])
            try:
                self._remove(transaction, name, str(row[1]))
            except OSError as error:  # its row stays for the next run
                self._stuck.add(name)
                log.error("retention.not_removed", path=name, detail=str(error))
            return True

    def _remove(self, transaction: Transaction, name: str, sop_instance_uid: str) -> None:
        """Remove one file, under the lock that the indexer holds while it stores an instance of that UID."""
        transaction.execute("lock_sop_instance", sop_instance_uid=sop_instance_uid)
        if transaction.row("instance_at", path=name) is None:
            _unlink(Path(name))
        transaction.execute("forget_purged_file", path=name)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)
    if (path.parent / RESULTS_NAME).exists():  # the pictures and values of the same revision go with its objects
        shutil.rmtree(path.parent, ignore_errors=True)
    with suppress(OSError):  # a folder that is not empty stays
        path.parent.rmdir()
    with suppress(OSError):
        path.parent.parent.rmdir()


def _audited(study_instance_uid: str, paths: list[Path]) -> Study:
    patients: set[str] = set()
    for path in paths:
        with suppress(OSError, InstanceError, UnindexableFileError):
            patients.add(str(read_instance(path).header.get("PatientID") or ""))
    return Study(study_instance_uid, tuple(sorted(patients - {""})))


def _deleted_message(study: Study, node: str, now: datetime) -> bytes:
    return study_deleted(node, now, study)
