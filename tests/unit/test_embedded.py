"""The embedded server's leftovers after a power cut."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from echo_scp.database.embedded import forget_dead_server, running_server
from echo_scp.errors import DatabaseUnavailableError


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


def test_without_a_running_node_there_is_no_server_to_ask(tmp_path):
    """The operator's command says so, and starts nothing."""
    with pytest.raises(DatabaseUnavailableError, match="no node runs on"):
        running_server(tmp_path / "postgresql")

    assert list(tmp_path.iterdir()) == []
