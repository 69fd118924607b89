"""The program of a receiver process: `python -m echo_scp.receive.process PLAIN TLS SEATS`, all file descriptors.

Its standard input brings the settings as one line of JSON, later the line `stop`; when it ends without, the node is
dead and the process ends at once. To its standard output it writes a byte when it listens, and one for each object or
several at once. See receivers.py for the other side.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from contextlib import suppress

# Nothing here decodes a pixel or draws a table. Without these a process has 25 MB less; pydicom and structlog take a
# None for "not installed".
_LEFT_OUT = ("numpy", "PIL", "rich", "greenlet")
READY, SPOOLED, STOP = b"R", b"S", b"stop\n"


def main(plain: int, tls: int, seats: int) -> None:
    """Receive until told to stop."""
    for name in _LEFT_OUT:
        sys.modules[name] = None  # type: ignore[assignment]
    from echo_scp import logs
    from echo_scp.receive.listener import Listener
    from echo_scp.receive.listening import inherit
    from echo_scp.receive.receivers import Settings
    from echo_scp.receive.seats import Seats
    from echo_scp.spool import Spool

    _allow_descriptors()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the node stops us in its order
    settings = Settings.model_validate_json(sys.stdin.buffer.readline())
    logs.configure(settings.log.level, settings.log.format)
    receive = settings.receive
    os.set_blocking(sys.stdout.fileno(), False)
    listener = Listener(
        receive,
        Spool(settings.data_folder, receive.reserve_disk_mb),
        lambda: _tell(SPOOLED),
        inherit(plain, tls),
        Seats(receive.maximum_associations, seats),
    )
    stop = threading.Event()
    threading.Thread(target=_wait_for_stop, args=(stop,), name="node-watch", daemon=True).start()
    with listener:
        _tell(READY)
        stop.wait()


def _allow_descriptors() -> None:
    """Use all file descriptors that we may have: the usual 1024 are fewer than the connections that may wait."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _tell(what: bytes) -> None:
    with suppress(BlockingIOError):  # the node has not read for long: what it has not read wakes it as well
        os.write(sys.stdout.fileno(), what)


def _wait_for_stop(stop: threading.Event) -> None:
    if sys.stdin.buffer.readline() != STOP:
        os._exit(1)  # nobody is left who could stop us, and the next node wants the port
    stop.set()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
