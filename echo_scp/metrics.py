"""Every metric of the node, in one table; the only names that /metrics shows.

prometheus_client decides at its first import, by the environment, whether several processes share their values
through a folder. So it is imported when the first value is recorded, never before: `prepare` may come any time earlier.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from echo_scp.errors import GpuFault
from echo_scp.reasons import Reason

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts up; the values of all processes, dead ones included, add up.

    `series` are label values that show their zero before the first event: an alert on an increase sees that one too.
    """

    name: str
    help: str
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ()

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count `amount` more."""
        _series(self.name, labels).inc(amount)


@dataclass(frozen=True, slots=True)
class Gauge:
    """Is set; the value that any process set last is the value."""

    name: str
    help: str
    labels: tuple[str, ...] = ()

    def set(self, value: float, **labels: str) -> None:
        """Replace the value."""
        _series(self.name, labels).set(value)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Distributes observations over `buckets` (upper bounds); the values of all processes add up."""

    name: str
    help: str
    buckets: tuple[float, ...]
    labels: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ()

    def begin(self, **labels: str) -> None:
        """Show zeros before the first observation."""
        _series(self.name, labels)

    def observe(self, value: float, **labels: str) -> None:
        """Record one observation."""
        _series(self.name, labels).observe(value)

    @contextmanager
    def time(self, **labels: str) -> Iterator[None]:
        """Observe the seconds that the block takes, also when it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(time.perf_counter() - start, **labels)


INSTANCES_RECEIVED = Counter(
    "echo_scp_instances_received_total",
    "C-STORE requests by outcome; refused: the disk cannot take it.",
    ("outcome",),
    (("stored",), ("refused",), ("failed",)),
)
RECEIVED_BYTES = Counter("echo_scp_received_bytes_total", "Data set bytes stored.")
ASSOCIATIONS = Counter(
    "echo_scp_associations_total",
    "Incoming associations by what happened to them.",
    ("outcome",),
    (("accepted",), ("rejected",), ("released",), ("aborted",)),
)
COMMITTED_INSTANCES = Counter(
    "echo_scp_committed_instances_total",
    "Instances for which storage commitment was answered, by outcome: committed, failed.",
    ("outcome",),
)
PART_UP = Gauge(
    "echo_scp_part_up",
    "1 while a part of the node does its work, else 0: receivers, database, worker; as /readyz says.",
    ("part",),
)
SPOOL_BACKLOG = Gauge("echo_scp_spool_backlog_files", "Acknowledged instances that are not indexed yet.")
CONFLICTS = Gauge(
    "echo_scp_conflicts",
    "Instances that came again with other content under their SOP Instance UID and wait for `echo-scp conflicts`.",
)
STUDIES = Gauge("echo_scp_studies", "Studies by state: receiving, analysing, reported, failed.", ("state",))
STAGE_DURATION = Histogram(
    "echo_scp_stage_duration_seconds",
    "Duration of one run of a stage of the analysis.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    ("stage",),
    tuple(
        (stage,)
        for stage in ("decode", "classify", "segment", "measure", "trust", "estimate", "draw", "report", "keep")
    ),
)
CLIPS = Counter(
    "echo_scp_clips_total",
    "Analysed instances by outcome and the reason why there is no number.",
    ("outcome", "reason"),
    (("measured", ""), *(("not_assessed", reason) for reason in Reason)),
)
DELIVERIES = Counter(
    "echo_scp_deliveries_total",
    "Attempts to send a result, by destination and outcome: delivered, warning, refused, unsupported, unreachable.",
    ("destination", "outcome"),
)
COMMITMENTS = Counter(
    "echo_scp_commitments_total",
    "Objects in answers of Storage Commitment, by destination and outcome: committed, failed, unanswered.",
    ("destination", "outcome"),
)
DELIVERIES_WAITING = Gauge("echo_scp_deliveries_waiting", "Objects that wait to be sent.", ("destination",))
DELIVERIES_GIVEN_UP = Gauge(
    "echo_scp_deliveries_given_up",
    "Objects that were tried for deliver.give_up_after_h and wait for `echo-scp deliveries retry` or `cancel`.",
    ("destination",),
)
DELIVERY_AGE = Gauge(
    "echo_scp_delivery_oldest_age_seconds",
    "Age of the object that has waited longest; alert on hours.",
    ("destination",),
)
DELIVERY_ATTEMPTS = Gauge(
    "echo_scp_delivery_attempts_max", "Attempts of the waiting object that was tried most often.", ("destination",)
)
DESTINATION_RESTING = Gauge(
    "echo_scp_destination_resting",
    "1 while a destination that could not be reached is left alone (the circuit breaker is open), else 0.",
    ("destination",),
)
PURGED_STUDIES = Counter(
    "echo_scp_purged_studies_total", "Studies whose local copies were removed because the disk was full."
)
DELIVERY_LATENCY = Histogram(
    "echo_scp_delivery_latency_seconds",
    "From the last instance of a study that a result is made of to that result at its destination; the quiet period "
    "is in it, and so is the time that a destination was away.",
    (5, 10, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1800, 3600, 21600, 86400),
    ("destination",),
)
QUEUE_DEPTH = Gauge("echo_scp_queue_jobs", "Jobs that wait, by queue (analyse).", ("queue",))
QUEUE_AGE = Gauge("echo_scp_queue_oldest_job_age_seconds", "Age of the oldest job that is due, by queue.", ("queue",))
ENGINE_FALLBACKS = Counter(
    "echo_scp_engine_fallbacks_total",
    "Engines that run on the CPU because the graphics processor could not, by the task and why; alert on any increase.",
    ("task", "fault"),
    tuple((task, fault) for task in ("view", "segmentation") for fault in GpuFault),
)

ALL: tuple[Counter | Gauge | Histogram, ...] = (
    INSTANCES_RECEIVED,
    RECEIVED_BYTES,
    ASSOCIATIONS,
    COMMITTED_INSTANCES,
    PART_UP,
    SPOOL_BACKLOG,
    CONFLICTS,
    STUDIES,
    STAGE_DURATION,
    CLIPS,
    DELIVERIES,
    COMMITMENTS,
    DELIVERIES_WAITING,
    DELIVERIES_GIVEN_UP,
    DELIVERY_AGE,
    DELIVERY_ATTEMPTS,
    DESTINATION_RESTING,
    PURGED_STUDIES,
    DELIVERY_LATENCY,
    QUEUE_DEPTH,
    QUEUE_AGE,
    ENGINE_FALLBACKS,
)


def announce_destinations(names: Iterable[str]) -> None:
    """Show the zeros of destinations before their first delivery."""
    for name in names:
        for outcome in ("delivered", "warning", "refused", "unsupported", "unreachable"):
            DELIVERIES.add(0, destination=name, outcome=outcome)
        DELIVERY_LATENCY.begin(destination=name)


def prepare(folder: Path, role: str = "") -> None:
    """Let this process and its children share their values in `folder`, emptied of those of an earlier run.

    Called once by the composition root, before anything is recorded; in a child, which inherits the setting, it does
    nothing. One folder per process tree: the roles of a node have theirs side by side in `folder`, and what one renders
    are the values of all. Raises RuntimeError when prometheus_client was imported without the setting.
    """
    global _all_roles  # noqa: PLW0603 - like the environment variable, of the process as a whole
    _all_roles = folder if role else None
    folder /= role
    if os.environ.get(FOLDER_VARIABLE) == str(folder):
        return
    if "prometheus_client" in sys.modules:
        raise RuntimeError("metrics.prepare came after the first import of prometheus_client")
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.db"):
        stale.unlink()
    os.environ[FOLDER_VARIABLE] = str(folder)


def render() -> bytes:
    """Return every metric, of all processes when `prepare` was called, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    with _lock:
        registry, _ = _collectors()  # so that a metric without labels shows its zero before its first event
    if FOLDER_VARIABLE in os.environ:
        registry = CollectorRegistry()
        registry.register(_Files(sorted(str(path) for path in _value_files()), MultiProcessCollector))
    return generate_latest(registry)


