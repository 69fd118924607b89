"""What comes into the outbox, how long it waits, and how much of it there is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from echo_scp.config import Destination
from echo_scp.database.connection import Transaction
from echo_scp.deliver import StudyFacts, wants
from echo_scp.metrics import (
    DELIVERIES_GIVEN_UP,
    DELIVERIES_WAITING,
    DELIVERY_AGE,
    DELIVERY_ATTEMPTS,
    DESTINATION_RESTING,
)
from echo_scp.report import ResultFile


def retry_wait_s(first_s: float, maximum_s: float, attempt: int) -> float:
    """Return the wait after attempt 1, 2, 3 ...: first, twice that, four times that ... at most `maximum_s`."""
    return min(first_s * 2.0 ** min(attempt - 1, 30), maximum_s)


def put(
    transaction: Transaction, destinations: Iterable[Destination], files: Iterable[ResultFile], facts: StudyFacts
) -> int:
    """Queue each object for every destination whose rules hold; return how many that makes. Doing it again adds none.

    Part of the transaction that stores the result: there is no result without its deliveries.
    """
    addressed = [destination for destination in destinations if wants(destination, facts)]
    count = 0
    for file in files:
        for destination in addressed:
            if file.kind in destination.send:
                transaction.execute(
                    "insert_delivery",
                    sop_instance_uid=file.sop_instance_uid,
                    destination=destination.name,
                    urgent=facts.urgent,
                )
                count += 1
    return count


class DeliveryGauges:
    """The gauges of every destination, also of those that are no longer configured and have something here."""

    def __init__(self, destinations: Iterable[str]) -> None:
        self._shown = set(destinations)  # a gauge that was set once must be set to 0 too

    def refresh(self, transaction: Transaction) -> None:
        """Set them to what the tables say."""
        waiting = {}
        for name, *values in cast("list[tuple[str, int, float, int]]", transaction.rows("waiting_by_destination")):
            waiting[name] = (float(values[0]), float(values[1]), float(values[2]))
        given_up = dict(cast("list[tuple[str, int]]", transaction.rows("given_up_by_destination")))
        resting = {row[0] for row in transaction.rows("resting_destinations")}
        self._shown |= waiting.keys() | given_up.keys()
        for name in self._shown:
            count, age_s, attempts = waiting.get(name, (0.0, 0.0, 0.0))
            DELIVERIES_WAITING.set(count, destination=name)
            DELIVERIES_GIVEN_UP.set(float(given_up.get(name, 0)), destination=name)
            DELIVERY_AGE.set(age_s, destination=name)
            DELIVERY_ATTEMPTS.set(attempts, destination=name)
            DESTINATION_RESTING.set(float(name in resting), destination=name)
