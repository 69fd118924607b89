"""The embedded server's leftovers after a power cut."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from echo_scp.database.embedded import embedded_server, forget_dead_server, running_server_url
from echo_scp.errors import ConfigurationError


@pytest.mark.parametrize("number", [os.getpid(), 2**22 + 1], ids=["a stranger's", "nobody's"])
def test_a_number_that_is_not_the_servers_is_forgotten(tmp_path, number):
    """Another process may have it by now, or none."""
    (tmp_path / "postmaster.pid").write_text(f"{number}\n{tmp_path}\n")

    forget_dead_server(tmp_path)

    assert not (tmp_path / "postmaster.pid").exists()


def test_a_server_that_runs_on_the_folder_is_kept(tmp_path):
    """A node that was killed takes its server over."""
    command = [sys.executable, "-c", "print(flush=True); input()", "-D", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it runs, so its command line is there
        (tmp_path / "postmaster.pid").write_text(f"{server.pid}\n")

        forget_dead_server(tmp_path)

        assert (tmp_path / "postmaster.pid").exists()
        assert server.stdin is not None
        server.stdin.write(b"\n")


@pytest.mark.parametrize("name", ["echo data", "a&b", "it's"])
def test_a_folder_that_a_shell_would_split_is_refused_by_name(tmp_path, name):
    """PostgreSQL's own message would be of an argument that nobody gave."""
    with (
        pytest.raises(ConfigurationError, match=r"data_folder .* choose another folder"),
        embedded_server(tmp_path / name),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_letters_of_any_language_may_be_in_the_folder(tmp_path):
    """Only what the shell would read is refused."""
    with embedded_server(tmp_path / "données-données" / "postgresql") as url:
        assert running_server_url(tmp_path / "données-données" / "postgresql") == url


def test_without_a_running_node_there_is_no_server_to_ask(tmp_path):
    """Asking starts nothing."""
    assert running_server_url(tmp_path / "postgresql") is None
    assert list(tmp_path.iterdir()) == []
