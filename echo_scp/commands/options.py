"""What the commands share: the configuration option, what the next start means, a bar that follows a share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from echo_scp import logs
from echo_scp.config import Config, load

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file (TOML); without it the defaults hold.", show_default=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Name = Annotated[str, typer.Argument(help="NAME, or NAME@VERSION for a version that does not run.")]
_UNFOLDED = 400
NEXT_START = "It runs from the next start of the node on: systemctl restart echo-scp"


def settings_of(config: Path | None) -> Config:
    """Return the configuration in force; what is logged meanwhile goes to the terminal."""
    logs.configure("warning", "console")
    return load(config)


def table_console() -> Console:
    """Return the terminal; where there is none, as in a pipe, nothing is folded: a UID must be found by grep."""
    console = Console()
    return console if console.is_terminal else Console(width=_UNFOLDED)


def follow(progress: Progress, description: str) -> Callable[[str, float], None]:
    """Add a bar that shows what is done now, and which share of the whole is done."""
    task = progress.add_task(description, total=100)
    return lambda phase, share: progress.update(task, completed=round(100 * share), description=phase)
