"""The composition root: configuration in, running node out. Owns processes, threads, signals and the stop order.

Started in this order, stopped in the reverse: receiver processes (they need only the spool), database, indexer, clerk,
worker process, web.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import FrameType

import structlog

from echo_scp import __version__, logs, metrics
from echo_scp.audit import AuditTrail, application_started, application_stopped
from echo_scp.clerk import Clerk, ClerkThread, Reporter
from echo_scp.config import Config
from echo_scp.database.connection import Database, migrate, watchful
from echo_scp.database.deliveries import retry_delivery
from echo_scp.database.embedded import embedded_server
from echo_scp.errors import ConfigurationError, DatabaseUnavailableError, EchoScpError, StorageError
from echo_scp.index import Indexer, IndexerThread
from echo_scp.inference.catalogue import load_engines
from echo_scp.inquiry import ask_for_analysis
from echo_scp.jobs import ANALYSE_QUEUE, JobQueue, apply_job_schema
from echo_scp.notify import notify, watchdog
from echo_scp.occupancy import has_node, only_node_in
from echo_scp.outbox import ArchiveReports, DeliveryGauges
from echo_scp.receive.event_report import send_event_report
from echo_scp.receive.receivers import Receivers
from echo_scp.spool import Spool
from echo_scp.web.app import WebApp, WebThread
from echo_scp.web.monitor import Checks
from echo_scp.web.pages import PageParts
from echo_scp.worker import run_worker

DATABASE_RETRY_S = 3.0
WORKER_RESTART_S = 2.0
WORKER_GRACE_S = 75.0
WEB_DATABASE_S = 2.0
# A reader of the page and a monitor rather hear soon that the database is away than wait for it.
WEB_DATABASE_OPTIONS = {"connect_timeout": 3, "tcp_user_timeout": 5000}

log = structlog.get_logger(__name__)


class Role(StrEnum):
    """A part of the node that can run as a service of its own, when the database is a server."""

    RECEIVE = "receive"
    WORK = "work"
    WEB = "web"


@dataclass(frozen=True, slots=True)
class RunningNode:
    """Where a running node is reached; 0 for what it does not do."""

    dicom_port: int
    web_port: int


def serve(config: Config, role: Role | None = None) -> None:
    """Run the node, or one role of it, until SIGTERM or SIGINT, then stop it in order."""
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    previous = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with watchdog(), run_node(config, stop) if role is None else run_role(role, config, stop) as node:
            if node is not None:
                log.info("node.ready", dicom_port=node.dicom_port, web_port=node.web_port, version=__version__)
                notify("READY=1", f"STATUS={role or 'node'} runs, version {__version__}")
                stop.wait()
                log.info("node.stopping")
            notify("STOPPING=1")
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    log.info("node.stopped")


@contextmanager
def run_node(config: Config, stop: threading.Event) -> Iterator[RunningNode | None]:
    """Start everything; yields None when `stop` was set while waiting for the database."""
    logs.configure(config.log.level, config.log.format)
    _check_engines(config)
    with ExitStack() as stack:
        receiving = _receive(config, stack)
        url = _open_database(config, stack, stop)
        if url is None:
            yield None
            return
        _index(config, stack, url, receiving)
        worker = _analyse(config, stack, url)
        checks = {"receivers": receiving.receivers.is_alive, "worker": worker.is_alive}
        web_port = _show(config, stack, url, receiving.spool, checks)
        yield RunningNode(receiving.receivers.port, web_port)


@dataclass(frozen=True, slots=True)
class _Receiving:
    """What takes instances, and what wakes when one is spooled."""

    receivers: Receivers
    spool: Spool
    spooled: _Forward
    audit: AuditTrail


def _check_engines(config: Config) -> None:
    """Tell of a wrong engine folder at once, not by the first study.

    On the processor: the GPU is the worker's, and a plan that is not built yet must not keep the node from receiving.
    """
    load_engines(config.analysis.model_copy(update={"runtime": "onnxruntime"})).close()


def _prepare_metrics(config: Config, role: Role | None) -> None:
    metrics.prepare(config.data_folder / "metrics", role or "")
    metrics.announce_destinations(destination.name for destination in config.destinations)


def _receive(config: Config, stack: ExitStack, role: Role | None = None) -> _Receiving:
    """Take instances; they wait in the spool until the database is there."""
    stack.enter_context(only_node_in(config.data_folder))
    _prepare_metrics(config, role)
    audit = stack.enter_context(AuditTrail(config.audit, config.audit_file, config.receive.ae_title))
    audit.record(application_started)
    stack.callback(audit.record, application_stopped)
    spool = Spool(config.data_folder, config.receive.reserve_disk_mb, config.shared_folder)
    spooled = _Forward()
    with _bound(config.receive.address, config.receive.port):
        receivers = stack.enter_context(Receivers(config, spooled))
    return _Receiving(receivers, spool, spooled, audit)


def _index(config: Config, stack: ExitStack, url: str, receiving: _Receiving) -> None:
    """Place in studies what is received, and keep the notes of commitment and of procedure steps."""
    database = stack.enter_context(Database(url))
    queue = stack.enter_context(JobQueue(url))

    def schedule(study_instance_uid: str) -> None:
        queue.schedule_analysis(study_instance_uid, config.shortest_quiet_period_s)

    indexer = IndexerThread(Indexer(receiving.spool, database, schedule, receiving.audit))
    receiving.spooled.target = indexer.wake
    indexer.start()
    stack.callback(indexer.stop)
    for clerk in (
        Clerk(receiving.spool, database, receiving.receivers.calling_ae_titles),
        Reporter(config, receiving.spool, send_event_report),
        ArchiveReports(config, receiving.spool, database),
    ):
        thread = ClerkThread(clerk)
        thread.start()
        stack.callback(thread.stop)


def _analyse(config: Config, stack: ExitStack, url: str) -> WorkerProcess:
    worker = WorkerProcess(config, url)
    worker.start()
    stack.callback(worker.stop)
    return worker


def _show(config: Config, stack: ExitStack, url: str, spool: Spool, checks: Checks) -> int:
    """Serve pages, metrics and health; return the port."""
    database = stack.enter_context(Database(url, timeout_s=WEB_DATABASE_S, options=WEB_DATABASE_OPTIONS))
    retry, reanalyse = partial(retry_delivery, database), partial(ask_for_analysis, database)
    page = PageParts(config, database, retry, reanalyse, spool.results_folder)
    checks = {"database": database.ping, **checks}
    deliveries = DeliveryGauges(destination.name for destination in config.destinations)
    refresh = partial(_refresh, database, spool, deliveries, checks)
    with _bound(config.web.address, config.web.port):
        web = WebThread(WebApp(refresh, checks, page), config.web)
    web.start()
    stack.callback(web.stop)
    return web.port


@contextmanager
def _bound(address: str, port: int) -> Iterator[None]:
    """Say which port could not be had."""
    try:
        yield
    except OSError as error:
        raise EchoScpError(f"cannot listen on {address}:{port}: {error.strerror}") from error


class _Forward:
    """A callback whose receiver comes later: instances arrive before the indexer is there."""

    def __init__(self) -> None:
        self.target: Callable[[], None] | None = None

    def __call__(self) -> None:
        if self.target is not None:
            self.target()


def _open_database(config: Config, stack: ExitStack, stop: threading.Event) -> str | None:
    """Return how to connect to a migrated database; waits for a configured server as long as it takes."""
    if not config.database.url:
        url = stack.enter_context(embedded_server(config.data_folder / "postgresql"))
        prepare_database(url)
        return url
    # Ready for the service manager: a node receives without its database, and must not be ended for waiting.
    notify("READY=1", "STATUS=waiting for the database")
    while not stop.is_set():
        try:
            prepare_database(config.database.url)
        except DatabaseUnavailableError as error:
            log.warning("node.waiting_for_database", detail=str(error))
            stop.wait(DATABASE_RETRY_S)
        else:
            return watchful(config.database.url)
    return None


@contextmanager
def run_role(role: Role, config: Config, stop: threading.Event) -> Iterator[RunningNode | None]:
    """Start one role; several on one data folder and database are a node. Yields as `run_node` does."""
    if not config.database.url:
        raise ConfigurationError(
            f"database.url: serve --role {role} needs a PostgreSQL server of your own, which all roles share"
        )
    logs.configure(config.log.level, config.log.format)
    start = {Role.RECEIVE: _start_receiving, Role.WORK: _start_working, Role.WEB: _start_web}[role]
    with ExitStack() as stack:
        yield start(config, stack, stop)


def _start_receiving(config: Config, stack: ExitStack, stop: threading.Event) -> RunningNode | None:
    receiving = _receive(config, stack, Role.RECEIVE)
    url = _open_database(config, stack, stop)
    if url is None:
        return None
    _index(config, stack, url, receiving)
    return RunningNode(receiving.receivers.port, 0)


def _start_working(config: Config, stack: ExitStack, stop: threading.Event) -> RunningNode | None:
    _prepare_metrics(config, Role.WORK)
    _check_engines(config)
    url = _open_database(config, stack, stop)
    if url is None:
        return None
    _analyse(config, stack, url)
    return RunningNode(0, 0)


def _start_web(config: Config, stack: ExitStack, stop: threading.Event) -> RunningNode | None:
    _prepare_metrics(config, Role.WEB)
    url = _open_database(config, stack, stop)
    if url is None:
        return None
    spool = Spool(config.data_folder, config.receive.reserve_disk_mb, config.shared_folder)
    database = stack.enter_context(Database(url, connections=1))
    checks = {
        "receivers": partial(has_node, config.data_folder),
        "worker": partial(_has_live_worker, database, config.work.stalled_after_s),
    }
    return RunningNode(0, _show(config, stack, url, spool, checks))


def _has_live_worker(database: Database, within_s: float) -> bool:
    """Tell whether a worker, on whichever host, gave a sign of life lately."""
    try:
        with database.transaction() as transaction:
            return transaction.row("has_live_worker", within_s=within_s) == (True,)
    except DatabaseUnavailableError:
        return False


def prepare_database(url: str) -> None:
    """Bring the tables up to this version."""
    migrate(url)
    apply_job_schema(url)


def _refresh(database: Database, spool: Spool, deliveries: DeliveryGauges, checks: Checks) -> None:
    """Set the gauges that are read from the state rather than counted."""
    for part, check in checks.items():
        metrics.PART_UP.set(float(check()), part=part)
    try:
        metrics.SPOOL_BACKLOG.set(len(spool.ready()))
        with database.transaction() as transaction:
            states = dict.fromkeys(("receiving", "analysing", "reported", "failed"), 0)
            states |= {str(state): int(str(count)) for state, count in transaction.rows("studies_by_state")}
            queues = {ANALYSE_QUEUE: (0.0, 0.0)}
            for queue, depth, age_s in transaction.rows("queue_depth"):
                queues[str(queue)] = (float(str(depth)), float(str(age_s)))
            deliveries.refresh(transaction)
            (conflicts,) = transaction.row("conflict_count") or (0,)
    except (DatabaseUnavailableError, StorageError) as error:
        log.warning("metrics.state_unknown", detail=str(error))
        return
    for state, count in states.items():
        metrics.STUDIES.set(count, state=state)
    for name, (depth, age_s) in queues.items():
        metrics.QUEUE_DEPTH.set(depth, queue=name)
        metrics.QUEUE_AGE.set(age_s, queue=name)
    metrics.CONFLICTS.set(float(str(conflicts)))


class WorkerProcess:
    """The analysing process and the thread that starts it again when it dies."""

    def __init__(self, config: Config, url: str) -> None:
        self._config = config
        self._url = url
        self._stopping = threading.Event()
        self._process: multiprocessing.process.BaseProcess | None = None
        self._thread = threading.Thread(target=self._supervise, name="worker-supervisor", daemon=True)

    def start(self) -> None:
        """Start the process, and keep it alive."""
        self._start_process()
        self._thread.start()

    def is_alive(self) -> bool:
        """Tell whether the process runs at this moment."""
        return self._process is not None and self._process.is_alive()

    def stop(self) -> None:
        """Let the jobs in hand finish; kill the process when they do not. What was left is done at the next start."""
        self._stopping.set()
        self._thread.join()  # first: nobody starts a process after this
        process = self._process
        if process is not None and process.is_alive():
            process.terminate()
            process.join(WORKER_GRACE_S)
            if process.is_alive():
                process.kill()
                process.join()

    def _start_process(self) -> None:
        # spawn: a fork of a process with threads, pools and a database connection is undefined.
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=_work, args=(self._config, self._url), name="echo-scp-worker")
        process.start()
        self._process = process

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            assert process is not None
            process.join(0.5)
            if process.is_alive() or self._stopping.is_set():
                continue
            log.error("worker.ended", exit_code=process.exitcode)
            if self._stopping.wait(WORKER_RESTART_S):
                return
            try:
                self._start_process()
            except OSError as error:  # no memory or no process number: it may pass
                log.error("worker.not_started", detail=str(error))


def _work(config: Config, url: str) -> None:
    """The worker process. It ends with the node, also when that is killed: it must never outlive its supervisor."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_die_with, args=(parent.sentinel,), name="parent-watch", daemon=True).start()
    logs.configure(config.log.level, config.log.format)
    try:
        run_worker(config, url, alone=not config.database.url)
    except EchoScpError as error:
        log.error("worker.failed", detail=str(error))
        raise SystemExit(1) from None
    except Exception:  # the edge of the process: multiprocessing would print what the error says
        log.exception("worker.failed")
        raise SystemExit(1) from None


def _die_with(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os._exit(1)
