"""Spooled instances -> store and tables.

Order per file: link into the store (durable), commit the row, then remove the spooled name. A crash between any two
steps leaves the spooled file in place, and doing it all again changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from echo_scp.audit import AuditTrail, Party, Study, instances_transferred
from echo_scp.database.connection import Database, Transaction
from echo_scp.decode import read_instance
from echo_scp.errors import DatabaseUnavailableError, InstanceError, StorageError, UnindexableFileError
from echo_scp.model import is_own_result
from echo_scp.spool import Spool, dataset_digest

BATCH_FILES = 200
RETRY_S = 2.0
PUT_OFF_S = 10.0  # how long a file waits that could not be taken up
_FAILURES = 10  # in one call: more mean that it is not the files

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SpooledInstance:
    """What the tables need to know of a spooled file."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    dataset_sha256: str
    byte_count: int
    calling_ae_title: str
    received_at: datetime
    patient_id: str = field(default="", repr=False)  # for the audit trail only
    is_result: bool = False  # of echo-scp, this node or another one


def read_spooled(path: Path) -> SpooledInstance:
    """Return the identity of a spooled file; raises UnindexableFileError when it belongs to no study."""
    instance = read_instance(path)
    meta = instance.header.file_meta
    sha256, byte_count = dataset_digest(path)
    return SpooledInstance(
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.sop_instance_uid,
        instance.sop_class_uid,
        str(meta.TransferSyntaxUID),
        sha256,
        byte_count,
        str(meta.get("SourceApplicationEntityTitle", "")),
        datetime.fromtimestamp(path.stat().st_mtime, UTC),
        str(instance.header.get("PatientID") or ""),
        is_own_result(instance.header),
    )


