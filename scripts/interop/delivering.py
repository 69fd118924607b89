"""One analysed study to every archive; what each has is compared with what the node wrote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from scripts.interop.destinations import KINDS, Destination
from scripts.interop.encoded import Likeness, likeness, read
from scripts.interop.node import AE_TITLE, Node, wait_until
from scripts.interop.samples import short_name
from scripts.interop.seen import Seen, Verdict, good, limited, not_run, wrong
from scripts.viewer.archive import send

DELIVER_S = 300.0
_SEVERITY = {verdict: rank for rank, verdict in enumerate(Verdict)}
_DELIVERIES = """
    SELECT destination, kind, result_object.sop_instance_uid, path, state, status, attempt_count, detail
    FROM delivery JOIN result_object USING (sop_instance_uid) ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the objects of one kind at one destination."""

    destination: str
    kind: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A row of the outbox."""

    destination: str
    kind: str
    sop_instance_uid: str
    path: str
    state: str
    status: int | None
    attempt_count: int
    detail: str

    @property
    def has_arrived(self) -> bool:
        return self.state in ("delivered", "committed")


def deliver(node: Node, destinations: tuple[Destination, ...], study: tuple[Path, ...]) -> tuple[Delivered, ...]:
    """Send the study to the node and wait until each destination took or refused every object."""
    if any(destination.table for destination in destinations):
        send(study, AE_TITLE, node.ports.plain)
        wait_until(lambda: _is_settled(_deliveries(node), destinations), DELIVER_S)
    groups: dict[tuple[str, str], list[_Delivery]] = defaultdict(list)
    for delivery in _deliveries(node):
        groups[delivery.destination, delivery.kind].append(delivery)
    return tuple(
        Delivered(destination.title, kind, _judge(destination, groups.get((destination.name, kind), [])))
        for destination in destinations
        for kind in KINDS
    )


def _deliveries(node: Node) -> list[_Delivery]:
    return [_Delivery(*row) for row in node.rows(_DELIVERIES)]  # type: ignore[arg-type]


def _is_settled(deliveries: list[_Delivery], destinations: Iterable[Destination]) -> bool:
    """Say whether nothing more is to be expected: taken, committed where that is asked for, or refused twice."""
    commits = {destination.name for destination in destinations if destination.commits}
    waiting = [each for each in deliveries if each.state == "waiting" and each.attempt_count < 2]
    uncommitted = [each for each in deliveries if each.state == "delivered" and each.destination in commits]
    return bool(deliveries) and not waiting and not uncommitted


def _judge(destination: Destination, deliveries: list[_Delivery]) -> Seen:
    if destination.tool.missing:
        return not_run(destination.tool.missing)
    if not deliveries:
        return wrong("not made")
    return max((_judge_one(destination, delivery) for delivery in deliveries), key=lambda seen: _SEVERITY[seen.verdict])


def _judge_one(destination: Destination, delivery: _Delivery) -> Seen:
    if delivery.state == "unsupported":
        return limited("not accepted", delivery.detail)
    if not delivery.has_arrived:
        return wrong(delivery.state, delivery.detail)
    arrived = destination.received(delivery.sop_instance_uid)
    if arrived is None:
        return wrong("said to be delivered, and is not there")
    same, changed = likeness(read(Path(delivery.path)), arrived)
    if same not in (Likeness.BYTES, Likeness.ELEMENTS):
        return wrong("other content", ", ".join(changed))
    if destination.commits and delivery.state != "committed":
        return wrong("not committed", delivery.detail)
    committed = ", committed" if destination.commits else ""
    return good(f"{same}, {short_name(arrived.syntax)}{committed}")
