"""Deliveries for the terminal, with Rich."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from echo_scp.database.deliveries import Delivery

_STATE_COLOURS = {"delivered": "green", "committed": "green", "waiting": "yellow", "cancelled": "dim"}


def delivery_table(deliveries: Iterable[Delivery], now: datetime) -> Table:
    """Return one row per delivery, at most 80 characters wide."""
    table = Table(title="Deliveries", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name, justify in (("destination", "left"), ("kind", "left"), ("object", "left"), ("state", "left")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for name in ("tries", "age", "next"):
        table.add_column(name, justify="right", no_wrap=True)
    for delivery in deliveries:
        table.add_row(
            escape(delivery.destination),
            f"[bold red]{delivery.kind}![/]" if delivery.urgent else delivery.kind,
            f"...{delivery.sop_instance_uid[-12:]}",
            f"[{_STATE_COLOURS.get(delivery.state, 'red')}]{delivery.state}[/]",
            str(delivery.attempt_count),
            _span((now - delivery.created_at).total_seconds()),
            _span((delivery.next_attempt_at - now).total_seconds()) if delivery.state == "waiting" else "-",
        )
    return table


def delivery_lines(deliveries: Iterable[Delivery]) -> Iterator[str]:
    """Yield what destinations last said, each sentence once."""
    seen = set()
    for delivery in deliveries:
        said = (delivery.destination, delivery.state, delivery.detail)
        if delivery.detail and said not in seen:
            seen.add(said)
            yield f"  [dim]{escape(delivery.destination)}, {delivery.state}: {escape(delivery.detail)}[/]"


def _span(seconds: float) -> str:
    """Return a time span in its largest unit."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
