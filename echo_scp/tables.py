"""A study's result for the terminal, with Rich, from its results.json (docs/results.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from echo_scp.evaluate.tables import TextTable

Results = Mapping[str, Any]  # the parsed file


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of a synthetic clip."""

    edv_ml: float
    esv_ml: float
    ef_percent: float


def read_results(path: Path) -> Results:
    """Return the content of a results.json."""
    content: Results = json.loads(path.read_text(encoding="utf-8"))
    return content


def clip_table(results: Results, title: str, truths: Mapping[str, Truth] | None = None) -> Table:
    """Return one row per instance, at most 80 characters wide.

    `truths` by SOP Instance UID adds the true volumes and EF.
    """
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("no.", "view", "conf.", "beats", "EDV/ESV mL, EF %"):
        table.add_column(name, justify="left" if name == "view" else "right", no_wrap=True)
    if truths:
        table.add_column("truth", justify="right", no_wrap=True)
    table.add_column("eligible", no_wrap=True)
    for clip in results["instances"]:
        cells = [escape(_number(clip)), *_view(clip), *_numbers(clip["measurement"])]
        if truths:
            cells.append(_truth(truths.get(clip["sop_instance_uid"])))
        table.add_row(*cells, _eligibility(clip))
    return table


def remark_lines(results: Results) -> Iterator[str]:
    """Yield, per instance, why it was not measured or what is to be known of its numbers."""
    for clip in results["instances"]:
        refusal = clip["not_assessed"]
        remarks = [refusal["detail"]] if refusal is not None else [flag["detail"] for flag in clip["flags"]]
        for remark in remarks:
            yield f"  [dim]{escape(_number(clip))}: {escape(remark)}[/]"


def estimate_lines(results: Results) -> Iterator[str]:
    """Yield, per instance, what networks said of it directly, beside what was measured."""
    for clip in results["instances"]:
        for found in clip["estimates"]:
            name, unit = found["name"].replace("_", " "), "" if found["unit"] == "1" else f" {found['unit']}"
            mark = ", [bold]research[/]" if found["research"] else ""
            value = f"{name} {found['value']:.4g}{unit}" if found["value"] is not None else f"{name} -"
            yield f"  {escape(_number(clip))}: {escape(value)} [dim]({escape(found['engine'])}{mark})[/]"


def study_lines(results: Results) -> Iterator[str]:
    """Yield the headline, what follows from it, why these clips were chosen, and the grades."""
    result = results["result"]
    if not result["assessed"]:
        yield f"[bold]EF not assessed[/] ({result['reason']}): {escape(result['detail'])}"
        return
    volumes = "volumes not calibrated"
    if result["edv_ml"] is not None:
        volumes = f"EDV {result['edv_ml']:.1f} mL, ESV {result['esv_ml']:.1f} mL"
    beats = f"{result['beat_count']} beat{'s' if result['beat_count'] != 1 else ''}"
    method = result["method"].replace("_", " ")
    view = "A4C and A2C" if "biplane" in method else result["view"]
    yield f"[bold]EF {result['ef_percent']:.1f} %[/]{_interval(result)} ({view}, {method}, {beats}); {volumes}"
    derived = ", ".join(_derived(result))
    if derived:
        yield f"  {derived}"
    yield from (f"  {escape(text)}" for text in (result["choice"],) if text)
    yield from (f"  [yellow]{flag['flag']}[/]: {escape(flag['detail'])}" for flag in result["flags"])
    for grade in results["assessment"]:
        yield f"  {grade['scale']}: {grade['grade']}"


def evaluation_tables(table: TextTable) -> Iterator[Table | str]:
    """Yield a table of an evaluation, one per group of its rows, and what is to be known of it."""
    yield f"[bold]{escape(table.title)}[/] [dim]{escape(table.note)}[/]"
    for group, rows in groupby(table.rows, key=lambda row: row[: table.grouped]):
        shown = Table(title=", ".join(group) or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(table.columns[table.grouped :], start=table.grouped):
            shown.add_column(name, justify="left" if number < table.words else "right")
        for row in rows:
            shown.add_row(*map(escape, row[table.grouped :]))
        yield shown


def _interval(result: Results) -> str:
    interval = result["ef_interval_percent"]
    return "" if interval is None else f" (95 % interval {interval[0]:.0f} to {interval[1]:.0f})"


def _derived(result: Results) -> Iterator[str]:
    """Yield the numbers beside EF, EDV and ESV that are there."""
    for key, text in (
        ("stroke_volume_ml", "SV {:.1f} mL"),
        ("cardiac_output_l_min", "CO {:.1f} L/min"),
        ("la_volume_ml", "LA {:.1f} mL"),
        ("edv_index_ml_m2", "EDV index {:.1f} mL/m2"),
        ("esv_index_ml_m2", "ESV index {:.1f} mL/m2"),
        ("la_index_ml_m2", "LA index {:.1f} mL/m2"),
        ("ef_area_length_percent", "EF by area-length {:.1f} %"),
        ("ef_regression_percent", "EF by regression {:.1f} %"),
    ):
        if result[key] is not None:
            yield text.format(result[key])


def _number(clip: Results) -> str:
    """Return such as '2/1', the first instance of the second series: some machines begin every series with 1."""
    number = clip["instance_number"] or "-"
    return f"{series}/{number}" if (series := clip.get("series_number")) else number


def _view(clip: Results) -> tuple[str, str]:
    return ("-", "-") if clip["view"] is None else (clip["view"], f"{clip['view_confidence']:.2f}")


def _numbers(measured: Results | None) -> tuple[str, ...]:
    if measured is None:
        return ("-", "-")
    volumes = "uncalibrated" if measured["edv_ml"] is None else f"{measured['edv_ml']:.1f}/{measured['esv_ml']:.1f}"
    return (str(len(measured["beats"])), f"{volumes}, {measured['ef_percent']:.1f}")


def _truth(truth: Truth | None) -> str:
    """Return whole numbers: the row has 80 characters, and what was chosen has no grade."""
    return "-" if truth is None else f"{truth.edv_ml:.0f}/{truth.esv_ml:.0f}, {truth.ef_percent:.0f}"


def _eligibility(clip: Results) -> str:
    refusal = clip["not_assessed"]
    return "[green]yes[/]" if refusal is None else f"[yellow]{refusal['reason']}[/]"
