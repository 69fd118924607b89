"""Time work on a GPU, and put what came out into one table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WARM_UP_RUNS = 10
LATENCY_RUNS = 50
ROUNDS = 5
ROUND_S = 0.2


@dataclass(frozen=True, slots=True)
class Timing:
    """`latency_ms` is from the call to its end; `period_ms` the time per run when the next is queued before that."""

    latency_ms: float
    period_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement, or why there is none (`timing` None)."""

    engine: str
    precision: str
    batch: int
    road: str
    timing: Timing | None
    share_of_limit: float | None = None
    note: str = ""

    @property
    def frames_per_s(self) -> float:
        return 0.0 if self.timing is None else 1000 * self.batch / self.timing.period_ms


def time_runs(run: Callable[[], object], wait: Callable[[], None]) -> Timing:
    """Time `run`, which may return before its work is done; `wait` returns when all is."""
    for _ in range(WARM_UP_RUNS):
        run()
    wait()
    latency_s = statistics.median(_time_s(run, wait, 1) for _ in range(LATENCY_RUNS))
    count = max(1, round(ROUND_S / latency_s))
    period_s = min(_time_s(run, wait, count) / count for _ in range(ROUNDS))
    return Timing(1000 * latency_s, 1000 * period_s)


def _time_s(run: Callable[[], object], wait: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        run()
    wait()
    return time.perf_counter() - start


def markdown(rows: Sequence[Row]) -> str:
    """Return the rows as a table; speed-up is against torch eager of the same engine, precision, batch and place."""
    lines = [
        "| engine | precision | batch | road | latency ms | frames/s | share of limit | against torch eager | note |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(row, rows) for row in rows)])


def _line(row: Row, rows: Sequence[Row]) -> str:
    if row.timing is None:
        return f"| {row.engine} | {row.precision} | {row.batch} | {row.road} | - | - | - | - | {row.note} |"
    share = "" if row.share_of_limit is None else f"{row.share_of_limit:.1%}"
    eager = next((other for other in rows if _is_baseline(other, row)), None)
    ratio = "" if eager is None or eager is row else f"{row.frames_per_s / eager.frames_per_s:.1f}x"
    cells = (f"{row.timing.latency_ms:.3f}", f"{row.frames_per_s:.0f}", share, ratio, row.note)
    return f"| {row.engine} | {row.precision} | {row.batch} | {row.road} | {' | '.join(cells)} |"


def _is_baseline(other: Row, row: Row) -> bool:
    place = row.road.rpartition(", ")[2]
    same = (other.engine, other.precision, other.batch) == (row.engine, row.precision, row.batch)
    return same and other.timing is not None and other.road == f"torch eager, {place}"
