"""The Procrastinate task: analyse a complete study.

Jobs are hints, tables are the truth: a study that is not reported gets its job again (`JobQueue.recover`) whatever was
lost, and a job that finds its work done does nothing. Deliveries need no job: their table is their queue (outbox.py).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import procrastinate
import psycopg
import structlog
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset

from echo_scp import __version__
from echo_scp.audit import AuditTrail, Study, instances_accessed
from echo_scp.completeness import Patience, StepEvidence, StepState, StudyEvidence, seconds_until_complete
from echo_scp.config import Config
from echo_scp.database.connection import MIGRATION_LOCK, Database, Transaction
from echo_scp.database.results import store_analysis
from echo_scp.decode import read_instance
from echo_scp.deliver import study_facts
from echo_scp.errors import (
    DatabaseUnavailableError,
    InstanceError,
    StorageError,
    StudyLostError,
    UnindexableFileError,
)
from echo_scp.model import EngineIdentity, Instance, StudyAnalysis
from echo_scp.outbox import put
from echo_scp.pipeline import Pipeline, Request
from echo_scp.report import PredecessorReference, ResultFile
from echo_scp.report.results import RESULTS_NAME, results_json
from echo_scp.spool import Spool

ANALYSE_STUDY = "analyse_study"
ANALYSE_QUEUE = "analyse"

log = structlog.get_logger(__name__)


def apply_job_schema(url: str) -> None:
    """Create Procrastinate's tables unless they are there; raises DatabaseUnavailableError."""
    try:
        with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))  # roles and hosts that start together
            row = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
            if row == (None,):
                with procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url)).open() as app:
                    app.schema_manager.apply_schema()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailableError(f"the database does not answer: {error}") from error


class JobQueue:
    """The deferring side: says that work is due. Safe to use from any thread."""

    def __init__(self, url: str) -> None:
        self._app = procrastinate.App(
            connector=procrastinate.SyncPsycopgConnector(conninfo=url, min_size=1, max_size=2)
        )

    def __enter__(self) -> Self:
        self._app.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._app.close()

    def schedule_analysis(self, study_instance_uid: str, wait_s: float, attempt: int = 1) -> None:
        """Have the study analysed in `wait_s` seconds, unless that is already due."""
        key = f"study:{study_instance_uid}"
        self._defer(ANALYSE_STUDY, ANALYSE_QUEUE, key, wait_s, attempt, study_instance_uid=study_instance_uid)

    def recover(self, database: Database, longest_wait_s: float) -> None:
        """Schedule every unfinished study that has no job, and have none wait longer than any job is meant to."""
        with database.transaction() as transaction:
            studies = transaction.rows("studies_without_job")
            transaction.execute("pull_in_jobs", longest_wait_s=longest_wait_s)
        for (study_instance_uid,) in studies:
            self.schedule_analysis(str(study_instance_uid), 0)

    def _defer(self, task: str, queue: str, key: str, wait_s: float, attempt: int, **arguments: str) -> None:
        deferrer = self._app.configure_task(
            task,
            queue=queue,
            lock=key,
            queueing_lock=key,
            schedule_in={"seconds": max(0.0, wait_s)},
            priority=1 - min(attempt, 30),  # a study that fails must not hold up the others
        )
        try:
            deferrer.defer(**arguments, attempt=attempt)
        except AlreadyEnqueued:
            pass  # what is due will see the newest state
        except ConnectorException as error:
            raise DatabaseUnavailableError(f"a job could not be queued: {error}") from error


@dataclass(frozen=True, slots=True)
class _Input:
    """What the index knows of an instance."""

    path: Path
    digest: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class _Run:
    """A begun run; `started_at` is stored, so that a repeated run says the same. `earlier_sha256` is the last run's."""

    run_id: int
    revision: int
    inputs_sha256: str
    earlier_sha256: str
    started_at: datetime
    inputs: tuple[_Input, ...]
    predecessors: tuple[PredecessorReference, ...]


