"""Write an evaluation: JSON, CSV, Markdown, HTML and the exports."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from echo_scp.evaluate.evaluation import Evaluation
from echo_scp.evaluate.exports import write_exports
from echo_scp.evaluate.html import report_html
from echo_scp.evaluate.outcome import CaseResult
from echo_scp.evaluate.tables import TextTable, drift_tables, summary_tables

REPORT, TABLES, JSON = "report.html", "tables.md", "evaluation.json"
COMPARISONS = (
    *("case", "patient", "clip", "quantity", "measured_by", "against", "truth", "measured", "difference"),
    *("interval_low", "interval_high", "reason", "detail"),
)
FRAMES = ("case", "patient", "clip", "view", "phase", "structure", "dice", "iou", "hausdorff95", "hausdorff_unit")
CLIPS = (
    *("case", "patient", "clip", "true_view", "view", "view_confidence", "beats"),
    *("ef_percent", "interval_low", "interval_high", "edv_ml", "esv_ml", "trust", "reason", "detail"),
)
UNASSESSED = ("case", "clip", "what", "reason", "detail")
Cell = str | int | float | None

_ADAPTER: TypeAdapter[Evaluation] = TypeAdapter(Evaluation)


def write_files(evaluation: Evaluation, results: Sequence[CaseResult], out: Path) -> None:
    """Write everything into `out`; the per-case results and overlays are there already."""
    out.mkdir(parents=True, exist_ok=True)
    (out / JSON).write_bytes(_ADAPTER.dump_json(evaluation, indent=2) + b"\n")
    (out / TABLES).write_text(tables_markdown(evaluation), encoding="utf-8")
    (out / REPORT).write_text(report_html(evaluation, results, out), encoding="utf-8")
    _write(out / "comparisons.csv", COMPARISONS, _comparisons(results))
    _write(out / "frames.csv", FRAMES, _frames(results))
    _write(out / "clips.csv", CLIPS, _clips(results))
    _write(out / "not_assessed.csv", UNASSESSED, _unassessed(evaluation))
    write_exports(out / "exports", results, evaluation.summary.views, evaluation.engines, evaluation.evaluated_at)


def all_tables(evaluation: Evaluation) -> tuple[TextTable, ...]:
    """Return the tables of the summary and, in robustness mode, of the drift."""
    moved = () if evaluation.drift is None else tuple(drift_tables(evaluation.drift))
    return (*summary_tables(evaluation.summary), *moved)


def tables_markdown(evaluation: Evaluation) -> str:
    """Return every table in Markdown, without headings of its own above level 4."""
    engines = ", ".join(f"{engine.name} {engine.version} ({engine.sha256[:12]})" for engine in evaluation.engines)
    summary = evaluation.summary
    lines = [
        f"{summary.cases} cases of {summary.patients} patients, {summary.clips} clips; engines {engines}; "
        f"echo-scp {evaluation.software_version}, {evaluation.evaluated_at:%Y-%m-%d}.",
        "",
    ]
    for table in all_tables(evaluation):
        marks = ["---"] * table.words + ["---:"] * (len(table.columns) - table.words)
        lines += [f"#### {table.title}", "", table.note, "", *map(_row, (table.columns, marks, *table.rows)), ""]
    return "\n".join(lines)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _write(path: Path, columns: tuple[str, ...], rows: Iterable[tuple[Cell, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if cell is None else cell for cell in row] for row in rows)


def _comparisons(results: Iterable[CaseResult]) -> Iterator[tuple[Cell, ...]]:
    for result in results:
        for item in result.comparisons:
            difference = None if item.measured is None else round(item.measured - item.truth, 3)
            why = ("", "") if item.refusal is None else (item.refusal.reason, item.refusal.detail)
            series = item.clip, item.quantity, item.measured_by, item.against
            interval = (None, None) if item.interval is None else tuple(round(end, 3) for end in item.interval)
            measured = None if item.measured is None else round(item.measured, 3)
            numbers = round(item.truth, 3), measured, difference, *interval
            yield (result.identifier, result.patient, *series, *numbers, *why)


def _frames(results: Iterable[CaseResult]) -> Iterator[tuple[Cell, ...]]:
    for result in results:
        for frame in result.frames:
            scores = (frame.dice, frame.intersection_over_union, frame.hausdorff95)
            rounded = (None if score is None else round(score, 4) for score in scores)
            where = frame.clip, frame.view, frame.phase, frame.structure
            yield (result.identifier, result.patient, *where, *rounded, "mm" if frame.calibrated else "px")


def _clips(results: Iterable[CaseResult]) -> Iterator[tuple[Cell, ...]]:
    for result in results:
        for clip in result.clips:
            confidence = None if clip.view_confidence is None else round(clip.view_confidence, 4)
            why = ("", "") if clip.refusal is None else (clip.refusal.reason, clip.refusal.detail)
            view = clip.true_view, clip.view, confidence
            told = clip.ef_percent, *(clip.ef_interval or (None, None)), clip.edv_ml, clip.esv_ml, clip.trust
            numbers = (None if value is None else round(value, 3) for value in told)
            yield (result.identifier, result.patient, clip.name, *view, len(clip.beats), *numbers, *why)


def _unassessed(evaluation: Evaluation) -> Iterator[tuple[Cell, ...]]:
    for item in evaluation.summary.unassessed:
        yield item.case, item.clip, item.what, item.reason, item.detail
