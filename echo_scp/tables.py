"""A study's result for the terminal, with Rich, from its results.json (docs/results.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

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
    """Yield the headline and the grades."""
    result = results["result"]
    if not result["assessed"]:
        yield f"[bold]EF not assessed[/] ({result['reason']}): {escape(result['detail'])}"
        return
    volumes = "volumes not calibrated"
    if result["edv_ml"] is not None:
        volumes = f"EDV {result['edv_ml']:.0f} mL, ESV {result['esv_ml']:.0f} mL"
    beats = f"{result['beat_count']} beat{'s' if result['beat_count'] != 1 else ''}"
    method = result["method"].replace("_", " ")
    yield f"[bold]EF {result['ef_percent']:.0f} %[/] ({result['view']}, {method}, {beats}); {volumes}"
    for grade in results["assessment"]:
        yield f"  {grade['scale']}: {grade['grade']}"


def _number(clip: Results) -> str:
    return clip["instance_number"] or "-"


def _view(clip: Results) -> tuple[str, str]:
    return ("-", "-") if clip["view"] is None else (clip["view"], f"{clip['view_confidence']:.2f}")


def _numbers(measured: Results | None) -> tuple[str, ...]:
    if measured is None:
        return ("-", "-")
    volumes = "uncalibrated" if measured["edv_ml"] is None else f"{measured['edv_ml']:.0f}/{measured['esv_ml']:.0f}"
    return (str(len(measured["beats"])), f"{volumes}, {measured['ef_percent']:.0f}")


def _truth(truth: Truth | None) -> str:
    return "-" if truth is None else f"{truth.edv_ml:.0f}/{truth.esv_ml:.0f}, {truth.ef_percent:.0f}"


def _eligibility(clip: Results) -> str:
    refusal = clip["not_assessed"]
    return "[green]yes[/]" if refusal is None else f"[yellow]{refusal['reason']}[/]"