class Work:
    """What the task does."""

    def __init__(
        self,
        config: Config,
        database: Database,
        queue: JobQueue,
        spool: Spool,
        pipeline: Pipeline,
        *,
        audit: AuditTrail,
        on_queued: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_queued` is called when deliveries were queued."""
        self._config = config
        self._database = database
        self._queue = queue
        self._spool = spool
        self._pipeline = pipeline
        self._audit = audit
        self._on_queued = on_queued

    def analyse_study(self, study_instance_uid: str) -> None:
        """Analyse a study that has been quiet long enough, store the result, and have it delivered."""
        structlog.contextvars.bind_contextvars(study_instance_uid=study_instance_uid)
        try:
            self._analyse_study(study_instance_uid)
        finally:
            structlog.contextvars.unbind_contextvars("study_instance_uid")

    def fail_study(self, study_instance_uid: str, failure: str) -> None:
        """Record that a study is not tried again until something new arrives, and why."""
        with self._database.transaction() as transaction:
            transaction.execute("study_failed", study_instance_uid=study_instance_uid, failure=failure)
        log.error("study.failed", study_instance_uid=study_instance_uid, failure=failure)

    def _analyse_study(self, uid: str) -> None:
        run = self._begin(uid)
        if run is not None:
            self._run(uid, run)

    def _begin(self, uid: str) -> _Run | None:
        """Return the run to make, or None when there is nothing to do yet or any more.

        One transaction that holds the study's row: an instance indexed meanwhile is in the inputs, or makes a new run.
        """
        with self._database.transaction() as transaction:
            transaction.execute("forget_future_arrival", study_instance_uid=uid)
            wait_s = self._seconds_until_complete(transaction, uid)
            rows = transaction.rows("study_inputs", study_instance_uid=uid)
            inputs = tuple(_Input(Path(path), *rest) for path, *rest in (map(str, row) for row in rows))
            if wait_s is None:
                return None
            if not inputs:  # retention removed them, and an operator asked all the same
                transaction.execute("study_unchanged", study_instance_uid=uid)
                return None
            if wait_s > 0:
                self._queue.schedule_analysis(uid, wait_s)
                return None
            last = transaction.row("last_finished_run", study_instance_uid=uid)
            digests = (known.digest for known in inputs)
            fingerprint = inputs_sha256(digests, self._pipeline.engines.identities, self._pipeline.settings)
            revision = 1 if last is None else cast(int, last[0]) + 1
            if last is not None and last[1] == fingerprint:
                transaction.execute("study_unchanged", study_instance_uid=uid)
                return None
            transaction.execute("study_analysing", study_instance_uid=uid)
            begun = transaction.row(
                "begin_run",
                study_instance_uid=uid,
                revision=revision,
                inputs_sha256=fingerprint,
                software_version=__version__,
            )
            assert begun is not None  # the statement returns its row
            run_id, started_at = cast("tuple[int, datetime]", begun)
            earlier = "" if last is None else str(last[1])
            predecessors = _predecessors(transaction, uid, revision - 1)
            return _Run(run_id, revision, fingerprint, earlier, started_at, inputs, predecessors)

    def _seconds_until_complete(self, transaction: Transaction, uid: str) -> float | None:
        """Return how long to wait for more of a study; None when there is no such study. Holds its row."""
        row = transaction.row("study_evidence", study_instance_uid=uid)
        if row is None:
            return None
        steps = tuple(
            StepEvidence(StepState(str(state)), cast(int, named), cast(int, missing))
            for state, named, missing in transaction.rows("study_steps", study_instance_uid=uid)
        )
        evidence = StudyEvidence(
            cast(float, row[0]), steps, is_committed=bool(row[1]), is_association_open=bool(row[2])
        )
        return seconds_until_complete(evidence, self._patience(str(row[3])))

    def _patience(self, calling_ae_title: str) -> Patience:
        """Return how long to wait for whoever sent the last instance."""
        study = self._config.study
        peers = [peer for peer in self._config.receive.peers if peer.ae_title == calling_ae_title]
        quiet_periods = [peer.quiet_period_s for peer in peers if peer.quiet_period_s is not None]
        return Patience(
            max(quiet_periods, default=study.quiet_period_s),
            study.settle_s,
            study.longest_wait_s,
            trusts_commitment=bool(peers) and all(peer.commits_per_study for peer in peers),
        )

    def _run(self, uid: str, run: _Run) -> None:
        revision, started_at = run.revision, run.started_at
        log.info("study.analysis_started", revision=revision, instances=len(run.inputs))
        folder = self._spool.results_folder(uid, revision)
        instances = tuple(self._read(uid, known) for known in run.inputs)
        lost = [known.digest for known, instance in zip(run.inputs, instances, strict=True) if instance.is_lost]
        if len(lost) == len(instances):
            raise StudyLostError("no file of the study is left in the store; restore them, or send the study again")
        made_of = _without(run.inputs_sha256, lost)
        if made_of == run.earlier_sha256:
            self._leave(uid, run)
            return
        analysed = self._pipeline.analyse(
            Request(uid, revision, instances, started_at, run.predecessors),
            publish=lambda file, content: self._spool.write_result(folder / file.name, content),
        )
        objects = tuple(file for file in analysed.files if file.kind != "PNG")
        with self._database.transaction() as transaction:
            if _is_taken_over(transaction, run):
                log.warning("study.analysed_twice", revision=revision)
                return
            transaction.execute("run_made_of", run_id=run.run_id, inputs_sha256=made_of)
            self._spool.write_result(folder / RESULTS_NAME, results_json(analysed.analysis).encode())
            store_analysis(transaction, run.run_id, analysed.analysis)
            _store_objects(transaction, run.run_id, objects, folder)
            facts = study_facts(analysed.analysis, self._config.deliver.urgent_ef_percent)
            deliveries = put(transaction, self._config.destinations, objects, facts)
            transaction.execute("study_reported", study_instance_uid=uid, revision=revision)
        log.info("study.reported", revision=revision, objects=len(objects), deliveries=deliveries)
        self._audit.record(lambda node, now: instances_accessed(node, now, _audited(uid, analysed.analysis)))
        self._on_queued()

    def _leave(self, uid: str, run: _Run) -> None:
        """Say that a study, which lacks the same files as before, is reported already."""
        with self._database.transaction() as transaction:
            if not _is_taken_over(transaction, run):
                transaction.execute("study_reported", study_instance_uid=uid, revision=run.revision - 1)

    def _read(self, uid: str, known: _Input) -> Instance:
        """Return an instance of a study; one whose file is gone, or DICOM no more, as the index knows it.

        Raises StorageError: what the operating system says may pass, and the study must not go without the instance.
        """
        try:
            return read_instance(known.path)
        except InstanceError as error:
            if not (isinstance(error.__cause__, FileNotFoundError) and self._spool.has_store):
                raise StorageError(f"{known.path}: {error.detail}") from error
            detail = error.detail
        except UnindexableFileError as error:
            detail = error.detail
        log.error("instance.lost", path=str(known.path), detail=detail)
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.StudyInstanceUID, header.SeriesInstanceUID = uid, known.series_instance_uid
        header.SOPInstanceUID, header.SOPClassUID = known.sop_instance_uid, known.sop_class_uid
        return Instance(header, known.path, is_lost=True)


def inputs_sha256(digests: Iterable[str], engines: Iterable[EngineIdentity], settings: str) -> str:
    """Return what stands for everything that a result depends on."""
    lines = [*sorted(digests), *sorted(engine.fingerprint for engine in engines), __version__, settings]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _without(inputs_sha256: str, lost: Iterable[str]) -> str:
    """Return what stands for the inputs of which some are lost: when they are whole again, they are others."""
    missing = "\n".join(sorted(lost))
    return f"{inputs_sha256} without {hashlib.sha256(missing.encode()).hexdigest()}" if missing else inputs_sha256


def _is_taken_over(transaction: Transaction, run: _Run) -> bool:
    """Hold the run and tell whether another worker has it: what was begun last counts, it may have seen more."""
    return transaction.row("lock_run", run_id=run.run_id, inputs_sha256=run.inputs_sha256) == (True,)


def _predecessors(transaction: Transaction, uid: str, revision: int) -> tuple[PredecessorReference, ...]:
    rows = transaction.rows("predecessors", study_instance_uid=uid, revision=revision)
    return tuple(
        PredecessorReference(uid, series_instance_uid, sop_instance_uid, sop_class_uid, kind)
        for sop_instance_uid, series_instance_uid, sop_class_uid, kind in (map(str, row) for row in rows)
    )


def _audited(study_instance_uid: str, analysis: StudyAnalysis) -> Study:
    instances = [clip.instance for clip in analysis.clips]
    patients = {str(instance.header.get("PatientID") or "") for instance in instances} - {""}
    classes = Counter(instance.sop_class_uid for instance in instances)
    return Study(study_instance_uid, tuple(sorted(patients)), tuple(sorted(classes.items())))


def _store_objects(transaction: Transaction, run_id: int, objects: Iterable[ResultFile], folder: Path) -> None:
    for file in objects:
        transaction.execute(
            "insert_result_object",
            run_id=run_id,
            sop_instance_uid=file.sop_instance_uid,
            series_instance_uid=file.series_instance_uid,
            sop_class_uid=file.sop_class_uid,
            kind=file.kind,
            path=str(folder / file.name),
        )