class Indexer:
    """Takes up what lies in the spool, in batches, oldest first."""

    def __init__(
        self, spool: Spool, database: Database, on_received: Callable[[str], None], audit: AuditTrail | None = None
    ) -> None:
        """`on_received` is called with the Study Instance UID of each study that got something new."""
        self._spool = spool
        self._database = database
        self._on_received = on_received
        self._audit = audit
        self._indexed: list[SpooledInstance] = []  # since the last audit message
        self._put_off: dict[Path, float] = {}  # files that failed, and when they are tried again

    def index_all(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Index until the spool is empty or `stopping`; return how many files were taken up.

        A file that cannot be taken up stays in the spool for a later call; the others go on.
        """
        taken = failed = 0
        while not stopping() and failed < _FAILURES and (batch := self._due()):
            for path in batch[:BATCH_FILES]:
                if self._try(path):
                    taken += 1
                else:
                    failed += 1
                if stopping() or failed >= _FAILURES:
                    break
            self._record_received()
        return taken

    def _due(self) -> list[Path]:
        """Return what waits: what has not failed yet, then what failed a while ago."""
        ready, now = self._spool.ready(), time.monotonic()
        again = [path for path in ready if path in self._put_off and self._put_off[path] <= now]
        return [path for path in ready if path not in self._put_off] + again

    def _try(self, path: Path) -> bool:
        """Take a file up; return False, and leave it for later, when it cannot be. Raises DatabaseUnavailableError."""
        try:
            self._take_up(path)
        except DatabaseUnavailableError:
            raise
        except (InstanceError, StorageError, OSError) as error:
            log.error("instance.not_indexed", path=str(path), detail=str(error))
        except Exception:  # the edge of a file: whatever is wrong with one must not keep the others waiting
            log.exception("instance.not_indexed", path=str(path))
        else:
            self._put_off.pop(path, None)
            return True
        self._put_off[path] = time.monotonic() + PUT_OFF_S
        return False

    def _record_received(self) -> None:
        """Tell the audit trail what came, one message per study and sender."""
        indexed, self._indexed = self._indexed, []
        groups: dict[tuple[str, str], list[SpooledInstance]] = {}
        for instance in indexed:
            groups.setdefault((instance.study_instance_uid, instance.calling_ae_title), []).append(instance)
        if self._audit is not None:
            for (uid, sender), instances in groups.items():
                self._audit.record(partial(_received_message, Party(sender), _audited(uid, instances)))

    def _take_up(self, path: Path) -> None:
        study_instance_uid = self._index(path)
        if study_instance_uid is not None:
            self._on_received(study_instance_uid)
        if path.exists():
            self._spool.discard(path)

    def _index(self, path: Path) -> str | None:
        """Store one file; return its study when it brought something new."""
        try:
            instance = read_spooled(path)
            with self._database.transaction() as transaction:
                is_new = self._insert(transaction, path, instance)
        except UnindexableFileError as error:
            self._quarantine(path, error.detail)
            return None
        except ValueError as error:
            self._quarantine(path, str(error))
            return None
        self._indexed.append(instance)
        return instance.study_instance_uid if is_new else None

    def _insert(self, transaction: Transaction, path: Path, instance: SpooledInstance) -> bool:
        uid, digest = instance.sop_instance_uid, instance.dataset_sha256
        target = self._spool.store_path(instance.study_instance_uid, instance.series_instance_uid, uid, digest)
        transaction.execute("lock_sop_instance", sop_instance_uid=uid)
        rows = transaction.rows("known_files", sop_instance_uid=uid)
        known = {digest: Path(str(path)) for digest, path, _ in rows}
        # Versions that do not count, of another study, may outlive the one that did: retention goes by study.
        is_conflicting = not all(conflicting for _, _, conflicting in rows)
        study = {"study_instance_uid": instance.study_instance_uid, "received_at": instance.received_at}
        if digest in known:
            if _holds(known[digest], digest):
                log.info("instance.repeated", sop_instance_uid=uid)
                return False
            # Lost since, by whomever: its sender was told Success again. What was reported may lack it.
            self._spool.file_again(path, target)
            transaction.execute("file_found", sop_instance_uid=uid, dataset_sha256=digest, path=str(target))
            transaction.execute("inputs_were_damaged", study_instance_uid=instance.study_instance_uid)
            transaction.execute("study_received", **study)
            log.warning("instance.found_again", study_instance_uid=instance.study_instance_uid, sop_instance_uid=uid)
            return True
        self._spool.file_in_store(path, target)
        values = {name: getattr(instance, name) for name in SpooledInstance.__slots__}
        transaction.execute("upsert_study", **study)
        transaction.execute("insert_instance", **values, path=str(target), conflicting=is_conflicting)
        if is_conflicting:
            log.warning("instance.conflicting", sop_instance_uid=uid, dataset_sha256=instance.dataset_sha256)
            return False
        if instance.is_result or transaction.row("is_own_result", sop_instance_uid=uid) == (True,):
            # A PACS that forwards all it gets sends our report back, or another node's: there would be no end to it.
            log.info("instance.own_result", sop_instance_uid=uid)
            return False
        transaction.execute("study_received", **study)
        transaction.execute(
            "hasten_named_analysis", study_instance_uid=instance.study_instance_uid, sop_instance_uid=uid
        )
        log.info("instance.indexed", study_instance_uid=instance.study_instance_uid, sop_instance_uid=uid)
        return True

    def _quarantine(self, path: Path, detail: str) -> None:
        detail = "".join(letter if letter.isprintable() else "?" for letter in detail)  # the file's own bytes
        kept = self._spool.quarantine_path(path)
        with self._database.transaction() as transaction:  # first: what is not in the spool any more has its row
            transaction.execute("insert_quarantined_file", path=str(kept), detail=detail)
        self._spool.quarantine(path, detail)
        log.warning("instance.quarantined", path=str(kept), detail=detail)


def _holds(path: Path, digest: str) -> bool:
    """Tell whether a stored file still is what it was; one that the disk does not give back is not."""
    try:
        return dataset_digest(path)[0] == digest
    except (OSError, UnindexableFileError):
        return False


def _audited(study_instance_uid: str, instances: Iterable[SpooledInstance]) -> Study:
    patients = {instance.patient_id for instance in instances} - {""}
    classes = Counter(instance.sop_class_uid for instance in instances)
    return Study(study_instance_uid, tuple(sorted(patients)), tuple(sorted(classes.items())))


def _received_message(sender: Party, study: Study, node: str, now: datetime) -> bytes:
    return instances_transferred(node, now, sender, Party(node), study)


class IndexerThread:
    """Runs an Indexer whenever it is woken, and again after a pause while the database is away."""

    def __init__(self, indexer: Indexer) -> None:
        self._indexer = indexer
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left in the spool."""
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Say that something was spooled. Never blocks."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the file in hand and end the thread; what is left stays in the spool."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # A time-out as well: a file whose wake was lost (another process, a crash) still gets indexed.
            self._wake.wait(timeout=RETRY_S)
            self._wake.clear()
            try:
                self._indexer.index_all(self._stopping.is_set)
            except DatabaseUnavailableError as error:
                log.warning("indexer.database_unavailable", detail=str(error))
                self._stopping.wait(RETRY_S)
            except Exception:  # the thread's edge: were it to end, instances would pile up without a word
                log.exception("indexer.failed")
                self._stopping.wait(RETRY_S)
