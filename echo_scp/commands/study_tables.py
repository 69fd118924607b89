"""Studies for the terminal, with Rich, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from echo_scp.inquiry import ClipRow, DeliveryRow, StudyFile, StudyRow, Summary
from echo_scp.model import View, VolumeMethod

_STATE_COLOURS = {"reported": "green", "delivered": "green", "committed": "green", "failed": "red", "given_up": "red"}


def as_json(value: object) -> str:
    """Return JSON with times in ISO 8601."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=lambda time: time.isoformat())


def summary_lines(summary: Summary) -> Iterator[str]:
    """Yield how much of everything there is."""
    yield f"studies:     {_counts(summary.studies)}"
    yield f"deliveries:  {_counts(summary.deliveries)}"
    yield f"jobs:        {_counts(summary.jobs)}"
    yield f"quarantined: {summary.quarantined_files}"
    hint = "; see: echo-scp conflicts list" if summary.conflicts else ""
    yield f"conflicts:   {summary.conflicts}{hint}"


def study_table(rows: Sequence[StudyRow]) -> Table:
    """Return one row per study."""
    table = _table("study", "state", "last instance", "from", "instances", "EF %", "deliveries")
    now = datetime.now(UTC)
    for row in rows:
        table.add_row(
            escape(row.study_instance_uid),
            _state(row.state),
            f"{age(now, row.last_received_at)} ago",
            escape(", ".join(row.calling_ae_titles)),
            str(row.instance_count),
            _ef(row),
            _counts(row.deliveries),
        )
    return table


def file_lines(found: StudyFile) -> Iterator[str]:
    """Yield what is known of the study as a whole."""
    row = found.study
    yield f"[bold]study {escape(row.study_instance_uid)}[/]"
    facts = {
        "state": f"{_state(row.state)}, revision {row.revision}{escape(f': {row.failure}' if row.failure else '')}",
        "last instance": f"{row.last_received_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "from": escape(", ".join(row.calling_ae_titles)),
        "instances": str(row.instance_count),
        "EF": f"{_ef(row)}{f' % ({_planes(row)})' if row.ef_percent is not None else ''}",
        "software": escape(found.software_version or "-"),
    }
    for name, value in facts.items():
        yield f"  {name:<14} {value}"
    for line in (*found.engines, *found.grades):
        yield f"  {escape(line)}"


def clip_rows(clips: Sequence[ClipRow]) -> Table:
    """Return one row per instance of the last run."""
    table = _table("instance", "view", "EF %", "EDV/ESV mL", "why not, or flags")
    for clip in clips:
        volumes = "-" if clip.edv_ml is None or clip.esv_ml is None else f"{clip.edv_ml:.1f}/{clip.esv_ml:.1f}"
        ef = "-" if clip.ef_percent is None else f"{clip.ef_percent:.1f}"
        words = f"{clip.reason}: {clip.detail}" if clip.reason else ", ".join(clip.flags)
        table.add_row(escape(clip.sop_instance_uid), clip.view or "-", ef, volumes, escape(words))
    return table


def delivery_rows(deliveries: Sequence[DeliveryRow]) -> Table:
    """Return one row per object and destination."""
    table = _table("object", "revision", "destination", "state", "attempts", "last answer")
    for sent in deliveries:
        status = "" if sent.status is None else f"0x{sent.status:04X} "
        table.add_row(
            f"{sent.kind} {escape(sent.sop_instance_uid)}",
            str(sent.revision),
            escape(sent.destination),
            _state(sent.state),
            str(sent.attempt_count),
            escape(f"{status}{sent.detail}"),
        )
    return table


def age(now: datetime, then: datetime) -> str:
    """Return how long ago in the largest whole unit: 5 s, 12 min, 3 h, 4 d."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _state(state: str) -> str:
    colour = _STATE_COLOURS.get(state, "yellow")
    return f"[{colour}]{state}[/]"


def _ef(row: StudyRow) -> str:
    if row.ef_percent is not None:
        return f"{row.ef_percent:.1f}"
    return row.reason or "-"


def _planes(row: StudyRow) -> str:
    if row.method and VolumeMethod(row.method).is_biplane:
        return f"{View.A4C} and {View.A2C}, biplane"
    return str(row.view)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
