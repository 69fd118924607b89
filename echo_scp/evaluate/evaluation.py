"""One evaluation from data set to result: plan, run, summarise, draw the worst cases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from echo_scp import __version__
from echo_scp.evaluate.case import Case, DataSet
from echo_scp.evaluate.changes import ROBUSTNESS, UNCHANGED
from echo_scp.evaluate.drift import Drift, drift
from echo_scp.evaluate.evaluator import Evaluator, Settings, evaluator_for
from echo_scp.evaluate.outcome import CaseResult
from echo_scp.evaluate.run import Progress, plan, run
from echo_scp.evaluate.store import ResultStore
from echo_scp.evaluate.summary import Summary, summarise
from echo_scp.evaluate.worst import Worst, find_worst
from echo_scp.model import EngineIdentity

CASES, OVERLAYS = "cases", "overlays"


@dataclass(frozen=True, slots=True)
class WorstCase:
    """A clip that fared badly, and its picture below the output folder; None when nothing could be drawn."""

    worst: Worst
    picture: str | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that the report says."""

    software_version: str
    evaluated_at: datetime
    data: str
    layout: str
    remarks: tuple[str, ...]
    true_views: bool
    engines: tuple[EngineIdentity, ...]
    summary: Summary
    drift: Drift | None
    worst: tuple[WorstCase, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with a data set; `jobs` 0 means one per core."""

    data: DataSet
    described: str
    out: Path
    robustness: bool = False
    jobs: int = 0
    fresh: bool = False

    @property
    def steps(self) -> int:
        """How often `progress` will be called."""
        return len(self.data.cases) * (len(ROBUSTNESS) if self.robustness else 1)


def evaluate(
    plan_: Plan, settings: Settings, now: datetime, progress: Progress = lambda result: None
) -> tuple[Evaluation, tuple[CaseResult, ...]]:
    """Return the evaluation and the results of the unchanged cases; overlays are written below `plan_.out`."""
    jobs = min(plan_.jobs or os.cpu_count() or 1, len(plan_.data.cases))
    settings = _for_processes(settings, jobs)
    evaluator = evaluator_for(settings)
    changes = ROBUSTNESS if plan_.robustness else (UNCHANGED,)
    store = ResultStore(plan_.out / CASES, settings, evaluator.engines)
    tasks = plan(plan_.data.cases, changes, store)
    found = run(tasks, settings, jobs, fresh=plan_.fresh, progress=progress)
    by_change = {change.name: tuple(found[number :: len(changes)]) for number, change in enumerate(changes)}
    results = by_change[UNCHANGED.name]
    evaluation = Evaluation(
        software_version=__version__,
        evaluated_at=now,
        data=plan_.described,
        layout=plan_.data.layout,
        remarks=plan_.data.remarks,
        true_views=settings.true_views,
        engines=evaluator.engines,
        summary=summarise(results, evaluator.known_views),
        drift=drift(by_change, changes) if plan_.robustness else None,
        worst=tuple(_draw_worst(plan_, evaluator, results)),
    )
    return evaluation, results


def _for_processes(settings: Settings, jobs: int) -> Settings:
    """Give each of several processes one thread: more would wait for one another."""
    if jobs == 1:
        return settings
    analysis = settings.config.analysis.model_copy(update={"threads": 1})
    return replace(settings, config=settings.config.model_copy(update={"analysis": analysis}))


def _draw_worst(plan_: Plan, evaluator: Evaluator, results: Sequence[CaseResult]) -> Iterator[WorstCase]:
    cases: dict[str, Case] = {case.identifier: case for case in plan_.data.cases}
    folder = plan_.out / OVERLAYS
    for number, worst in enumerate(find_worst(results), start=1):
        png = evaluator.picture(cases[worst.case], worst.clip)
        if png is None:
            yield WorstCase(worst, None)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{number:02d}-{re.sub(r'[^A-Za-z0-9._-]+', '_', worst.clip)[:80]}.png"
        path.write_bytes(png)
        yield WorstCase(worst, f"{OVERLAYS}/{path.name}")
