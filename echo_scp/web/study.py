"""Everything that the page of one study shows, from the tables and the files of one of its revisions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from echo_scp.database.connection import Row as TableRow
from echo_scp.database.connection import Transaction
from echo_scp.report.results import RESULTS_NAME
from echo_scp.web.curve import CurvePlot, plot_curve
from echo_scp.web.identity import Identities, Identity
from echo_scp.web.measurements import Row, Values, clip_rows, estimate_rows, method_text, study_rows
from echo_scp.web.report_text import ContentItem, read_report

_REACHED = {"delivered", "committed"}
_REPORTS = ("SR", "SR_COMPREHENSIVE", "SR_ECHO", "SR_SIMPLIFIED")  # the one that says most first


@dataclass(frozen=True, slots=True)
class Beat:
    """One beat of a clip, as told in its table; volumes are None where the clip is not calibrated."""

    number: int
    ed_frame_number: int
    es_frame_number: int
    ef_percent: float | None
    edv_ml: float | None
    esv_ml: float | None


@dataclass(frozen=True, slots=True)
class ClipView:
    """One instance: what it shows, and why it was or was not used (`use` in words, `used` for the headline).

    `label` is how a reader finds it in a viewer.
    """

    label: str
    sop_instance_uid: str
    description: str
    view: str
    confidence: float | None
    evidence: str
    used: bool
    use: str
    why: str
    code: str
    flags: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    estimates: tuple[Row, ...]
    beats: tuple[Beat, ...]
    curve: CurvePlot | None
    outlined: bool
    playable: bool


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """One object on its way to one destination."""

    sop_instance_uid: str
    kind: str
    destination: str
    state: str
    attempt_count: int
    last_attempt_at: datetime | None
    status: str
    detail: str
    can_retry: bool


@dataclass(frozen=True, slots=True)
class Revision:
    """One finished analysis of the study."""

    run_id: int
    number: int
    software_version: str
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Headline:
    """The result of a revision in words and rows; `reason` and `detail` where there is none."""

    ef: str
    summary: str
    reason: str
    detail: str
    rows: tuple[Row, ...]
    grades: tuple[tuple[str, str], ...]
    below: tuple[int, ...]
    flags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study's page. Without a finished revision only the first fields say anything."""

    study_instance_uid: str
    state: str
    senders: str
    first_received_at: datetime
    last_received_at: datetime
    identity: Identity | None
    revisions: tuple[Revision, ...]
    revision: Revision | None
    headline: Headline | None
    clips: tuple[ClipView, ...]
    report: ContentItem | None
    deliveries: tuple[DeliveryView, ...]
    engines: tuple[tuple[str, str, str], ...]


def read_study(
    transaction: Transaction,
    uid: str,
    revision: int | None,
    identities: Identities | None,
    results_folder: Callable[[str, int], Path],
) -> StudyView | None:
    """Return what is known of a study, None of an unknown one; `revision` None is the newest.

    `results_folder` names the folder of a study's revision.
    """
    row = transaction.row("page_study", study_instance_uid=uid)
    if row is None:
        return None
    revisions = tuple(map(_revision, transaction.rows("page_runs", study_instance_uid=uid)))
    shown = next((found for found in revisions if revision in (None, found.number)), None)
    paths = {str(sop): Path(str(path)) for sop, path in transaction.rows("page_instances", study_instance_uid=uid)}
    objects = [] if shown is None else transaction.rows("page_objects", run_id=shown.run_id)
    deliveries = [] if shown is None else transaction.rows("page_deliveries", run_id=shown.run_id)
    reports = {str(kind): Path(str(path)) for _, kind, path in objects}
    report = next((reports[kind] for kind in _REPORTS if kind in reports), None)
    results = None if shown is None else _read_results(results_folder(uid, shown.number) / RESULTS_NAME)
    state, first, last, senders = row
    return StudyView(
        study_instance_uid=uid,
        state=str(state),
        senders="" if senders is None else str(senders),
        first_received_at=_utc(first),
        last_received_at=_utc(last),
        identity=identities.read(next(iter(paths.values()))) if identities is not None and paths else None,
        revisions=revisions,
        revision=shown,
        headline=None if results is None else headline_of(results),
        clips=() if results is None else clips_of(results, outlined=any(kind == "SEG" for _, kind, _ in objects)),
        report=None if report is None else read_report(report),
        deliveries=tuple(_delivery(row, quoting=identities is not None) for row in deliveries),
        engines=() if results is None else _engines(results),
    )


def seg_of(transaction: Transaction, uid: str, revision: int | None, sop_instance_uid: str) -> Path | None:
    """Return the Segmentation of a clip in a revision, None where there is none."""
    for found in map(_revision, transaction.rows("page_runs", study_instance_uid=uid)):
        if revision in (None, found.number):
            for _, kind, path in transaction.rows("page_objects", run_id=found.run_id):
                if kind == "SEG" and _segments(Path(str(path)), sop_instance_uid):
                    return Path(str(path))
            return None
    return None


