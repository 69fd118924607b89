"""The two Procrastinate tasks: analyse a complete study, deliver one object to one destination.

Jobs are hints, tables are the truth: a study that is not reported and a delivery that waits get their job again
(`JobQueue.recover`) whatever was lost, and a job that finds its work done does nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import procrastinate
import psycopg
import structlog
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException

from echo_scp import __version__
from echo_scp.config import Config, Destination
from echo_scp.database.connection import MIGRATION_LOCK, Database, Transaction
from echo_scp.database.results import store_analysis
from echo_scp.decode import read_instance
from echo_scp.deliver import send
from echo_scp.errors import (
    DatabaseUnavailableError,
    DeliveryError,
    DestinationRefusedError,
    InstanceError,
    StorageError,
    UnindexableFileError,
)
from echo_scp.metrics import DELIVERIES, DELIVERY_LATENCY
from echo_scp.model import EngineIdentity, Instance
from echo_scp.pipeline import Pipeline, Request
from echo_scp.report import PredecessorReference, ResultFile
from echo_scp.report.results import RESULTS_NAME, results_json
from echo_scp.spool import Spool

ANALYSE_STUDY, DELIVER_OBJECT = "analyse_study", "deliver_object"
ANALYSE_QUEUE, DELIVER_QUEUE = "analyse", "deliver"

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

    def schedule_delivery(self, sop_instance_uid: str, destination: str, wait_s: float = 0, attempt: int = 1) -> None:
        """Have the object sent in `wait_s` seconds, unless that is already due."""
        key = f"delivery:{destination}:{sop_instance_uid}"
        arguments = {"sop_instance_uid": sop_instance_uid, "destination": destination}
        self._defer(DELIVER_OBJECT, DELIVER_QUEUE, key, wait_s, attempt, **arguments)

    def recover(self, database: Database) -> None:
        """Schedule every unfinished study and delivery that has no job."""
        with database.transaction() as transaction:
            studies = transaction.rows("studies_without_job")
            deliveries = transaction.rows("deliveries_without_job")
        for (study_instance_uid,) in studies:
            self.schedule_analysis(str(study_instance_uid), 0)
        for sop_instance_uid, destination in deliveries:
            self.schedule_delivery(str(sop_instance_uid), str(destination))

    def _defer(self, task: str, queue: str, key: str, wait_s: float, attempt: int, **arguments: str) -> None:
        deferrer = self._app.configure_task(
            task,
            queue=queue,
            lock=key,
            queueing_lock=key,
            schedule_in={"seconds": max(0.0, wait_s)},
            priority=1 - min(attempt, 30),  # a destination that is away must not hold up the others
        )
        try:
            deferrer.defer(**arguments, attempt=attempt)
        except AlreadyEnqueued:
            pass  # what is due will see the newest state
        except ConnectorException as error:
            raise DatabaseUnavailableError(f"a job could not be queued: {error}") from error


@dataclass(frozen=True, slots=True)
class _Run:
    """A begun run; `started_at` is stored, so that a repeated run says the same."""

    run_id: int
    revision: int
    started_at: datetime
    paths: tuple[Path, ...]
    predecessor: PredecessorReference | None


class Work:
    """What the two tasks do."""

    def __init__(self, config: Config, database: Database, queue: JobQueue, spool: Spool, pipeline: Pipeline) -> None:
        self._config = config
        self._database = database
        self._queue = queue
        self._spool = spool
        self._pipeline = pipeline
        self._destinations = {destination.name: destination for destination in config.destinations}

    def analyse_study(self, study_instance_uid: str) -> None:
        """Analyse a study that has been quiet long enough, store the result, and have it delivered."""
        structlog.contextvars.bind_contextvars(study_instance_uid=study_instance_uid)
        try:
            self._analyse_study(study_instance_uid)
        finally:
            structlog.contextvars.unbind_contextvars("study_instance_uid")

    def fail_study(self, study_instance_uid: str) -> None:
        """Record that a study is not tried again until something new arrives."""
        with self._database.transaction() as transaction:
            transaction.execute("study_failed", study_instance_uid=study_instance_uid)
        log.error("study.failed", study_instance_uid=study_instance_uid)

    def deliver_object(self, sop_instance_uid: str, destination: str) -> bool:
        """Send one object; return False when it should be tried again."""
        with self._database.transaction() as transaction:
            row = transaction.row("delivery", sop_instance_uid=sop_instance_uid, destination=destination)
        if row is None or row[1] != "waiting":
            return True
        path, age_s = Path(str(row[0])), cast(float, row[2])
        peer = self._destinations.get(destination)
        if peer is None:
            self._record(sop_instance_uid, destination, "given_up", None, "the destination is no longer configured")
            return True
        return self._send(path, sop_instance_uid, peer, age_s)

    def _analyse_study(self, uid: str) -> None:
        run = self._begin(uid)
        if run is not None:
            self._run(uid, run)

    def _begin(self, uid: str) -> _Run | None:
        """Return the run to make, or None when there is nothing to do yet or any more.

        One transaction that holds the study's row: an instance indexed meanwhile is in the inputs, or makes a new run.
        """
        with self._database.transaction() as transaction:
            row = transaction.row(
                "seconds_until_complete", study_instance_uid=uid, quiet_period_s=self._config.study.quiet_period_s
            )
            inputs = transaction.rows("study_inputs", study_instance_uid=uid)
            if row is None or not inputs:
                return None
            wait_s = cast(float, row[0])
            if wait_s > 0:
                self._queue.schedule_analysis(uid, wait_s)
                return None
            last = transaction.row("last_finished_run", study_instance_uid=uid)
            digests = (str(row[1]) for row in inputs)
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
            paths = tuple(Path(str(row[0])) for row in inputs)
            predecessor = _predecessor(transaction, uid, revision - 1)
            return _Run(cast(int, begun[0]), revision, cast(datetime, begun[1]), paths, predecessor)

    def _run(self, uid: str, run: _Run) -> None:
        revision, started_at = run.revision, run.started_at
        log.info("study.analysis_started", revision=revision, instances=len(run.paths))
        folder = self._spool.results_folder(uid, revision)
        analysed = self._pipeline.analyse(
            Request(uid, revision, _read(run.paths), started_at, run.predecessor),
            publish=lambda file, content: self._spool.write_result(folder / file.name, content),
        )
        objects = tuple(file for file in analysed.files if file.kind != "PNG")
        self._spool.write_result(folder / RESULTS_NAME, results_json(analysed.analysis).encode())
        with self._database.transaction() as transaction:
            store_analysis(transaction, run.run_id, analysed.analysis)
            self._store_objects(transaction, run.run_id, objects, folder)
            transaction.execute("study_reported", study_instance_uid=uid, revision=revision, started_at=started_at)
        log.info("study.reported", revision=revision, objects=len(objects))
        for file, destination in self._addressed(objects):
            self._queue.schedule_delivery(file.sop_instance_uid, destination.name)

    def _store_objects(
        self, transaction: Transaction, run_id: int, objects: Iterable[ResultFile], folder: Path
    ) -> None:
        objects = tuple(objects)
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
        for file, destination in self._addressed(objects):
            transaction.execute("insert_delivery", sop_instance_uid=file.sop_instance_uid, destination=destination.name)

    def _addressed(self, objects: Iterable[ResultFile]) -> list[tuple[ResultFile, Destination]]:
        return [
            (file, destination)
            for file in objects
            for destination in self._config.destinations
            if file.kind in destination.send
        ]

    def _send(self, path: Path, sop_instance_uid: str, peer: Destination, age_s: float) -> bool:
        try:
            outcome = send(path, peer, self._config.receive.ae_title, self._config.deliver.timeout_s)
        except DeliveryError as error:
            refused = isinstance(error, DestinationRefusedError)
            DELIVERIES.add(destination=peer.name, outcome="refused" if refused else "unreachable")
            given_up = age_s > self._config.deliver.give_up_after_h * 3600
            status = error.status if isinstance(error, DestinationRefusedError) else None
            self._record(sop_instance_uid, peer.name, "given_up" if given_up else "waiting", status, error.detail)
            return given_up
        DELIVERIES.add(destination=peer.name, outcome="warning" if outcome.warning else "delivered")
        self._record(sop_instance_uid, peer.name, "delivered", outcome.status, outcome.warning)
        self._observe_latency(sop_instance_uid, peer.name)
        return True

    def _observe_latency(self, sop_instance_uid: str, destination: str) -> None:
        with self._database.transaction() as transaction:
            row = transaction.row("seconds_since_last_instance", sop_instance_uid=sop_instance_uid)
        if row is not None and row[0] is not None:
            DELIVERY_LATENCY.observe(max(0.0, cast(float, row[0])), destination=destination)

    def _record(self, sop_instance_uid: str, destination: str, state: str, status: int | None, detail: str) -> None:
        with self._database.transaction() as transaction:
            transaction.execute(
                "record_delivery",
                sop_instance_uid=sop_instance_uid,
                destination=destination,
                state=state,
                status=status,
                detail=detail,
            )
        level = log.info if state == "delivered" else log.warning
        level(f"delivery.{state}", sop_instance_uid=sop_instance_uid, destination=destination, detail=detail)


def inputs_sha256(digests: Iterable[str], engines: Iterable[EngineIdentity], settings: str) -> str:
    """Return what stands for everything that a result depends on."""
    lines = [*sorted(digests), *sorted(engine.fingerprint for engine in engines), __version__, settings]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _read(paths: Iterable[Path]) -> tuple[Instance, ...]:
    """Return the instances of a study; one that is DICOM no more is logged and left out. Raises StorageError."""
    instances = []
    for path in paths:
        try:
            instances.append(read_instance(path))
        except InstanceError as error:  # the operating system's: it may pass, and the study must not go without
            raise StorageError(f"{path}: {error.detail}") from error
        except UnindexableFileError as error:
            log.error("instance.unreadable", path=str(path), detail=error.detail)
    return tuple(instances)


def _predecessor(transaction: Transaction, uid: str, revision: int) -> PredecessorReference | None:
    row = transaction.row("predecessor", study_instance_uid=uid, revision=revision)
    if row is None:
        return None
    sop_instance_uid, series_instance_uid, sop_class_uid = (str(value) for value in row)
    return PredecessorReference(uid, series_instance_uid, sop_instance_uid, sop_class_uid)
