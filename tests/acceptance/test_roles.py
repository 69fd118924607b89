"""The node in three services: receive, work, web, on one data folder and one PostgreSQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from echo_scp.config import Destination
from echo_scp.database.embedded import embedded_server
from echo_scp.deliver import send
from tests.acceptance.running import CONFIG, pick_port, wait_for

ROLES = ("receive", "work", "web")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL that belongs to no node."""
    with embedded_server(tmp_path / "server") as url:
        yield url


class Service:
    """One role, started as systemd starts it: with a socket to report to, and a watchdog."""

    def __init__(self, role: str, folder: Path, config: Path) -> None:
        self.heard: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(folder / f"{role}.sock"))
        self.log = folder / f"{role}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "echo_scp.cli", "serve", "--role", role, "--config", str(config)],
                env=os.environ | {"NOTIFY_SOCKET": str(folder / f"{role}.sock"), "WATCHDOG_USEC": "1500000"},
                stdout=log,
                stderr=log,
            )

    def has_said(self, word: bytes) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        while True:
            try:
                self.heard.append(self._socket.recv(4096))
            except BlockingIOError:
                return any(word in each for each in self.heard)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._socket.close()
        return status


def readiness(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError:  # ready for systemd, and waiting for its database
        return 0


def test_three_roles_are_a_node(tmp_path, pacs, make_study, server):
    """A study that one receives comes back from another, and the third shows the metrics of all."""
    port, web_port = pick_port(), pick_port()
    config = tmp_path / "node.toml"
    text = CONFIG.format(data=tmp_path / "data", port=port, web_port=web_port, pacs_port=pacs.port, quiet_period_s=0.5)
    config.write_text(f"{text}[database]\nurl = '{server}'\n")
    study = make_study(0)
    services = {role: Service(role, tmp_path, config) for role in ROLES}
    try:
        for service in services.values():
            wait_for(lambda service=service: service.has_said(b"READY=1"))
        wait_for(lambda: readiness(web_port) == 200)
        send(study.files[0], Destination(name="node", ae_title="X", host="127.0.0.1", port=port), "CART", 20)
        wait_for(lambda: len(pacs.objects(study.study_instance_uid)) == 2)
        wait_for(lambda: services["work"].has_said(b"WATCHDOG=1"))
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
        ended = services["receive"].stop()
        wait_for(lambda: readiness(web_port) == 503)
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/metrics", timeout=10) as answer:
            without_receivers = answer.read().decode()
    finally:
        statuses = {role: service.stop() for role, service in services.items()}

    assert statuses == dict.fromkeys(ROLES, 0)
    assert ended == 0
    assert 'echo_scp_instances_received_total{outcome="stored"} 1.0' in metrics
    assert 'echo_scp_part_up{part="receivers"} 1.0' in metrics
    assert 'echo_scp_part_up{part="receivers"} 0.0' in without_receivers
    assert 'echo_scp_stage_duration_seconds_count{stage="segment"} 1.0' in metrics
    with psycopg.connect(server) as connection:
        assert connection.execute("SELECT state FROM study").fetchall() == [("reported",)]


def test_a_role_without_a_server_says_what_is_missing(command):
    """The embedded database belongs to one process."""
    done = command("serve", "--role", "work")

    assert done.returncode == 1
    assert "database.url" in done.stderr
