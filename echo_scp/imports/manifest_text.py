"""Write a manifest as TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def to_toml(values: Mapping[str, Any]) -> str:
    """Return `values` as TOML: plain keys first, then one table after another; absent values (None) are left out."""
    return "\n".join(_lines(values, "")).lstrip("\n") + "\n"


def _lines(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    for key, value in values.items():
        if value is not None and key not in tables:
            yield f"{key} = {_value(value)}"
    for key, table in tables.items():
        if any(not isinstance(value, Mapping) for value in table.values()):
            yield f"\n[{prefix}{key}]"
        yield from _lines(table, f"{prefix}{key}.")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_value, value)) + "]"
    # TOML's basic strings escape as JSON's do; numbers are written alike.
    return json.dumps(str(value)) if isinstance(value, str) else repr(value)
