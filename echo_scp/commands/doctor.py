"""The command `echo-scp doctor`."""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from echo_scp.commands.options import ConfigOption, Json, settings_of
from echo_scp.errors import ConfigurationError

if TYPE_CHECKING:
    from echo_scp.doctor import Finding

_MARKS = {"passed": "[green]passed[/]", "remark": "[yellow]remark[/]", "failed": "[bold red]failed[/]"}


def doctor(json: Json = False, config: ConfigOption = None) -> None:
    """Try all that the node needs: disk, ports, database, engines, destinations, clock. Exit status 1 on a failure."""
    from echo_scp.doctor import Finding, Outcome, examine

    findings: Iterable[Finding]
    try:
        findings = examine(settings_of(config))
    except ConfigurationError as error:
        fix = "see: echo-scp config explain KEY, and echo-scp config example"
        findings = [Finding("configuration", "file", Outcome.FAILED, str(error), fix)]
    if json:
        seen = tuple(findings)
        typer.echo(json_module.dumps({"findings": [asdict(finding) for finding in seen]}, indent=2))
    else:
        seen = tuple(_tell(findings, Console()))
    if any(finding.outcome is Outcome.FAILED for finding in seen):
        raise typer.Exit(1)


def _tell(findings: Iterable[Finding], console: Console) -> Iterator[Finding]:
    """Print each finding as soon as it is there."""
    topic = ""
    with console.status("trying ..."):
        for finding in findings:
            if finding.topic != topic:
                topic = finding.topic
                console.print(f"[bold]{escape(topic)}[/]", highlight=False)
            line = f"  {_MARKS[finding.outcome]} {escape(finding.name)}: {escape(finding.detail)}"
            console.print(line, highlight=False, soft_wrap=True)
            if finding.fix:
                console.print(f"         to do: {escape(finding.fix)}", highlight=False, soft_wrap=True)
            yield finding
