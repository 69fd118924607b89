"""The commands `echo-scp conflicts ...`: instances that came again with other content, and which version counts."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from echo_scp.commands.open_tables import open_tables
from echo_scp.commands.options import ConfigOption, Json, settings_of, table_console
from echo_scp.errors import EchoScpError

if TYPE_CHECKING:
    from echo_scp.conflicts import Conflict
    from echo_scp.database.connection import Database

conflicts_app = typer.Typer(
    help="Decide between versions of an instance that came under one SOP Instance UID.", no_args_is_help=True
)

UidArguments = Annotated[
    list[str], typer.Argument(help="SOP Instance UIDs, or Study Instance UIDs for all of a study.", metavar="UID...")
]


@conflicts_app.command("list")
def list_command(json: Json = False, config: ConfigOption = None) -> None:
    """List what waits for a decision, and which elements differ; the first version is analysed meanwhile."""
    from echo_scp.conflicts import list_conflicts

    with open_tables(settings_of(config)) as (database, _):
        found = list_conflicts(database)
    if json:
        typer.echo(json_module.dumps([_as_json(conflict) for conflict in found], indent=2))
        return
    console = table_console()
    for conflict in found:
        for line in _lines(conflict):
            console.print(line, highlight=False, soft_wrap=True)
    console.print(f"{len(found)} instances wait for a decision" if found else "no conflict")


@conflicts_app.command("take")
def take_command(uids: UidArguments, config: ConfigOption = None) -> None:
    """Let the newest version count; the studies are analysed again, and what differs is sent as a new revision."""
    from echo_scp.conflicts import take_newest
    from echo_scp.jobs import JobQueue

    with open_tables(settings_of(config)) as (database, url), JobQueue(url) as queue:
        chosen = _chosen(database, uids)
        studies = take_newest(database, chosen)
        for study in studies:
            queue.schedule_analysis(study, 0)
    typer.echo(f"of {len(chosen)} instances the newest version counts; analysed again: {', '.join(studies)}")


@conflicts_app.command("keep")
def keep_command(uids: UidArguments, config: ConfigOption = None) -> None:
    """Stay with the version that is analysed; the others are kept on disk and ask no more."""
    from echo_scp.conflicts import keep_analysed

    with open_tables(settings_of(config)) as (database, _):
        chosen = _chosen(database, uids)
        keep_analysed(database, chosen)
    typer.echo(f"of {len(chosen)} instances the version that is analysed counts")


def _chosen(database: Database, uids: list[str]) -> tuple[str, ...]:
    """Return the SOP Instance UIDs in conflict that are meant; raises EchoScpError for a UID without any."""
    from echo_scp.conflicts import list_conflicts

    found = list_conflicts(database)
    for uid in uids:
        if not any(conflict.concerns(uid) for conflict in found):
            raise EchoScpError(
                f"{uid}: neither an instance in conflict nor a study with one; see: echo-scp conflicts list"
            )
    return tuple(each.sop_instance_uid for each in found if any(map(each.concerns, uids)))


def _lines(conflict: Conflict) -> list[str]:
    from echo_scp.conflicts import differing_elements

    lines = [f"[bold]{escape(conflict.sop_instance_uid)}[/] of study {escape(conflict.analysed.study_instance_uid)}"]
    lines.append(f"  analysed  {conflict.analysed.received_at:%Y-%m-%d %H:%M:%S}  {conflict.analysed.calling_ae_title}")
    for version in conflict.later:
        differing = ", ".join(differing_elements(conflict.analysed.path, version.path)) or "no element, only in bytes"
        sender = escape(version.calling_ae_title)
        lines.append(f"  later     {version.received_at:%Y-%m-%d %H:%M:%S}  {sender}  differs in {escape(differing)}")
    return lines


def _as_json(conflict: Conflict) -> dict[str, object]:
    from echo_scp.conflicts import differing_elements

    analysed = conflict.analysed
    return {
        "sop_instance_uid": conflict.sop_instance_uid,
        "study_instance_uid": analysed.study_instance_uid,
        "analysed": {"received_at": analysed.received_at.isoformat(), "from": analysed.calling_ae_title},
        "later": [
            {
                "study_instance_uid": version.study_instance_uid,
                "received_at": version.received_at.isoformat(),
                "from": version.calling_ae_title,
                "differs_in": differing_elements(analysed.path, version.path),
            }
            for version in conflict.later
        ],
    }
