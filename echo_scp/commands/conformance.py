"""The command `echo-scp conformance`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from echo_scp.commands.options import ConfigOption, settings_of


class Format(StrEnum):
    """How the statement is written."""

    MD = "md"
    HTML = "html"


def conformance(
    format: Annotated[Format, typer.Option("--format", help="Markdown, or one HTML page.")] = Format.MD,  # noqa: A002
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File; by default the standard output.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write the DICOM conformance statement (PS3.2) of this version with this configuration."""
    from echo_scp.conformance import as_html, as_markdown, statement

    document = statement(settings_of(config))
    text = as_html(document) if format is Format.HTML else as_markdown(document)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
