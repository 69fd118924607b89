"""The list of studies: what a reader asks for, and the rows of one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

from echo_scp.database.connection import Row, Transaction
from echo_scp.web.identity import Identities, Identity

PAGE_ROWS = 50
SEARCHED_FOR_PATIENTS = 500  # newest studies whose headers are looked at
STATES = ("receiving", "analysing", "reported", "failed")
RESULTS = ("measured", "not_assessed")
DELIVERIES = ("waiting", "failed", "done")
PERIODS = {"day": 1, "week": 7, "month": 31}  # days
_FAILED = {"given_up", "unsupported"}


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; an empty field asks for everything. `page` counts from 1."""

    text: str = ""
    state: str = ""
    result: str = ""
    delivery: str = ""
    period: str = ""
    ef_below: float | None = None
    page: int = 1

    def query(self, page: int) -> str:
        """Return the URL's query for another page of the same question."""
        fields = {
            "text": self.text,
            "state": self.state,
            "result": self.result,
            "delivery": self.delivery,
            "period": self.period,
            "ef_below": "" if self.ef_below is None else f"{self.ef_below:g}",
            "page": str(page) if page > 1 else "",
        }
        return urlencode({name: value for name, value in fields.items() if value})


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study of the list; `identity` only for whom it may be shown."""

    study_instance_uid: str
    state: str
    revision: int
    last_received_at: datetime
    age: str
    ef_percent: float | None
    reason: str
    grades: tuple[str, ...]
    senders: str
    instance_count: int
    delivery: str
    delivery_failed: bool
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of the list, and of how many."""

    rows: tuple[StudyRow, ...]
    study_count: int
    page_count: int


def read_filter(query: Mapping[str, str]) -> Filter:
    """Return what the URL asks for; what makes no sense is not asked for."""
    return Filter(
        text=query.get("text", "").strip().replace("\0", "")[:64],
        state=_one_of(STATES, query.get("state")),
        result=_one_of(RESULTS, query.get("result")),
        delivery=_one_of(DELIVERIES, query.get("delivery")),
        period=_one_of(tuple(PERIODS), query.get("period")),
        ef_below=_percent(query.get("ef_below", "")),
        page=_page(query.get("page", "")),
    )


def list_studies(transaction: Transaction, wanted: Filter, identities: Identities | None, now: datetime) -> Listing:
    """Return the page that was asked for; `identities` where the reader may see patients."""
    days = PERIODS.get(wanted.period)
    rows = transaction.rows(
        "page_studies",
        text=wanted.text,
        state=wanted.state,
        result=wanted.result,
        delivery=wanted.delivery,
        ef_below=wanted.ef_below,
        since=None if days is None else now - timedelta(days=days),
        also=[] if identities is None or not wanted.text else _of_patient(transaction, wanted.text, identities),
        limit=PAGE_ROWS,
        offset=PAGE_ROWS * (wanted.page - 1),
    )
    whose = {} if identities is None else _whose(transaction, [str(row[0]) for row in rows], identities)
    count = cast(int, rows[0][-1]) if rows else 0
    return Listing(tuple(_study_row(row, whose) for row in rows), count, -(-count // PAGE_ROWS))


def age_text(seconds: float) -> str:
    """Return how long ago something was, in its largest whole unit."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{int(seconds // length_s)} {unit}"
    return f"{max(0, int(seconds))} s"


def _study_row(row: Row, whose: Mapping[str, Identity]) -> StudyRow:
    uid, state, revision, received_at, age_s, ef_percent, reason, grades, senders, instances, deliveries, _ = row
    states = cast(Sequence[str], deliveries)
    return StudyRow(
        study_instance_uid=str(uid),
        state=str(state),
        revision=cast(int, revision),
        last_received_at=cast(datetime, received_at).astimezone(UTC),
        age=age_text(cast(float, age_s)),
        ef_percent=cast("float | None", ef_percent),
        reason="" if reason is None else str(reason),
        grades=tuple(cast(Sequence[str], grades)),
        senders=str(senders),
        instance_count=cast(int, instances),
        delivery=_delivery_text(states),
        delivery_failed=bool(_FAILED & set(states)),
        identity=whose.get(str(uid)),
    )


def _delivery_text(states: Sequence[str]) -> str:
    return ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(Counter(states).items()))


def _of_patient(transaction: Transaction, text: str, identities: Identities) -> list[str]:
    rows = transaction.rows("page_newest_paths", limit=SEARCHED_FOR_PATIENTS)
    return [str(uid) for uid, path in rows if path is not None and identities.read(Path(str(path))).matches(text)]


def _whose(transaction: Transaction, uids: Sequence[str], identities: Identities) -> dict[str, Identity]:
    rows = transaction.rows("page_paths", study_instance_uids=list(uids))
    return {str(uid): identities.read(Path(str(path))) for uid, path in rows}


def _one_of(values: tuple[str, ...], value: str | None) -> str:
    return value if value in values else ""


def _percent(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= 100 else None


def _page(text: str) -> int:
    return min(max(1, int(text)), 100_000) if text.isascii() and text.isdigit() and len(text) < 10 else 1
