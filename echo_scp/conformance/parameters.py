"""Every configured value that touches the network, so that the statement is that of this installation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from echo_scp.config import Config

_SECTIONS = ("receive", "study", "deliver", "report")


def parameter_rows(config: Config) -> Iterator[tuple[str, str]]:
    """Yield key and value of what shapes associations and objects; secrets are files, and files are only named."""
    values = config.model_dump(mode="json")
    for section in _SECTIONS:
        yield from _rows(section, values[section])


def destination_rows(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the same of the destinations."""
    for destination in config.model_dump(mode="json")["destinations"]:
        yield from _rows(f"destinations.{destination['name']}", destination)


def _rows(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from _rows(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", _text(value)


def _text(value: object) -> str:
    if value in (None, "", [], {}):
        return "not set"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
