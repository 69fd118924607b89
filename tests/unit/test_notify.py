"""What the service manager hears."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from echo_scp.notify import notify, watchdog, watchdog_s


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket as systemd's, named in the environment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


def test_assignments_arrive_in_one_datagram(manager):
    """One per line, as sd_notify(3) says."""
    notify("READY=1", "STATUS=listening")

    assert manager.recv(4096) == b"READY=1\nSTATUS=listening"


def test_a_manager_that_does_not_read_holds_nobody_up(manager):
    """The kernel keeps a few datagrams; what does not fit is lost."""
    for _ in range(1000):
        notify("WATCHDOG=1")

    assert manager.recv(4096) == b"WATCHDOG=1"


def test_a_name_in_the_abstract_namespace_is_understood(monkeypatch):
    """It begins with @, which stands for a zero byte."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0echo-scp-test-{os.getpid()}")
        listening.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@echo-scp-test-{os.getpid()}")
        notify("READY=1")

        assert listening.recv(4096) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all"])
def test_without_a_manager_nothing_happens(address, monkeypatch):
    """The node runs as well from a terminal."""
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    notify("READY=1")


def test_the_watchdog_speaks_before_its_time_is_over(manager, monkeypatch):
    """Several times, so that one late thread does not cost the node its life."""
    monkeypatch.setenv("WATCHDOG_USEC", "60000")

    with watchdog():
        heard = [manager.recv(4096), manager.recv(4096)]

    assert heard == [b"WATCHDOG=1"] * 2


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(environment, expected):
    """A child inherits the variables, and is not meant."""
    assert watchdog_s(environment) == expected
