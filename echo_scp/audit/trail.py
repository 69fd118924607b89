"""Where audit messages go: a file, one message a line, and a syslog collector (PS3.15 A.6)."""

from __future__ import annotations

import errno
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from echo_scp.config import AuditConfig

_PRIORITY = 10 * 8 + 5  # facility authpriv, severity notice (PS3.15 A.6.1)
_MESSAGE_ID = "DICOM+RFC3881"  # PS3.15 A.6.1
_WAITING = 10_000  # messages for a collector that is away; the file has them all
_TIMEOUT_S = 10.0
_RETRY_S = 10.0

log = structlog.get_logger(__name__)


class AuditTrail:
    """Records messages. Safe for threads, and for several processes on one file. What fails is logged, not raised."""

    def __init__(self, config: AuditConfig, file: Path | None, node: str) -> None:
        """Write to `file`, if there is one; `node` is what the messages call us."""
        self._config = config
        self._file = file
        self._node = node
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit-syslog", daemon=True)

    def __enter__(self) -> Self:
        if self._config.syslog_host:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread.is_alive():
            self._stopping.set()
            with suppress(queue.Full):  # then the thread waits for the collector, and ends for that
                self._queue.put_nowait(None)
            self._thread.join(_TIMEOUT_S)

    def record(self, build: Callable[[str, datetime], bytes]) -> None:
        """Record the message that `build(node, now)` gives."""
        now = datetime.now(UTC)
        message = build(self._node, now)
        self._append(message)
        if self._thread.is_alive():
            try:
                self._queue.put_nowait(_syslog_line(self._node, now, message))
            except queue.Full:
                log.error("audit.not_sent", detail="the collector has been away for too long")

    def _append(self, message: bytes) -> None:
        if self._file is None:
            return
        try:
            # One write to the end: lines of several processes do not mix.
            descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(descriptor, message + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            log.error("audit.not_written", detail=str(error))

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            if not self._deliver(line):
                log.error("audit.not_sent", detail="the collector is away, and the node ends; the file has them all")
                return

    def _deliver(self, line: bytes) -> bool:
        """Send a message, again and again while the collector is away; return False when the node ends meanwhile."""
        is_away = False
        while True:
            try:
                self._send(line)
            except (OSError, UnicodeError) as error:  # the latter: no name of a host
                if isinstance(error, OSError) and error.errno == errno.EMSGSIZE:
                    log.error("audit.not_sent", detail="too long for udp; set audit.syslog_transport")
                    return True
                if not is_away:
                    log.error("audit.collector_away", detail=str(error))
                is_away = True
            else:
                if is_away:
                    log.info("audit.collector_answers_again")
                return True
            if self._stopping.wait(_RETRY_S):
                return False

    def _send(self, line: bytes) -> None:
        config = self._config
        address = (config.syslog_host, config.syslog_port)
        if config.syslog_transport == "udp":
            family = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family[0], socket.SOCK_DGRAM) as sender:
                sender.sendto(line, family[4])
            return
        with socket.create_connection(address, _TIMEOUT_S) as connection:
            framed = str(len(line)).encode() + b" " + line  # octet counting (RFC 5425 4.3)
            if config.syslog_transport == "tcp":
                connection.sendall(framed)
                return
            context = ssl.create_default_context(cafile=config.syslog_ca)
            with context.wrap_socket(connection, server_hostname=config.syslog_host) as secure:
                secure.sendall(framed)


def _syslog_line(node: str, now: datetime, message: bytes) -> bytes:
    """Return a message of RFC 5424; the byte order mark says that the text is UTF-8."""
    host = socket.gethostname() or "-"
    app = "".join(letter if letter.isalnum() else "_" for letter in node)[:48] or "-"
    header = f"<{_PRIORITY}>1 {now.isoformat()} {host} {app} {os.getpid()} {_MESSAGE_ID} - "
    return header.encode() + b"\xef\xbb\xbf" + message
