"""Tell the service manager how it stands (sd_notify(3)); without one, nothing happens."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress


def notify(*assignments: str) -> None:
    """Send `READY=1`, `STATUS=...` and the like. Never raises: no service stands or falls by what it says of itself."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # a name in the abstract namespace
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.setblocking(False)  # a manager that does not read must not hold us up
        channel.connect(address)
        channel.sendall("\n".join(assignments).encode())


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return within how many seconds this process must speak; None when nobody listens for it."""
    microseconds, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6


@contextmanager
def watchdog() -> Iterator[None]:
    """Speak during the block, as often as the manager wants: it restarts a process whose interpreter hangs."""
    within_s = watchdog_s()
    if within_s is None:
        yield
        return
    done = threading.Event()

    def speak() -> None:
        while not done.wait(within_s / 3):
            notify("WATCHDOG=1")

    thread = threading.Thread(target=speak, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
