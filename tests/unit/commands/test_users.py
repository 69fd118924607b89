"""Who may log in, from the command line."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from echo_scp.cli import app
from echo_scp.errors import ConfigurationError
from echo_scp.web.users import Users

PASSWORD = "correct horse battery"


@pytest.fixture
def users_file(tmp_path, monkeypatch):
    """A node's file of users, none in it yet."""
    path = tmp_path / "users"
    monkeypatch.setenv("ECHO_SCP_WEB__AUTH", str(path))
    return path


def run(*arguments: str, typed: str = ""):
    return CliRunner().invoke(app, ["users", *arguments], input=typed, catch_exceptions=False)


def test_a_password_is_asked_for_twice_and_not_shown(users_file):
    """The user can log in with it."""
    done = run("set", "ann", typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert done.exit_code == 0
    assert PASSWORD not in done.output
    assert Users(users_file).log_in("ann", PASSWORD) is not None


def test_a_password_comes_from_a_file(users_file, tmp_path):
    """For scripts; its first line counts."""
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSWORD}\n")
    run("set", "ann", "--password-file", str(secret))
    run("set", "bob", "--password-file", str(secret))

    assert run("list").output.split() == ["ann", "bob"]
    assert Users(users_file).log_in("bob", PASSWORD) is not None


def test_a_removed_user_cannot_log_in(users_file):
    """The others can."""
    run("set", "ann", typed=f"{PASSWORD}\n{PASSWORD}\n")
    run("remove", "ann")

    assert run("list").output == ""
    assert Users(users_file).log_in("ann", PASSWORD) is None


def test_without_a_file_of_users_there_is_nobody_to_set(monkeypatch):
    """The message names the key."""
    monkeypatch.delenv("ECHO_SCP_WEB__AUTH", raising=False)

    with pytest.raises(ConfigurationError, match=r"web\.auth: not set"):
        run("set", "ann")
