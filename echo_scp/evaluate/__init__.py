"""Compare the product with truth: outlines, EF, volumes, views, and how often it says nothing and why."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from echo_scp.errors import StorageError
from echo_scp.evaluate.evaluation import Plan, evaluate
from echo_scp.evaluate.evaluator import Settings
from echo_scp.evaluate.files import all_tables, write_files
from echo_scp.evaluate.layouts import Selection, open_data
from echo_scp.evaluate.run import Progress
from echo_scp.evaluate.tables import TextTable

__all__ = ["Plan", "Progress", "Selection", "Settings", "TextTable", "plan_of", "report"]


def plan_of(
    paths: tuple[Path, ...],
    truth: Path | None,
    selection: Selection,
    out: Path,
    *,
    robustness: bool = False,
    jobs: int = 0,
    fresh: bool = False,
) -> Plan:
    """Return what is to be done; raises EvaluationError naming what is wrong with the data."""
    described = ", ".join(path.name for path in paths)
    selected = (
        f"split {selection.split}" if selection.split else "",
        "patients with both views" if selection.both_views else "",
        f"the first {selection.limit}" if selection.limit else "",
    )
    described = ", ".join([described, *filter(None, selected)])
    return Plan(open_data(paths, truth, selection), described, out, robustness, jobs, fresh)


def report(plan: Plan, settings: Settings, now: datetime, progress: Progress) -> tuple[TextTable, ...]:
    """Evaluate, write every file of the report, and return its tables; raises StorageError naming what cannot be."""
    try:
        evaluation, results = evaluate(plan, settings, now, progress)
        write_files(evaluation, results, plan.out)
    except OSError as error:
        raise StorageError(f"{error.filename or plan.out}: {error.strerror}") from error
    return all_tables(evaluation)
