"""The report as one HTML file: no script, no font, no picture comes from elsewhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from echo_scp.evaluate.evaluation import Evaluation, WorstCase
from echo_scp.evaluate.figures import (
    bland_altman_figure,
    calibration_figure,
    confusion_figure,
    drift_figure,
    roc_figure,
    scatter_figure,
)
from echo_scp.evaluate.outcome import Against, CaseResult, Quantity
from echo_scp.evaluate.summary import Series, pairs_of
from echo_scp.evaluate.tables import drift_tables, number, summary_tables
from echo_scp.model import Structure

TEMPLATE = "report.html.j2"
LISTED = 200  # rows of what was not assessed; not_assessed.csv has all
FEWEST = 3  # pairs that make a figure


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one series of EF."""

    title: str
    drawings: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class Headline:
    """One number that a reader looks for first."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A worst case with its picture as a data URI."""

    title: str
    told: str
    picture: str | None


def report_html(evaluation: Evaluation, results: Sequence[CaseResult], out: Path) -> str:
    """Return the report; overlays are taken from below `out` into the page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = files("echo_scp.evaluate").joinpath(TEMPLATE).read_text(encoding="utf-8")
    unassessed = evaluation.summary.unassessed
    return environment.from_string(source).render(
        evaluation=evaluation,
        headlines=tuple(_headlines(evaluation)),
        tables=tuple(summary_tables(evaluation.summary)),
        drift_tables=() if evaluation.drift is None else tuple(drift_tables(evaluation.drift)),
        drift_figure=None if evaluation.drift is None else _drawn(drift_figure(evaluation.drift)),
        confusion=None if evaluation.summary.views is None else _drawn(confusion_figure(evaluation.summary.views)),
        figures=tuple(_figures(evaluation, results)),
        worst=tuple(_shown(case, out) for case in evaluation.worst),
        unassessed=unassessed[:LISTED],
        unlisted=max(0, len(unassessed) - LISTED),
    )


def _headlines(evaluation: Evaluation) -> Iterator[Headline]:
    summary = evaluation.summary
    yield Headline("cases", str(summary.cases))
    for row in summary.overlap:
        if row.structure is Structure.LV_CAVITY and row.phase == "all":
            yield Headline(f"LV Dice, {row.view}", number(row.dice.value, 3))
    for agreed in summary.agreement:
        if agreed.series.quantity is Quantity.EF and not agreed.series.measured_by.startswith("experts"):
            told = f"EF: MAE / bias, {agreed.series.measured_by}, against {agreed.series.against}"
            yield Headline(told, f"{number(agreed.mae.value, 1)} / {number(agreed.bias.value, 1, signed=True)}")


def _figures(evaluation: Evaluation, results: Sequence[CaseResult]) -> Iterator[Figures]:
    for row in evaluation.summary.agreement:
        if row.series.quantity is not Quantity.EF or row.count < FEWEST:
            continue
        pairs = pairs_of(results, row.series)
        drawn = [scatter_figure(pairs), bland_altman_figure(pairs), roc_figure(pairs)]
        if any(pair.interval is not None for pair in pairs):
            drawn.append(calibration_figure(pairs))
        yield Figures(_title(row.series), tuple(map(_drawn, drawn)))


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - made by us, and svg.py escapes every word in it


def _title(series: Series) -> str:
    truth = "experts' outlines" if series.against is Against.EXPERTS else "the reference"
    return f"EF: {series.measured_by}, against {truth}"


def _shown(case: WorstCase, out: Path) -> Shown:
    picture = None
    if case.picture is not None:
        picture = f"data:image/png;base64,{b64encode((out / case.picture).read_bytes()).decode()}"
    return Shown(case.worst.clip, case.worst.what, picture)
