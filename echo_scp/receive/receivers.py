"""The node's receiver processes: started, woken from, started again when one dies, stopped."""

from __future__ import annotations

import os
import select
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import structlog
from pydantic import BaseModel

from echo_scp.config import Config, LogConfig, ReceiveConfig
from echo_scp.errors import EchoScpError
from echo_scp.receive.listening import bind, port_of, stop_accepting
from echo_scp.receive.process import READY, STOP
from echo_scp.receive.seats import Seats
from echo_scp.receive.tls import TlsServer

START_S = 60.0
RESTART_S = 1.0
STOP_S = 20.0
_REST_S = 0.02  # while we do not listen, nobody is held up by waking us: objects come hundreds a second

log = structlog.get_logger(__name__)

_Process = subprocess.Popen[bytes]
_ROOT = str(Path(__file__).parents[2])  # so that a process runs this code, wherever the node was started


class Settings(BaseModel):
    """What a receiver process is told."""

    data_folder: Path
    receive: ReceiveConfig
    log: LogConfig


class Receivers:
    """Processes that accept from one socket. Connections that come while one starts anew wait in the kernel."""

    def __init__(self, config: Config, on_spooled: Callable[[], None]) -> None:
        """Bind the ports; `on_spooled` is called in a thread of the node.

        Raises OSError when a port cannot be had, ConfigurationError when TLS cannot be served with its files.
        """
        if config.receive.tls.certificate is not None:
            TlsServer(config.receive.tls)
        self._settings = Settings(data_folder=config.data_folder, receive=config.receive, log=config.log)
        self._on_spooled = on_spooled
        self._doors = bind(config.receive)
        self._seats = Seats(config.receive.maximum_associations)
        self._processes: dict[int, _Process] = {}  # by process number
        self._selector = selectors.DefaultSelector()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="receiver-supervisor", daemon=True)

    def __enter__(self) -> Receivers:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Return the plain port that is bound."""
        return port_of(self._doors.plain, self._settings.receive.port)

    @property
    def tls_port(self) -> int:
        """Return the TLS port that is bound."""
        return port_of(self._doors.tls, self._settings.receive.tls.port)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Return the numbers of the processes that run."""
        return tuple(self._processes)

    def calling_ae_titles(self) -> frozenset[str]:
        """Return who has an association at this moment."""
        return self._seats.calling_ae_titles()

    def is_alive(self) -> bool:
        """Tell whether all processes run at this moment."""
        return len(self._processes) == self._settings.receive.processes

    def start(self) -> None:
        """Start the processes and wait until they listen. Raises EchoScpError when one does not come up."""
        started = [self._start_process() for _ in range(self._settings.receive.processes)]
        for process in started:
            if not _is_ready(process):
                self.stop()
                raise EchoScpError("a receiver process did not start; its log lines say why")
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, let objects under way be answered, end the processes; for good."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()  # first: nobody starts a process after this
        stop_accepting(self._doors)
        for process in self._processes.values():
            _tell_to_stop(process)
        for process in self._processes.values():
            _end(process)
        self._processes.clear()
        self._selector.close()
        self._seats.close()

    def _start_process(self) -> _Process:
        shared = (*self._doors.descriptors(), self._seats.descriptor)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "echo_scp.receive.process", *map(str, shared)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor for descriptor in shared if descriptor >= 0],
            bufsize=0,
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it ended at once: that is noticed elsewhere
            process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
        self._processes[process.pid] = process
        self._selector.register(_output(process), selectors.EVENT_READ, process)
        return process

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            for key, _ in self._selector.select(0.5):
                if os.read(_output(key.data), 65536):
                    self._on_spooled()
                else:
                    self._start_again(key.data)
            self._stopping.wait(_REST_S)

    def _start_again(self, dead: _Process) -> None:
        self._selector.unregister(_output(dead))
        del self._processes[dead.pid]
        _end(dead)
        self._seats.vacate(dead.pid)
        log.error("receiver.ended", process_id=dead.pid, exit_code=dead.returncode)
        while not self._stopping.wait(RESTART_S):
            try:
                self._start_process()
            except OSError as error:  # no memory or no process number: it may pass
                log.error("receiver.not_started", detail=str(error))
            else:
                return


def _output(process: _Process) -> int:
    assert process.stdout is not None
    return process.stdout.fileno()


def _is_ready(process: _Process) -> bool:
    output = _output(process)
    ready, _, _ = select.select([output], [], [], START_S)
    return bool(ready) and os.read(output, 1) == READY


def _tell_to_stop(process: _Process) -> None:
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(STOP)


def _end(process: _Process) -> None:
    """Wait for the end of a process, for a while, and close what led to it."""
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
