"""Runs the two tasks until told to stop: one Procrastinate worker per queue, in one process."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

import procrastinate
import structlog
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision

from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.errors import DatabaseUnavailableError, EchoScpError
from echo_scp.inference.catalogue import load_engines
from echo_scp.jobs import ANALYSE_QUEUE, ANALYSE_STUDY, DELIVER_OBJECT, DELIVER_QUEUE, JobQueue, Work
from echo_scp.pipeline import Pipeline
from echo_scp.spool import Spool

ANALYSIS_ATTEMPTS = 3
DELIVERY_CONCURRENCY = 4
POLLING_S = 1.0  # how late a job that is due may start
GRACE_S = 60.0  # how long a stopping worker waits for the jobs in hand; what is left runs again at the next start

log = structlog.get_logger(__name__)


class GrowingDelay(BaseRetryStrategy):
    """Try again after first, 2 x first, 4 x first ... at most `maximum_s` seconds, as long as the error can pass."""

    def __init__(self, first_s: float, maximum_s: float, attempts: int | None = None) -> None:
        self._first_s = first_s
        self._maximum_s = maximum_s
        self._attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to try again, or None when this was the last attempt."""
        retryable = isinstance(exception, EchoScpError) and exception.retryable
        if not retryable and self._attempts is not None and job.attempts + 1 >= self._attempts:
            return None
        doublings = min(job.attempts, 30)
        return RetryDecision(retry_in={"seconds": min(self._first_s * 2**doublings, self._maximum_s)})


def run_worker(config: Config, url: str, *, alone: bool) -> None:
    """Work until SIGTERM or SIGINT. `alone` says that no other process works on this database.

    Raises ManifestError or EngineError when the configured engines cannot be used.
    """
    engines = load_engines(config.analysis)
    spool = Spool(config.data_folder, config.receive.reserve_disk_mb)
    with Database(url) as database, JobQueue(url) as queue:
        work = Work(config, database, queue, spool, Pipeline(config, engines))
        asyncio.run(_run(config, url, work, lambda: queue.recover(database), alone=alone))
    log.info("worker.stopped")


async def _run(config: Config, url: str, work: Work, recover: Callable[[], None], *, alone: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with build_app(config, url, work).open_async() as app:
        stalled_after_s = config.work.stalled_after_s
        await _take_over_stalled(app, 0.0 if alone else stalled_after_s)
        workers = [
            asyncio.create_task(_work(app, queue, concurrency, stalled_after_s))
            for queue, concurrency in ((ANALYSE_QUEUE, config.work.concurrency), (DELIVER_QUEUE, DELIVERY_CONCURRENCY))
        ]
        tasks = [*workers, asyncio.create_task(_housekeep(app, recover, stalled_after_s))]
        stopping = asyncio.create_task(stop.wait())
        log.info("worker.started", concurrency=config.work.concurrency)
        await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


def build_app(config: Config, url: str, work: Work) -> procrastinate.App:
    """Return the Procrastinate application with both tasks."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
    delivery_retry = GrowingDelay(config.deliver.first_retry_s, config.deliver.maximum_retry_s)

    @app.task(name=ANALYSE_STUDY, queue=ANALYSE_QUEUE, retry=GrowingDelay(5, 300, ANALYSIS_ATTEMPTS), pass_context=True)
    def analyse_study(context: procrastinate.JobContext, study_instance_uid: str) -> None:
        try:
            work.analyse_study(study_instance_uid)
        except DatabaseUnavailableError:
            raise
        except Exception:  # the edge of a job
            log.exception(
                "study.analysis_failed", study_instance_uid=study_instance_uid, attempt=context.job.attempts + 1
            )
            if context.job.attempts + 1 >= ANALYSIS_ATTEMPTS:
                work.fail_study(study_instance_uid)
            raise

    @app.task(name=DELIVER_OBJECT, queue=DELIVER_QUEUE, retry=delivery_retry)
    def deliver_object(sop_instance_uid: str, destination: str) -> None:
        work.deliver_object(sop_instance_uid, destination)

    return app


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


async def _housekeep(app: procrastinate.App, recover: Callable[[], None], stalled_after_s: float) -> None:
    """Give lost work its job again: at once, and then regularly."""
    while True:
        try:
            await asyncio.to_thread(recover)
            await _take_over_stalled(app, stalled_after_s)
        except (DatabaseUnavailableError, procrastinate.exceptions.ConnectorException) as error:
            log.warning("worker.database_unavailable", detail=str(error))
        await asyncio.sleep(stalled_after_s)


async def _take_over_stalled(app: procrastinate.App, seconds: float) -> None:
    """Put the jobs of workers that were silent for `seconds` back into their queue."""
    await app.job_manager.prune_stalled_workers(seconds)
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds):
        log.warning("job.taken_over", task=job.task_name, job_id=job.id)
        await app.job_manager.retry_job(job)
