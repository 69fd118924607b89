"""The commands `echo-scp users ...`: who may log in to the status page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from echo_scp.commands.options import ConfigOption, settings_of
from echo_scp.errors import ConfigurationError

users_app = typer.Typer(help="Set and remove the users of the status page (web.auth).", no_args_is_help=True)

UserName = Annotated[str, typer.Argument(help="Letters, digits, '_', '.', '@' and '-'.")]


@users_app.command("list")
def list_command(config: ConfigOption = None) -> None:
    """Print the names of the users."""
    from echo_scp.web.users import read_users

    for name in sorted(read_users(_file(config))):
        typer.echo(name)


@users_app.command("set")
def set_command(
    name: UserName,
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help="File whose first line is the password; without it, it is asked for."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Add a user, or change a password: at once, the node need not start again."""
    from echo_scp.web.users import set_user

    path = _file(config)
    set_user(path, name, _password(password_file))
    typer.echo(f"{name} may log in; the hash of the password is in {path}")


@users_app.command("remove")
def remove_command(name: UserName, config: ConfigOption = None) -> None:
    """Remove a user and end their sessions."""
    from echo_scp.web.users import remove_user

    remove_user(_file(config), name)
    typer.echo(f"{name} may no longer log in")


def _file(config: Path | None) -> Path:
    path = settings_of(config).web.auth
    if path is None:
        raise ConfigurationError("web.auth: not set; name the file of the users there first")
    return path


def _password(file: Path | None) -> str:
    if file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read: {error}") from error
