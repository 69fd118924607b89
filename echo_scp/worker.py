"""Analyses and delivers until told to stop: a Procrastinate worker and the outbox's threads, in one process."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import procrastinate
import structlog
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status

from echo_scp.audit import AuditTrail
from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.errors import DatabaseUnavailableError, EchoScpError
from echo_scp.inference.catalogue import load_engines
from echo_scp.jobs import ANALYSE_QUEUE, ANALYSE_STUDY, JobQueue, Work
from echo_scp.kept import KeptResults
from echo_scp.outbox import Deliverer, retry_wait_s
from echo_scp.pipeline import Pipeline
from echo_scp.retention import Retention, disk_used_percent
from echo_scp.spool import Spool

ANALYSIS_ATTEMPTS = 3
ANALYSIS_RETRY_S = (5.0, 300.0)  # first and longest wait
MAXIMUM_TAKEOVERS = 8  # of one study's job: more mean that the study kills its worker
FREE_TAKEOVERS = 2  # a worker may die of something else; from then on the study waits, and others go before it
CLOCK_TOLERANCE_S = 60.0  # how far the clocks of hosts may lie apart
POLLING_S = 1.0  # how late a job that is due may start
GRACE_S = 60.0  # how long a stopping worker waits for the jobs in hand; what is left runs again at the next start

log = structlog.get_logger(__name__)


def run_worker(config: Config, url: str, *, alone: bool) -> None:
    """Work until SIGTERM or SIGINT. `alone` says that no other process works on this database.

    Raises ManifestError or EngineError when the configured engines cannot be used.
    """
    os.nice(config.work.niceness)  # a sender waits for the receiver, nobody for us; threads to come inherit it
    engines = load_engines(config.analysis)
    spool = Spool(config.data_folder, config.receive.reserve_disk_mb, config.shared_folder)
    connections = 2 + config.work.concurrency + sum(destination.concurrency for destination in config.destinations)
    with (
        AuditTrail(config.audit, config.audit_file, config.receive.ae_title) as audit,
        Database(url, connections) as database,
        JobQueue(url) as queue,
        Deliverer(config, database, audit) as deliverer,
    ):
        pipeline = Pipeline(config, engines, _kept(config, spool))
        gc.freeze()  # what is loaded by now stays: no collection need look at it again
        work = Work(config, database, queue, spool, pipeline, audit=audit, on_queued=deliverer.wake)
        longest_wait_s = config.study.quiet_period_s + ANALYSIS_RETRY_S[1] + CLOCK_TOLERANCE_S
        retention = Retention(config, database, spool, audit, partial(disk_used_percent, config.store_folder))

        def keep_house() -> None:
            queue.recover(database, longest_wait_s)
            retention.run()

        asyncio.run(_run(config, url, work, queue, keep_house, alone=alone))
    log.info("worker.stopped")


def _kept(config: Config, spool: Spool) -> KeptResults | None:
    if config.analysis.kept_mb == 0:
        return None
    return KeptResults(spool.kept_folder, config.analysis.kept_mb * 1048576, spool.require_space)


async def _run(
    config: Config, url: str, work: Work, queue: JobQueue, keep_house: Callable[[], None], *, alone: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with build_app(url, work, queue).open_async() as app:
        stalled_after_s = config.work.stalled_after_s
        await _take_over_stalled(app, work, 0.0 if alone else stalled_after_s)
        tasks = [
            asyncio.create_task(_work(app, ANALYSE_QUEUE, config.work.concurrency, stalled_after_s)),
            asyncio.create_task(_housekeep(app, work, keep_house, stalled_after_s)),
        ]
        stopping = asyncio.create_task(stop.wait())
        log.info("worker.started", concurrency=config.work.concurrency)
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome


def build_app(url: str, work: Work, queue: JobQueue) -> procrastinate.App:
    """Return the Procrastinate application with its task.

    A task that fails queues its successor itself. Procrastinate's own retry would turn the running job back into a
    waiting one, which the queueing lock forbids when a newer job of the same study waits already.
    """
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(name=ANALYSE_STUDY, queue=ANALYSE_QUEUE)
    def analyse_study(study_instance_uid: str, attempt: int = 1) -> None:
        try:
            work.analyse_study(study_instance_uid)
        except Exception as error:  # the edge of a job
            log.exception("study.analysis_failed", study_instance_uid=study_instance_uid, attempt=attempt)
            passing = isinstance(error, EchoScpError) and error.retryable
            if passing or attempt < ANALYSIS_ATTEMPTS:
                queue.schedule_analysis(study_instance_uid, retry_wait_s(*ANALYSIS_RETRY_S, attempt), attempt + 1)
            else:
                work.fail_study(study_instance_uid, _failure(error, attempt))

    return app


def _failure(error: Exception, attempts: int) -> str:
    """Say why a study failed. Of errors that are not ours only the kind: their text may quote a header."""
    reason = f"{type(error).__name__}: {error}" if isinstance(error, EchoScpError) else type(error).__name__
    return f"{attempts} attempts; the last: {reason}"


async def _work(app: procrastinate.App, queue: str, concurrency: int, stalled_after_s: float) -> None:
    await app.run_worker_async(
        queues=[queue],
        name=queue,
        concurrency=concurrency,
        fetch_job_polling_interval=POLLING_S,
        install_signal_handlers=False,
        shutdown_graceful_timeout=GRACE_S,
        delete_jobs="successful",
        update_heartbeat_interval=stalled_after_s / 3,
        stalled_worker_timeout=stalled_after_s,
    )


async def _housekeep(
    app: procrastinate.App, work: Work, keep_house: Callable[[], None], stalled_after_s: float
) -> None:
    """Give lost work its job again, and keep the disk from filling: at once, and then regularly."""
    while True:
        for chore in (partial(asyncio.to_thread, keep_house), partial(_take_over_stalled, app, work, stalled_after_s)):
            try:
                await chore()
            except (DatabaseUnavailableError, ConnectorException) as error:
                log.warning("worker.database_unavailable", detail=str(error))
            except Exception:  # the task's edge: were it to end, the worker would, and the studies in hand with it
                log.exception("worker.housekeeping_failed")
        await asyncio.sleep(stalled_after_s)


async def _take_over_stalled(app: procrastinate.App, work: Work, seconds: float) -> None:
    """Put the jobs of workers that were silent for `seconds` back into their queue."""
    await app.job_manager.prune_stalled_workers(seconds)
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        await _take_over(app, work, job)


async def _take_over(app: procrastinate.App, work: Work, job: Job) -> None:
    log.warning("job.taken_over", task=job.task_name, job_id=job.id, attempts=job.attempts)
    deaths = job.attempts + 1
    if job.task_name == ANALYSE_STUDY and deaths >= MAXIMUM_TAKEOVERS:
        failure = f"its analysis ended the worker {deaths} times"
        await asyncio.to_thread(work.fail_study, str(job.task_kwargs["study_instance_uid"]), failure)
        await app.job_manager.finish_job(job, Status.FAILED, delete_job=True)
        return
    again = max(0, deaths - FREE_TAKEOVERS)
    wait_s = retry_wait_s(*ANALYSIS_RETRY_S, again) if again else 0.0
    try:
        await app.job_manager.retry_job(job, datetime.now(UTC) + timedelta(seconds=wait_s), priority=-again)
    except UniqueViolation:  # a newer job of the same study or object waits: it does this one's work
        await app.job_manager.finish_job(job, Status.ABORTED, delete_job=True)