class _Files:
    """A collector of what processes left in files."""

    def __init__(self, paths: list[str], collector: Any) -> None:  # noqa: ANN401 - MultiProcessCollector
        self._paths = paths
        self._collector = collector

    def collect(self) -> Iterable[Any]:
        """Return the values of all processes together."""
        merged: Iterable[Any] = self._collector.merge(self._paths, accumulate=True)
        return merged


def _value_files() -> Iterable[Path]:
    return Path(os.environ[FOLDER_VARIABLE]).glob("*.db") if _all_roles is None else _all_roles.glob("*/*.db")


_all_roles: Path | None = None
_lock = threading.Lock()  # the first value may be recorded by several threads at once


def _series(name: str, labels: dict[str, str]) -> Any:  # noqa: ANN401 - Counter, Gauge or Histogram of prometheus_client
    return _child(name, *labels.items())


@cache
def _child(name: str, *labels: tuple[str, str]) -> Any:  # noqa: ANN401 - as in _series
    with _lock:
        _, collectors = _collectors()
    return collectors[name].labels(**dict(labels)) if labels else collectors[name]


@cache
def _collectors() -> tuple[Any, dict[str, Any]]:
    """Build the whole table: (registry, name -> collector)."""
    import prometheus_client as prometheus

    registry = prometheus.CollectorRegistry()
    collectors: dict[str, Any] = {}
    for metric in ALL:
        match metric:
            case Counter(name, text, labels, series):
                collectors[name] = prometheus.Counter(name, text, labels, registry=registry)
                _begin(collectors[name], series)
            case Gauge(name, text, labels):
                collectors[name] = prometheus.Gauge(
                    name, text, labels, registry=registry, multiprocess_mode="mostrecent"
                )
            case Histogram(name, text, buckets, labels, series):
                collectors[name] = prometheus.Histogram(name, text, labels, buckets=buckets, registry=registry)
                _begin(collectors[name], series)
    return registry, collectors


def _begin(collector: Any, series: Iterable[tuple[str, ...]]) -> None:  # noqa: ANN401 - as in _series
    for values in series:
        collector.labels(*values)
