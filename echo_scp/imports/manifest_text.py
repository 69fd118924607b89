"""Write a manifest as TOML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key that needs no quotes


def to_toml(values: Mapping[str, Any]) -> str:
    """Return `values` as TOML: plain keys first, then one table after another; absent values (None) are left out."""
    return "\n".join(_lines(values, "")).lstrip("\n") + "\n"


def _lines(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    for key, value in values.items():
        if value is not None and key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, table in tables.items():
        if any(not isinstance(value, Mapping) for value in table.values()):
            yield f"\n[{prefix}{_key(key)}]"
        yield from _lines(table, f"{prefix}{_key(key)}.")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _string(text: str) -> str:
    # TOML's basic strings escape as JSON's do, but know no halves of a character, and no bare DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _string(str(value)) if isinstance(value, str) else repr(value)
