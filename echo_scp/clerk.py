"""What peers say beside their objects -> tables and answers: storage commitment, procedure steps, open associations.

The receivers keep it durably without the database; here it is taken up whenever the database is there, as often as it
takes. Commitment is answered from rows whose files are on disk: what waits in the spool is durable too, but is answered
for only when it has its row.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from echo_scp import metrics
from echo_scp.commitment import (
    CommitmentAnswer,
    CommitmentDesk,
    CommitmentRequest,
    FailureReason,
    Reference,
    Taken,
)
from echo_scp.config import Config, Destination, Peer, TlsConfig
from echo_scp.database.connection import Database, Transaction
from echo_scp.errors import DatabaseUnavailableError, StorageError
from echo_scp.procedure_step import ProcedureStep, StepDesk
from echo_scp.spool import Spool

PAUSE_S = 1.0
MISSING_GRACE_S = 30.0  # an instance that another host received may not have its row yet
SAME_ASSOCIATION_S = 10.0  # the association that asked may tell its peer first
REPORT_RETRY_S = 60.0
REPORT_FOR_S = 7 * 86400.0
STEPS_KEPT_S = 7 * 86400.0
_HOLD_S = 10.0

log = structlog.get_logger(__name__)

# (answer, where to, timeout in seconds) -> whether the peer confirmed
Report = Callable[[CommitmentAnswer, Destination, float], bool]


@dataclass(frozen=True, slots=True)
class _Stored:
    sop_class_uid: str
    path: Path
    study_instance_uid: str


class Clerk:
    """Takes up notes. Used by one thread."""

    def __init__(
        self,
        spool: Spool,
        database: Database,
        calling_ae_titles: Callable[[], Iterable[str]] = frozenset,
    ) -> None:
        """`calling_ae_titles` says whose associations are open."""
        self._spool = spool
        self._database = database
        self._calling_ae_titles = calling_ae_titles
        self._commitments = CommitmentDesk(spool)
        self._steps = StepDesk(spool)
        self._known_steps: dict[Path, int] = {}

    def work(self, now: float) -> None:
        """Do all that can be done now (seconds since 1970). Raises DatabaseUnavailableError, StorageError."""
        self._take_up_steps(now)
        self._hold_studies()
        for request in self._commitments.requests():
            try:
                self._resolve(request, now)
            except ValueError as error:  # what a peer wrote must not keep the others waiting
                log.error("commitment.unusable", transaction_uid=request.transaction_uid, detail=str(error))
                failed = tuple((reference, FailureReason.PROCESSING_FAILURE) for reference in request.references)
                self._commitments.answer(CommitmentAnswer(request, failed, now))

    def _take_up_steps(self, now: float) -> None:
        for path, changed_ns in self._steps.files():
            step = None if self._known_steps.get(path) == changed_ns else self._steps.read(path)
            if step is not None:
                self._take_up_step(step, changed_ns / 1e9)
                self._known_steps[path] = changed_ns
            if now - changed_ns / 1e9 > STEPS_KEPT_S:  # the table has it; its machine will not change it any more
                path.unlink()
                self._known_steps.pop(path, None)

    def _take_up_step(self, step: ProcedureStep, changed_at_s: float) -> None:
        try:
            self._store_step(step, changed_at_s)
        except ValueError as error:  # what a peer wrote must not keep the others waiting
            log.error("procedure_step.unusable", sop_instance_uid=step.sop_instance_uid, detail=str(error))

    def _store_step(self, step: ProcedureStep, changed_at_s: float) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(
                "upsert_step",
                sop_instance_uid=step.sop_instance_uid,
                state=step.state,
                study_instance_uids=list(step.study_instance_uids),
                instance_uids=list(step.instance_uids),
                changed_at_s=changed_at_s,
            )
            for uid in step.study_instance_uids:
                transaction.execute("hasten_analysis", study_instance_uid=uid)
        log.info("procedure_step.noted", sop_instance_uid=step.sop_instance_uid, state=step.state.value)

    def _hold_studies(self) -> None:
        titles = sorted(self._calling_ae_titles())
        if titles:
            with self._database.transaction() as transaction:
                transaction.execute("hold_studies", calling_ae_titles=titles, seconds=_HOLD_S)

    def _resolve(self, request: CommitmentRequest, now: float) -> None:
        """Answer a request, unless what is missing may still get its row. Raises StorageError."""
        if not self._spool.has_store:
            raise StorageError("the store is not there: nobody can say what it holds")
        uids = [reference.sop_instance_uid for reference in request.references]
        with self._database.transaction() as transaction:
            stored = _stored(transaction, uids)
            failed = tuple(
                (reference, reason) for reference in request.references if (reason := _failure(reference, stored))
            )
            is_missing = any(reason is FailureReason.NO_SUCH_OBJECT_INSTANCE for _, reason in failed)
            if is_missing and (
                0 <= now - request.requested_at < MISSING_GRACE_S or self._is_behind(request.requested_at)
            ):
                return
            for study in {each.study_instance_uid for each in stored.values()}:
                transaction.execute("note_commitment", study_instance_uid=study, sop_instance_uids=uids)
                transaction.execute("hasten_analysis", study_instance_uid=study)
        answer = CommitmentAnswer(request, failed, now)
        self._commitments.answer(answer)
        metrics.COMMITTED_INSTANCES.add(len(answer.committed), outcome="committed")
        metrics.COMMITTED_INSTANCES.add(len(failed), outcome="failed")
        log.info(
            "commitment.answered",
            transaction_uid=request.transaction_uid,
            calling_ae_title=request.calling_ae_title,
            committed=len(answer.committed),
            failed=len(failed),
        )

    def _is_behind(self, requested_at: float) -> bool:
        """Say whether something waits in the spool that came before a request."""
        ready = self._spool.ready()
        try:
            return bool(ready) and ready[0].stat().st_mtime <= requested_at
        except FileNotFoundError:  # the indexer took it meanwhile: it may be what was missing
            return True


class Reporter:
    """Tells machines of commitments that the association that asked did not get across. Used by one thread."""

    def __init__(self, config: Config, spool: Spool, report: Report) -> None:
        """`report` tells a peer on an association of our own."""
        self._config = config
        self._report = report
        self._commitments = CommitmentDesk(spool)
        self._tried_at: dict[str, float] = {}  # by calling AE title: a machine that is away is away for all it asked

    def work(self, now: float) -> None:
        """Try what is due (seconds since 1970). Takes as long as the machines do."""
        for name in self._commitments.answered():
            taken = self._commitments.take(name)
            if taken is None:  # its own association is telling it
                continue
            title = taken.answer.request.calling_ae_title
            # What is later than now was before the clock went back.
            is_fresh = 0 <= now - taken.answer.answered_at < SAME_ASSOCIATION_S
            if is_fresh or 0 <= now - self._tried_at.get(title, -REPORT_RETRY_S) < REPORT_RETRY_S:
                taken.release()
            else:
                self._tell(taken, now)

    def _tell(self, taken: Taken, now: float) -> None:
        request = taken.answer.request
        place = self._place(request.calling_ae_title)
        if place is not None and self._report(taken.answer, place, self._config.deliver.timeout_s):
            taken.done()
            log.info("commitment.reported", transaction_uid=request.transaction_uid, association="new")
            return
        self._tried_at[request.calling_ae_title] = now
        why = "unreachable" if place else "no host is configured for it"
        told = {"transaction_uid": request.transaction_uid, "calling_ae_title": request.calling_ae_title, "detail": why}
        if now - taken.answer.answered_at > REPORT_FOR_S:
            taken.done()
            log.error("commitment.given_up", **told)
        else:
            taken.release()
            log.warning("commitment.not_reported", **told)

    def _place(self, calling_ae_title: str) -> Destination | None:
        for peer in self._config.receive.peers:
            if peer.ae_title == calling_ae_title and peer.report_host is not None:
                return _report_place(peer, peer.report_host, self._config.receive.tls)
        for destination in self._config.destinations:
            if destination.ae_title == calling_ae_title and not destination.url:
                return destination
        return None


def _report_place(peer: Peer, host: str, ours: TlsConfig) -> Destination:
    place = Destination(name=peer.name, ae_title=peer.ae_title, host=host, port=peer.report_port)
    if not peer.report_tls:
        return place
    shown = {"tls": True, "tls_ca": ours.authorities, "tls_certificate": ours.certificate, "tls_key": ours.key}
    return place.model_copy(update=shown)


class Works(Protocol):
    """A Clerk, or who else takes up notes."""

    def work(self, now: float) -> None:
        """Do all that can be done now (seconds since 1970)."""


class ClerkThread:
    """Has a Clerk or the like work, again and again: a thread each, for who reports waits for machines."""

    def __init__(self, clerk: Works) -> None:
        self._clerk = clerk
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(clerk).__name__.lower(), daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is in hand and end the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            try:
                self._clerk.work(time.time())
            except (DatabaseUnavailableError, StorageError) as error:
                log.warning("clerk.waiting", detail=str(error))
            except Exception:  # the thread's edge: were it to end, no commitment would be answered any more
                log.exception("clerk.failed")


def _stored(transaction: Transaction, uids: list[str]) -> dict[str, _Stored]:
    rows = transaction.rows("stored_instances", sop_instance_uids=uids)
    return {str(uid): _Stored(str(class_uid), Path(str(path)), str(study)) for uid, class_uid, path, study in rows}


def _failure(reference: Reference, stored: dict[str, _Stored]) -> FailureReason | None:
    """Return why an instance is not committed, None when it is: it has its row, and its file is there."""
    found = stored.get(reference.sop_instance_uid)
    if found is None:
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    if found.sop_class_uid != reference.sop_class_uid:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    return None if found.path.is_file() else FailureReason.PROCESSING_FAILURE
