"""Fixtures of the acceptance tests: the node, the stand-in PACS, small studies, the command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from echo_scp.config import ReceiveConfig
from echo_scp.database.connection import Database
from echo_scp.database.embedded import embedded_server
from echo_scp.node import prepare_database
from echo_scp.phantom.study import write_study
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from tests.acceptance.running import Node, Pacs


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An embedded PostgreSQL with a node's tables."""
    with embedded_server(tmp_path_factory.mktemp("database") / "postgresql") as url:
        prepare_database(url)
        yield url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The tables as the tests before left them."""
    with Database(url) as database:
        yield database


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Pacs]:
    spool = Spool(tmp_path / "pacs", 0)
    config = ReceiveConfig(ae_title="PACS", address="127.0.0.1", port=0, reserve_disk_mb=0)
    with Listener(config, spool, lambda: None) as listener:
        yield Pacs(spool, listener.port)


@pytest.fixture
def node(tmp_path: Path, pacs: Pacs) -> Iterator[Node]:
    """A node that is not started yet; whatever a test left of it is stopped."""
    node = Node(tmp_path / "node", pacs.port)
    yield node
    if node.process is not None:
        if node.process.poll() is not None:  # killed: start it once more, so that its PostgreSQL is stopped too
            node.start()
        node.stop()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """The standard phantom study, with clips of one beat and a bit."""
    folder = tmp_path_factory.mktemp("phantom")
    return tuple(instance.path for instance in write_study(folder, seed=5, frame_count=60))


@dataclass(frozen=True)
class Sent:
    """A study on disk, ready to be sent."""

    study_instance_uid: str
    files: tuple[Path, ...]


@pytest.fixture
def make_study(templates: tuple[Path, ...], tmp_path: Path) -> Callable[..., Sent]:
    """`make_study(0, 4)` writes a new study of copies of the phantom's instances 0 (A4C) and 4 (M-mode)."""

    def make(*indices: int) -> Sent:
        study_uid, series_uid = generate_uid(prefix=None), generate_uid(prefix=None)
        folder = tmp_path / f"study-{study_uid[-8:]}"
        folder.mkdir()
        files = []
        for number, index in enumerate(indices, start=1):
            dataset = dcmread(templates[index])
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study_uid, series_uid
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
            dataset.InstanceNumber = number
            path = folder / f"{number}.dcm"
            dataset.save_as(path)
            files.append(path)
        return Sent(study_uid, tuple(files))

    return make


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `echo-scp ...` from another folder than the checkout."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = shutil.which("echo-scp", path=str(Path(sys.executable).parent))
    start = [program] if program is not None else [sys.executable, "-m", "echo_scp.cli"]
    environment = os.environ | ({} if program is not None else {"PYTHONPATH": str(Path(__file__).parents[2])})

    def run(*arguments: object, timeout_s: float = 280) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*start, *map(str, arguments)],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    return run
