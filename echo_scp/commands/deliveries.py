"""The commands `echo-scp deliveries ...`: what waits to be sent, and what an operator does about it."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from echo_scp.commands.open_tables import open_tables
from echo_scp.commands.options import ConfigOption, Json, settings_of
from echo_scp.config import Config
from echo_scp.database.deliveries import (
    RETRIED,
    Delivery,
    Selection,
    State,
    cancel_deliveries,
    list_deliveries,
    retry_deliveries,
)
from echo_scp.errors import EchoScpError

if TYPE_CHECKING:
    from echo_scp.database.connection import Transaction

deliveries_app = typer.Typer(help="List, retry and cancel what is sent to the destinations.", no_args_is_help=True)

DestinationOption = Annotated[str | None, typer.Option("--destination", "-d", help="Name of one destination.")]
StudyOption = Annotated[str | None, typer.Option("--study", help="Study Instance UID.")]
ObjectOption = Annotated[str | None, typer.Option("--object", help="SOP Instance UID of one object.")]
StateOption = Annotated[list[State] | None, typer.Option("--state", help="State; may be repeated.")]
EveryOption = Annotated[bool, typer.Option("--all", help="Mean every delivery, when nothing else is selected.")]


@deliveries_app.command("list")
def list_command(
    *,
    destination: DestinationOption = None,
    study: StudyOption = None,
    sop_instance: ObjectOption = None,
    state: StateOption = None,
    limit: Annotated[int, typer.Option(help="Most rows.", min=1)] = 100,
    json: Json = False,
    config: ConfigOption = None,
) -> None:
    """List deliveries: what waits first, then the newest."""
    with _transaction(settings_of(config)) as transaction:
        found = list_deliveries(transaction, Selection(destination, study, sop_instance), state or None, limit)
    if json:
        typer.echo(_json(found))
        return
    from echo_scp.commands.delivery_table import delivery_lines, delivery_table

    console = Console()
    console.print(delivery_table(found, datetime.now(UTC)))
    for line in delivery_lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    if len(found) == limit:
        console.print(f"the first {limit}; see --limit")


@deliveries_app.command()
def retry(
    *,
    destination: DestinationOption = None,
    study: StudyOption = None,
    sop_instance: ObjectOption = None,
    state: StateOption = None,
    every: EveryOption = False,
    config: ConfigOption = None,
) -> None:
    """Send now what waits, was given up or was not supported (or is in another --state), as if never tried."""
    selection = _selected(destination, study, sop_instance, every=every)
    with _transaction(settings_of(config)) as transaction:
        count = retry_deliveries(transaction, selection, state or RETRIED)
    typer.echo(f"{count} to be sent again")


@deliveries_app.command()
def cancel(
    *,
    destination: DestinationOption = None,
    study: StudyOption = None,
    sop_instance: ObjectOption = None,
    every: EveryOption = False,
    config: ConfigOption = None,
) -> None:
    """Never send what is not delivered yet. What is being sent at this moment is finished first."""
    selection = _selected(destination, study, sop_instance, every=every)
    with _transaction(settings_of(config)) as transaction:
        count = cancel_deliveries(transaction, selection)
    typer.echo(f"{count} cancelled")


def _selected(destination: str | None, study: str | None, sop_instance: str | None, *, every: bool) -> Selection:
    if not (destination or study or sop_instance or every):
        raise EchoScpError("say which: --destination, --study, --object, or --all")
    return Selection(destination, study, sop_instance)


@contextmanager
def _transaction(settings: Config) -> Iterator[Transaction]:
    with open_tables(settings) as (database, _), database.transaction() as transaction:
        yield transaction


def _json(found: tuple[Delivery, ...]) -> str:
    return json_module.dumps([asdict(delivery) for delivery in found], indent=2, default=_text)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
