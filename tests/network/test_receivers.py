"""Receiver processes: one port, one limit, one stop; what dies is replaced, and nobody outlives the node."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from echo_scp.config import Config, LogConfig, ReceiveConfig
from echo_scp.errors import EchoScpError
from echo_scp.receive import receivers
from echo_scp.receive.receivers import Receivers
from echo_scp.spool import Spool
from tests.network.peers import (
    A_ABORT,
    AN_OBJECT,
    HALF_AN_OBJECT,
    associate_request,
    command,
    connect,
    dial,
    fragment,
    pdu,
    receive_pdu,
    status,
)

NO_ROOM = pdu(3, bytes((0, 2, 3, 2)))


def make_config(folder: Path, **changes: object) -> Config:
    receive = ReceiveConfig(**({"address": "127.0.0.1", "port": 0, "reserve_disk_mb": 0} | changes))
    return Config(data_folder=folder, receive=receive, log=LogConfig(level="warning"))


@pytest.fixture
def start(tmp_path, monkeypatch):
    """`start(processes=2)` returns running receivers, their spool and what counts the wakes."""
    monkeypatch.setattr(receivers, "RESTART_S", 0.1)
    with ExitStack() as stack:

        def run(**changes: object) -> tuple[Receivers, Spool, list[None]]:
            wakes: list[None] = []
            config = make_config(tmp_path / "data", **changes)
            spool = Spool(config.data_folder, 0)
            return stack.enter_context(Receivers(config, lambda: wakes.append(None))), spool, wakes

        yield run


def store(port: int) -> int:
    with closing(connect(port)) as peer:
        peer.sendall(AN_OBJECT)
        return status(receive_pdu(peer))


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def of_process(process_id: int, name: str) -> int:
    return int(re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{process_id}/status").read_text())[1])


def test_processes_accept_in_turn(start):
    """None has all associations while another has none."""
    running, _, _ = start(processes=2)
    idle = {process_id: of_process(process_id, "Threads") for process_id in running.process_ids}
    with ExitStack() as peers:
        for _ in range(8):
            peers.enter_context(closing(connect(running.port)))
            time.sleep(0.05)  # so that whoever accepted waits again
        serving = [of_process(process_id, "Threads") - threads for process_id, threads in idle.items()]

    assert sum(serving) == 8
    assert min(serving) >= 2


def test_an_object_of_any_process_wakes_the_node(start):
    """After it is ready."""
    running, spool, wakes = start(processes=2)

    answers = [store(running.port) for _ in range(4)]
    wait_until(lambda: wakes)

    assert answers == [0x0000] * 4
    assert len(spool.ready()) == 4


def test_the_limit_is_that_of_all_processes_together(start):
    """And the seats of a killed process are given again."""
    running, _, _ = start(processes=2, maximum_associations=4)
    with ExitStack() as peers:
        for _ in range(4):
            peers.enter_context(closing(connect(running.port)))
        refused = []
        for _ in range(2):
            peer = peers.enter_context(closing(dial(running.port)))
            peer.sendall(associate_request())
            refused.append(receive_pdu(peer))
        for process_id in running.process_ids:
            os.kill(process_id, signal.SIGKILL)
        wait_until(lambda: not running.is_alive())
        wait_until(running.is_alive)
        for _ in range(4):
            peers.enter_context(closing(connect(running.port)))

    assert refused == [NO_ROOM] * 2


def test_a_killed_process_is_replaced_and_loses_nobody_who_waits(start, tmp_path):
    """A connection that comes meanwhile is served by the next one; half an object of the dead one is swept."""
    running, spool, _ = start()
    (dead,) = running.process_ids
    with closing(connect(running.port)) as peer:
        peer.sendall(HALF_AN_OBJECT)
        wait_until(lambda: list(tmp_path.glob("data/spool/incoming/*")))
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: is_dead(dead))  # until then the kernel may still accept for it
        answer = store(running.port)

    assert answer == 0x0000
    assert len(spool.ready()) == 1
    assert list(tmp_path.glob("data/spool/incoming/*")) == []
    assert dead not in running.process_ids


def is_dead(process_id: int) -> bool:
    """Tell whether no thread is left: the first one may be gone while others still hold the sockets."""
    folder = Path(f"/proc/{process_id}")
    try:
        state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list((folder / "task").iterdir())) == 1
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return True


def test_stop_lets_every_process_answer_what_is_under_way(start, tmp_path):
    """The port is closed at once; the objects are stored and their senders told."""
    running, spool, _ = start(processes=2)
    port = running.port
    with ExitStack() as stack:
        peers = [stack.enter_context(closing(connect(port))) for _ in range(2)]
        for peer in peers:
            peer.sendall(HALF_AN_OBJECT)
        wait_until(lambda: len(list(tmp_path.glob("data/spool/incoming/*"))) == 2)
        stopping = threading.Thread(target=running.stop)
        stopping.start()
        wait_until(lambda: not listens(port))
        answers = []
        for peer in peers:
            peer.sendall(fragment(b"the rest", control=2))
            answers.append(status(receive_pdu(peer)))
        ends = [receive_pdu(peer) for peer in peers]
        stopping.join()

    assert answers == [0x0000] * 2
    assert ends == [A_ABORT] * 2
    assert len(spool.ready()) == 2


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_large_objects_take_no_memory(start):
    """Sixteen at once, 16 MB each: a receiver stays below 64 MB."""
    running, spool, _ = start()
    (process_id,) = running.process_ids
    answers: list[int] = []

    def send() -> None:
        with closing(connect(running.port)) as peer:
            peer.sendall(command())
            for _ in range(128):
                peer.sendall(fragment(bytes(125_000), 0))
            peer.sendall(fragment(b"", 2))
            answers.append(status(receive_pdu(peer)))

    senders = [threading.Thread(target=send) for _ in range(16)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()

    assert answers == [0x0000] * 16
    assert len(spool.ready()) == 16
    assert of_process(process_id, "VmHWM") < 64 * 1024


def test_a_thousand_silent_peers_take_little_memory(start):
    """Each is a socket and a line in a table."""
    running, _, _ = start()
    (process_id,) = running.process_ids
    with ExitStack() as peers:
        for _ in range(900):
            peers.enter_context(closing(dial(running.port)))
        answer = store(running.port)
        threads = of_process(process_id, "Threads")

    assert answer == 0x0000
    assert threads < 10
    assert of_process(process_id, "VmHWM") < 64 * 1024


def test_a_port_that_is_taken_is_an_error(start, tmp_path):
    """Also when the other one is a node of the same user."""
    running, _, _ = start()

    with pytest.raises(OSError, match="in use"):
        Receivers(make_config(tmp_path / "other", port=running.port), lambda: None)


def test_a_process_that_cannot_start_is_an_error(tmp_path):
    """The operator hears of it at the start; no process is left."""
    (tmp_path / "data").write_text("a file where a folder should be")
    failing = Receivers(make_config(tmp_path / "data"), lambda: None)

    with pytest.raises(EchoScpError, match="did not start"):
        failing.start()

    assert failing.process_ids == ()


def test_no_receiver_outlives_its_node(tmp_path):
    """The node is killed: its receivers end, and the port is free for the next one."""
    program = (
        "import sys, time; from pathlib import Path; from tests.network.test_receivers import make_config;"
        "from echo_scp.receive.receivers import Receivers;"
        "receivers = Receivers(make_config(Path(sys.argv[1])), lambda: None); receivers.start();"
        "print(receivers.port, *receivers.process_ids, flush=True); time.sleep(600)"
    )
    node = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "data")], stdout=subprocess.PIPE, text=True)
    with node:
        port, process_id = map(int, node.stdout.readline().split())
        with closing(connect(port)) as peer:
            peer.sendall(HALF_AN_OBJECT)
            node.kill()
            wait_until(lambda: not Path(f"/proc/{process_id}").exists() or not listens(port))

    wait_until(lambda: not listens(port))


def test_ctrl_c_is_the_node_s_affair(start):
    """The terminal sends it to the whole group; the node stops its receivers in its own order."""
    running, _, _ = start()
    (process_id,) = running.process_ids

    os.kill(process_id, signal.SIGINT)

    assert store(running.port) == 0x0000
    assert running.process_ids == (process_id,)
