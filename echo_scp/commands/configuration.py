"""`echo-scp config explain`: what a key means, its default, and what holds here."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from echo_scp.commands.options import ConfigOption
from echo_scp.config import Config, example_text, load
from echo_scp.errors import ConfigurationError

_SECTION = re.compile(r"^(?:# )?\[\[?([a-z_.]+)\]\]?")
_KEY = re.compile(r"^(?:# )?([a-z_]+) = (.*)$")


def explain(
    key: Annotated[str, typer.Argument(help="As receive.port; a section alone lists its keys.", metavar="KEY")],
    config: ConfigOption = None,
) -> None:
    """Say what a key means, its default, the variable that overrides it, and the value in force."""
    described = described_keys(example_text())
    if any(name.startswith(f"{key}.") for name in described):
        for name in (name for name in described if name.startswith(f"{key}.")):
            typer.echo(f"{name:<36} {described[name][1]}")
        return
    if key not in described:
        near = get_close_matches(key, described, n=3, cutoff=0.4)
        near += [name for name in described if name.endswith(f".{key}") and name not in near]
        raise ConfigurationError(f"{key}: unknown key; did you mean {', '.join(near) or 'one of config example'}?")
    meaning, default = described[key]
    typer.echo(f"{key}\n  {meaning or 'see config/echo-scp.toml'}\n  default    {default}")
    if not key.startswith(("destinations.", "receive.peers.")):
        typer.echo(f"  override   ECHO_SCP_{key.upper().replace('.', '__')}")
        typer.echo(f"  in force   {_value(load(config), key, config)}")


def described_keys(text: str) -> dict[str, tuple[str, str]]:
    """Return, by key of the documented configuration, its meaning and its default as it is written there.

    A comment before several keys means them all; behind a value it means that key. What is commented out is an example.
    """
    found: dict[str, tuple[str, str]] = {}
    section, meaning, is_open = "", "", False
    for line in text.splitlines():
        if match := _SECTION.match(line):
            section, meaning = f"{match[1]}.", ""
        elif match := _KEY.match(line):
            value, _, remark = (part.strip() for part in match[2].partition(" # "))
            example = " (an example; it is not set)" if line.startswith("#") else ""
            found[f"{section}{match[1]}"] = (remark or meaning, f"{value}{example}")
            is_open = False
        elif line.startswith("# "):
            meaning = f"{meaning} {line[2:].strip()}" if is_open else line[2:].strip()
            is_open = True
        elif not line.strip():
            meaning, is_open = "", False
    return found


def _value(settings: Config, key: str, path: Path | None) -> str:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    if key == "database.url" and value:
        return "set (not shown: it may hold a password)"
    return f"{value if isinstance(value, Path) else repr(value)} ({path or 'defaults'}, and the environment)"
