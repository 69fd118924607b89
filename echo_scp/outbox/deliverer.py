"""The threads of the outbox."""

from __future__ import annotations

import threading

import structlog

from echo_scp.audit import AuditTrail
from echo_scp.config import Config
from echo_scp.database.connection import Database
from echo_scp.errors import DatabaseUnavailableError
from echo_scp.outbox.committing import Committing
from echo_scp.outbox.lane import Lane

POLL_S = 1.0  # how late what another host queued, or what is due again, may be sent

log = structlog.get_logger(__name__)


class Deliverer:
    """The threads of all destinations. Leaving the `with` block finishes the objects in hand."""

    def __init__(self, config: Config, database: Database, audit: AuditTrail) -> None:
        self._stopping = threading.Event()
        self._wake = threading.Condition()
        self._generation = 0
        self._threads: list[threading.Thread] = []
        for destination in config.destinations:
            lane = Lane(config, destination, database, audit, self._stopping.is_set)
            committing = Committing(config, destination, database)
            for number in range(1, destination.concurrency + 1):
                name = f"deliver-{destination.name}-{number}"
                self._threads.append(
                    threading.Thread(target=self._run, args=(lane, committing), name=name, daemon=True)
                )

    def __enter__(self) -> Deliverer:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self.wake()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """Say that something was queued. Never blocks for long."""
        with self._wake:
            self._generation += 1
            self._wake.notify_all()

    def _run(self, lane: Lane, committing: Committing) -> None:
        while not self._stopping.is_set():
            generation = self._generation
            try:
                busy = lane.send_due() or committing.ask_due()
            except DatabaseUnavailableError as error:
                log.warning("deliverer.database_unavailable", detail=str(error))
                busy = False
            except Exception:  # the thread's edge: were it to end, results would wait without a word
                log.exception("deliverer.failed")
                busy = False
            if not busy:
                self._pause(generation)

    def _pause(self, seen: int) -> None:
        with self._wake:
            self._wake.wait_for(lambda: self._generation != seen or self._stopping.is_set(), timeout=POLL_S)
