"""The commands `status`, `studies`, `study`, `retry`, `reanalyse`: what the node knows, what it shall do again."""

from __future__ import annotations

import json as json_module
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from echo_scp.commands.open_tables import open_tables
from echo_scp.commands.options import ConfigOption, Json, settings_of, table_console
from echo_scp.errors import EchoScpError

StudyArgument = Annotated[str, typer.Argument(help="Study Instance UID.", metavar="UID")]
StudyOption = Annotated[str | None, typer.Argument(help="Study Instance UID; all when none is given.", metavar="[UID]")]
STATES = ("receiving", "analysing", "reported", "failed")
SAME = "With the same instances, engines and settings as last time the result stands, and nothing new is sent."


def status(json: Json = False, config: ConfigOption = None) -> None:
    """Say how many studies, deliveries and jobs there are, by state."""
    from echo_scp.commands.study_tables import summary_lines
    from echo_scp.inquiry import summarise

    settings = settings_of(config)
    with open_tables(settings) as (database, _):
        summary = summarise(database)
    if json:
        typer.echo(json_module.dumps(asdict(summary), indent=2))
        return
    for line in summary_lines(summary):
        Console().print(line, highlight=False, soft_wrap=True)


def studies(
    state: Annotated[str | None, typer.Option(help=f"Only those in this state: {', '.join(STATES)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100000, help="How many, the newest first.")] = 20,
    json: Json = False,
    config: ConfigOption = None,
) -> None:
    """List studies, the newest first: state, age, sender, EF, deliveries."""
    from echo_scp.commands.study_tables import as_json, study_table
    from echo_scp.inquiry import list_studies

    if state is not None and state not in STATES:
        raise EchoScpError(f"--state: expected one of {', '.join(STATES)}")
    with open_tables(settings_of(config)) as (database, _):
        rows = list_studies(database, limit, state)
    if json:
        typer.echo(as_json([asdict(row) for row in rows]))
    else:
        table_console().print(study_table(rows) if rows else "no study")


def study(uid: StudyArgument, json: Json = False, config: ConfigOption = None) -> None:
    """Show one study: each clip with its view and number or reason, engines, grades, deliveries."""
    from echo_scp.commands.study_tables import as_json, clip_rows, delivery_rows, file_lines
    from echo_scp.inquiry import find_study

    with open_tables(settings_of(config)) as (database, _):
        found = find_study(database, uid)
    if found is None:
        raise EchoScpError(f"study {uid} is not known; see: echo-scp studies")
    if json:
        typer.echo(as_json(asdict(found)))
        return
    console = table_console()
    for line in file_lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    if found.clips:
        console.print(clip_rows(found.clips))
    if found.deliveries:
        console.print(delivery_rows(found.deliveries))


def retry(uid: StudyOption = None, config: ConfigOption = None) -> None:
    """Try again what was given up: analyses that failed, and objects that no destination took."""
    from echo_scp.inquiry import ask_for_analysis, failed_studies, revive_deliveries
    from echo_scp.jobs import JobQueue

    settings = settings_of(config)
    with open_tables(settings) as (database, url), JobQueue(url) as queue:
        failed = [each for each in failed_studies(database) if uid in (None, each)]
        for each in failed:
            ask_for_analysis(database, each)
            queue.schedule_analysis(each, 0)
        revived = revive_deliveries(database, uid)
    wait_s = settings.work.stalled_after_s
    typer.echo(f"{len(failed)} failed studies are analysed again, {revived} objects sent again within {wait_s:g} s")


def reanalyse(
    uids: Annotated[list[str], typer.Argument(help="Study Instance UIDs.", metavar="UID...")],
    config: ConfigOption = None,
) -> None:
    """Analyse studies again, as after a change of engines or settings; what differs is sent as a new revision."""
    from echo_scp.inquiry import ask_for_analysis
    from echo_scp.jobs import JobQueue

    with open_tables(settings_of(config)) as (database, url), JobQueue(url) as queue:
        for uid in uids:
            if not ask_for_analysis(database, uid):
                raise EchoScpError(f"study {uid} is not known; see: echo-scp studies")
            queue.schedule_analysis(uid, 0)
            Console().print(escape(f"{uid} is analysed again"), highlight=False, soft_wrap=True)
    typer.echo(SAME)
