"""What an operator does with deliveries: list, retry, cancel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from echo_scp.database.connection import Database, Transaction


class State(StrEnum):
    """The states of a delivery; explained in docs/operations.md."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    COMMITTED = "committed"
    UNSUPPORTED = "unsupported"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"


RETRIED = (State.WAITING, State.UNSUPPORTED, State.GIVEN_UP)  # unless other states are asked for


@dataclass(frozen=True, slots=True)
class Selection:
    """Which deliveries; None means any."""

    destination: str | None = None
    study_instance_uid: str | None = None
    sop_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One object for one destination, as it stands."""

    sop_instance_uid: str
    destination: str
    state: str
    kind: str
    study_instance_uid: str
    revision: int
    urgent: bool
    attempt_count: int
    created_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime
    delivered_at: datetime | None
    committed_at: datetime | None
    status: int | None
    detail: str


def list_deliveries(
    transaction: Transaction, selection: Selection, states: Iterable[State] | None, limit: int
) -> tuple[Delivery, ...]:
    """Return what is selected: what waits first, then the newest."""
    rows = transaction.rows(
        "list_deliveries", **_parameters(selection), states=None if states is None else list(states), limit=limit
    )
    return tuple(Delivery(**dict(zip((field.name for field in fields(Delivery)), row, strict=True))) for row in rows)  # type: ignore[arg-type]


def retry_deliveries(transaction: Transaction, selection: Selection, states: Iterable[State]) -> int:
    """Have what is selected sent now, as if never tried; its destinations rest no more. Return how many."""
    rows = transaction.rows("retry_deliveries", **_parameters(selection), states=list(states))
    for destination in {cast(str, row[1]) for row in rows}:
        transaction.execute("destination_answered", destination=destination)
    return len(rows)


def retry_delivery(database: Database, study_instance_uid: str, sop_instance_uid: str, destination: str) -> bool:
    """Have one object sent again, now; return False when there is none that has not arrived."""
    with database.transaction() as transaction:
        return (
            retry_deliveries(
                transaction, Selection(destination, study_instance_uid, sop_instance_uid), (*RETRIED, State.CANCELLED)
            )
            > 0
        )


def cancel_deliveries(transaction: Transaction, selection: Selection) -> int:
    """Have what is selected and not delivered never sent; return how many."""
    return len(transaction.rows("cancel_deliveries", **_parameters(selection)))


def _parameters(selection: Selection) -> dict[str, object]:
    return {field.name: getattr(selection, field.name) for field in fields(selection)}