def _segments(path: Path, sop_instance_uid: str) -> bool:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["ReferencedSeriesSequence"])
    except (OSError, InvalidDicomError):
        return False
    return any(
        instance.ReferencedSOPInstanceUID == sop_instance_uid
        for series in header.get("ReferencedSeriesSequence") or ()
        for instance in series.get("ReferencedInstanceSequence") or ()
    )


def _read_results(path: Path) -> Values | None:
    try:
        values: Values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return values


def headline_of(results: Values) -> Headline:
    """Return the result of a results.json in words and rows."""
    result = results["result"]
    flags = _flags(result.get("flags", ()))
    if not result["assessed"]:
        return Headline("", "", result["reason"], result["detail"], (), (), (), flags)
    beats, clips = result["beat_count"], len(result["sop_instance_uids"])
    view = "A4C and A2C" if "biplane" in result["method"] else result["view"]
    summary = (
        f"{view}, {method_text(result['method'])}, {beats} beat{'' if beats == 1 else 's'}"
        f" in {clips} clip{'' if clips == 1 else 's'}"
    )
    return Headline(
        ef=f"{result['ef_percent']:.1f}",
        summary=summary,
        reason="",
        detail=result.get("choice") or "",
        rows=study_rows(result),
        grades=tuple((grade["scale"], grade["grade"]) for grade in results["assessment"]),
        below=tuple(results["ef_below_percent"]),
        flags=flags,
    )


def clips_of(results: Values, *, outlined: bool = True) -> tuple[ClipView, ...]:
    """Return every instance of a results.json; `outlined` tells whether measured clips have a Segmentation."""
    used = results["result"].get("sop_instance_uids", ())
    return tuple(
        _clip(clip, place, used=clip["sop_instance_uid"] in used, outlined=outlined)
        for place, clip in enumerate(results["instances"], 1)
    )


def _clip(clip: Values, place: int, *, used: bool, outlined: bool) -> ClipView:
    measured, refusal = clip["measurement"], clip["not_assessed"]
    beats = () if measured is None else tuple(map(_beat, enumerate(measured["beats"], start=1)))
    return ClipView(
        label=_label(clip, place),
        sop_instance_uid=clip["sop_instance_uid"],
        description=clip["description"],
        view=clip["view"] or "",
        confidence=clip["view_confidence"],
        evidence=clip.get("view_evidence") or "",
        used=used,
        use="used" if used else "measured, not used" if refusal is None else "not measured",
        why="" if refusal is None else refusal["detail"],
        code="" if refusal is None else refusal["reason"],
        flags=_flags(clip["flags"]),
        rows=() if measured is None else clip_rows(measured),
        estimates=estimate_rows(clip.get("estimates", [])),
        beats=beats,
        curve=None if measured is None else _curve(measured, beats),
        outlined=outlined and measured is not None,
        playable=clip["view"] is not None,
    )


def _label(clip: Values, place: int) -> str:
    """Return such as 'series 2, instance 1'; the place in the list of one without a number."""
    series, number = clip.get("series_number"), clip["instance_number"]
    if not number:
        return f"instance without number, {place} in this list"
    return f"series {series}, instance {number}" if series else f"instance {number}"


def _beat(numbered: tuple[int, Values]) -> Beat:
    number, beat = numbered
    diastole, systole = beat["end_diastole"], beat["end_systole"]
    volume = "volume_disks_single_plane_ml"
    return Beat(
        number,
        diastole["frame_number"],
        systole["frame_number"],
        beat["ef_percent"],
        diastole.get(volume),
        systole.get(volume),
    )


def _curve(measured: Values, beats: Sequence[Beat]) -> CurvePlot | None:
    ends = [(beat.ed_frame_number, beat.es_frame_number) for beat in beats]
    return plot_curve(measured["volume_curve"], measured["volume_curve_unit"], ends)


def _flags(flags: Iterable[Values]) -> tuple[tuple[str, str], ...]:
    return tuple((flag["flag"], flag["detail"]) for flag in flags)


def _engines(results: Values) -> tuple[tuple[str, str, str], ...]:
    return tuple((engine["name"], engine["version"], engine["sha256"]) for engine in results["engines"])


def _delivery(row: TableRow, *, quoting: bool) -> DeliveryView:
    """Return a row of the table; what the destination says itself, in brackets, may name the patient."""
    sop_instance_uid, kind, destination, state, attempts, last_attempt_at, status, detail = row
    return DeliveryView(
        sop_instance_uid=str(sop_instance_uid),
        kind=str(kind),
        destination=str(destination),
        state=str(state),
        attempt_count=cast(int, attempts),
        last_attempt_at=None if last_attempt_at is None else _utc(last_attempt_at),
        status="" if status is None else f"0x{cast(int, status):04X}",
        detail=str(detail) if quoting or status is None else str(detail).partition(" (")[0],
        can_retry=str(state) not in _REACHED,
    )


def _revision(row: TableRow) -> Revision:
    run_id, number, version, started_at, finished_at = row
    return Revision(cast(int, run_id), cast(int, number), str(version), _utc(started_at), _utc(finished_at))


def _utc(value: object) -> datetime:
    return cast(datetime, value).astimezone(UTC)
