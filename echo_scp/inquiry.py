"""What an operator asks about studies, from the tables, and the two wishes that change them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from echo_scp.database.connection import Database, Row, Transaction
from echo_scp.database.deliveries import Selection, State, retry_deliveries


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study in a list; `deliveries` maps the state of deliveries to their number, `failure` says why it failed."""

    study_instance_uid: str
    state: str
    revision: int
    last_received_at: datetime
    instance_count: int
    calling_ae_titles: tuple[str, ...]
    ef_percent: float | None
    view: str | None
    method: str | None
    reason: str | None
    deliveries: dict[str, int]
    failure: str


@dataclass(frozen=True, slots=True)
class ClipRow:
    """One instance of the last run."""

    sop_instance_uid: str
    view: str | None
    ef_percent: float | None
    edv_ml: float | None
    esv_ml: float | None
    reason: str | None
    detail: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One object on its way to one destination."""

    kind: str
    sop_instance_uid: str
    revision: int
    destination: str
    state: str
    attempt_count: int
    last_attempt_at: datetime | None
    status: int | None
    detail: str


@dataclass(frozen=True, slots=True)
class StudyFile:
    """All that is known of one study; engines are "name version sha256"."""

    study: StudyRow
    software_version: str | None
    engines: tuple[str, ...]
    grades: tuple[str, ...]
    clips: tuple[ClipRow, ...]
    deliveries: tuple[DeliveryRow, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """How much of everything there is."""

    studies: dict[str, int]
    deliveries: dict[str, int]
    jobs: dict[str, int]
    quarantined_files: int
    conflicts: int


def list_studies(database: Database, limit: int, state: str | None = None) -> tuple[StudyRow, ...]:
    """Return the studies that got something last, the newest first."""
    with database.transaction() as transaction:
        rows = transaction.rows("list_studies", limit=limit, state=state, study_instance_uid=None)
    return tuple(_study(row) for row in rows)


def find_study(database: Database, study_instance_uid: str) -> StudyFile | None:
    """Return what is known of a study, of its last finished run; None when it never came."""
    with database.transaction() as transaction:
        row = transaction.row("list_studies", limit=1, state=None, study_instance_uid=study_instance_uid)
        if row is None:
            return None
        study = _study(row)
        key: dict[str, object] = {"study_instance_uid": study_instance_uid, "revision": study.revision}
        run = transaction.row("run_of_revision", **key)
        return StudyFile(
            study=study,
            software_version=None if run is None else str(run[0]),
            engines=_lines(transaction, "engines_of_revision", key),
            grades=_lines(transaction, "grades_of_revision", key),
            clips=tuple(_clip(clip) for clip in transaction.rows("clips_of_revision", **key)),
            deliveries=tuple(_delivery(sent) for sent in transaction.rows("deliveries_of_study", **key)),
        )


def summarise(database: Database) -> Summary:
    """Count studies, deliveries and jobs by state."""
    with database.transaction() as transaction:
        return Summary(
            studies=_counts(transaction, "studies_by_state"),
            deliveries=_counts(transaction, "deliveries_by_state"),
            jobs=_counts(transaction, "jobs_by_queue"),
            quarantined_files=_only(transaction.row("quarantined_count")),
            conflicts=_only(transaction.row("conflict_count")),
        )


def ask_for_analysis(database: Database, study_instance_uid: str) -> bool:
    """Have a known study analysed again; False when there is no such study. The worker takes it up by itself."""
    with database.transaction() as transaction:
        return transaction.row("ask_for_analysis", study_instance_uid=study_instance_uid) is not None


def failed_studies(database: Database) -> tuple[str, ...]:
    """Return the Study Instance UIDs whose analysis was given up."""
    with database.transaction() as transaction:
        return tuple(str(uid) for (uid,) in transaction.rows("failed_studies"))


def revive_deliveries(database: Database, study_instance_uid: str | None = None) -> int:
    """Let what was given up wait to be sent again, of one study or of all; return how much."""
    with database.transaction() as transaction:
        return retry_deliveries(transaction, Selection(study_instance_uid=study_instance_uid), (State.GIVEN_UP,))


def _counts(transaction: Transaction, name: str) -> dict[str, int]:
    return {str(state): int(str(count)) for state, count in transaction.rows(name)}


def _only(row: tuple[object, ...] | None) -> int:
    assert row is not None  # a count is always there
    return int(str(row[0]))


def _lines(transaction: Transaction, name: str, key: dict[str, object]) -> tuple[str, ...]:
    return tuple(" ".join(map(str, row)) for row in transaction.rows(name, **key))


def _study(row: Row) -> StudyRow:
    values: list[Any] = list(row)
    values[5], values[10] = tuple(values[5]), values[10] or {}
    return StudyRow(*values)


def _clip(row: Row) -> ClipRow:
    values: list[Any] = list(row)
    values[7] = tuple(values[7])
    return ClipRow(*values)


def _delivery(row: Row) -> DeliveryRow:
    values: list[Any] = list(row)
    return DeliveryRow(*values)
