"""What the one who imports a network says of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from echo_scp.errors import ConfigurationError
from echo_scp.inference.interface import Table

T = TypeVar("T", bound=Table)
Values = dict[str, Any]  # the content of a manifest, before it is checked


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """`name`, `version`, `licence` and `data` "" take what a manifest or a setting says, else that nobody said.

    `settings` are KEY=VALUE of the manifest: "input.size=128", VALUE as in TOML.

    `clips` are DICOM files or folders from which mean and standard deviation are estimated, where they are not given.
    `views` "" takes the kind's own. `view_map` is for usal-view: which of Zhang's views count as A4C, A2C or PLAX.
    """

    name: str = ""
    version: str = ""
    licence: str = ""
    data: str = ""
    views: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    clips: tuple[Path, ...] = ()
    view_map: Literal["unoccluded", "merged"] = "unoccluded"
    force: bool = False


def with_settings(values: Mapping[str, Any], settings: Iterable[str]) -> Values:
    """Return `values` with the settings over them; raises ConfigurationError for what is not KEY=VALUE."""
    changed = deepcopy(dict(values))
    for setting in settings:
        key, separator, text = setting.partition("=")
        *tables, name = key.strip().split(".")
        if not separator or not name:
            raise ConfigurationError(f"--set {setting}: expected KEY=VALUE, such as input.size=128")
        table = changed
        for part in tables:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigurationError(f"--set {setting}: {part} is a value, not a table")
        if isinstance(table.get(name), dict):
            raise ConfigurationError(f"--set {setting}: {name} is a table; set one of its keys")
        table[name] = _parse(text.strip())
    return changed


def read_table(values: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """Return the checked table `name`; raises ConfigurationError naming the key and what was expected."""
    try:
        return kind.model_validate(values.get(name, {}))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in (name, *first["loc"]))
        raise ConfigurationError(f"--set {key}=...: {first['msg']}, got {first['input']!r:.80}") from None


def _parse(text: str) -> object:
    """Read a TOML value; what is none is a word, so that --set input.fit=stretch needs no quotes."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
