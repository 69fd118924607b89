"""Connections that have not asked for an association yet (PS3.8 Sta2), all in one thread that never waits for one.

A peer that connects and says nothing, or its request byte by byte, or stops within its TLS handshake, costs a socket
and what it sent so far, until the ARTIM timer closes it. When there are too many, the oldest of whoever has the most
goes first.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from echo_scp.receive.request import is_acceptable_length
from echo_scp.receive.tls import TlsServer
from echo_scp.receive.upper_layer import (
    PDU_EVENTS,
    PDU_HEAD,
    TRANSITIONS,
    AbortSource,
    Action,
    Event,
    State,
    abort_pdu,
)

MAXIMUM_WAITING = 1024
MAXIMUM_WAITING_BYTES = 8 * 1024 * 1024
_CLOSING_S = 2.0
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError)

log = structlog.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Waiting:
    """A connection in Sta2; in Sta13 when `state` says so."""

    connection: socket.socket
    address: str
    deadline: float
    received: bytearray = field(default_factory=bytearray)
    state: State = State.AWAITING_REQUEST
    is_shaking_hands: bool = False

    def missing(self) -> int:
        """Return how many bytes there are until the PDU's head, and then until its end."""
        if len(self.received) < PDU_HEAD.size:
            return PDU_HEAD.size - len(self.received)
        return int(PDU_HEAD.unpack_from(self.received)[1]) + PDU_HEAD.size - len(self.received)


class Admission:
    """Reads A-ASSOCIATE-RQs, and hands over the connections that sent one."""

    def __init__(
        self,
        timeout_s: float,
        admit: Callable[[socket.socket, str, bytes], bytes | None],
        tls: TlsServer | None = None,
    ) -> None:
        """`admit` gets connection, peer address and request, in the admission's thread.

        It takes the connection over and returns None, or it returns the A-ASSOCIATE-RJ to send.
        """
        self._timeout_s = timeout_s
        self._admit = admit
        self._tls = tls
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._new: deque[tuple[socket.socket, str, bool]] = deque()
        self._waiting: dict[socket.socket, Waiting] = {}  # oldest first
        self._byte_count = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="receive-admission", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def add(self, connection: socket.socket, address: str, *, is_tls: bool = False) -> None:
        """Take over a connection that was just accepted. Safe for any thread."""
        self._new.append((connection, address, is_tls))
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """Close all connections and end the thread."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        for connection, *_ in self._new:
            connection.close()
        self._selector.close()
        os.close(self._wake)

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(self._until_deadline()):
                if key.data is None:
                    os.eventfd_read(self._wake)
                    self._take_new()
                elif key.data.connection in self._waiting:  # else evicted in this round
                    self._try(key.data)
            self._close_overdue()
        for waiting in list(self._waiting.values()):
            self._drop(waiting)

    def _until_deadline(self) -> float | None:
        if not self._waiting:
            return None
        return max(min(waiting.deadline for waiting in self._waiting.values()) - time.monotonic(), 0.0)

    def _take_new(self) -> None:
        while self._new:
            connection, address, is_tls = self._new.popleft()
            connection.setblocking(False)
            if is_tls:
                assert self._tls is not None
                try:
                    connection = self._tls.wrap(connection)
                except OSError:  # it has gone
                    connection.close()
                    continue
            deadline = time.monotonic() + self._timeout_s
            self._remember(Waiting(connection, address, deadline, is_shaking_hands=is_tls))
            if len(self._waiting) > MAXIMUM_WAITING:
                self._evict_oldest()

    def _try(self, waiting: Waiting) -> None:
        try:
            self._proceed(waiting)
        except Exception:  # the edge of a connection: were the thread to end, the node would be deaf without a word
            log.exception("connection.failed", peer=waiting.address)
            if waiting.connection in self._waiting:
                self._forget(waiting)
            waiting.connection.close()

    def _proceed(self, waiting: Waiting) -> None:
        if waiting.is_shaking_hands and not self._shake_hands(waiting):
            return
        self._read(waiting)
        # What TLS has decrypted is no longer in the kernel, whom the selector asks.
        while waiting.connection in self._waiting and _has_decrypted(waiting.connection):
            self._read(waiting)

    def _shake_hands(self, waiting: Waiting) -> bool:
        """Go on with the TLS handshake as far as what came allows; say whether it is done."""
        assert isinstance(waiting.connection, ssl.SSLSocket)
        try:
            waiting.connection.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (
            OSError
        ) as error:  # a broken handshake, or no certificate that we trust; a flight of ours that it never reads
            log.info("tls.refused", peer=waiting.address, detail=getattr(error, "reason", None) or type(error).__name__)
            self._drop(waiting)
            return False
        waiting.is_shaking_hands = False
        return True

    def _read(self, waiting: Waiting) -> None:
        try:
            received = waiting.connection.recv(min(waiting.missing(), 65536) if self._is_open(waiting) else 65536)
        except _NOT_YET:
            return
        except OSError:
            received = b""
        if not received:
            self._drop(waiting)
        elif self._is_open(waiting):
            waiting.received += received
            self._byte_count += len(received)
            self._look_at(waiting)
            if self._byte_count > MAXIMUM_WAITING_BYTES:
                self._drop(max(self._waiting.values(), key=lambda each: len(each.received)))

    @staticmethod
    def _is_open(waiting: Waiting) -> bool:
        return waiting.state is State.AWAITING_REQUEST

    def _look_at(self, waiting: Waiting) -> None:
        """Judge a PDU by its head, before memory is taken for the rest (PS3.8 9.3.1)."""
        if len(waiting.received) < PDU_HEAD.size:
            return
        kind, length = PDU_HEAD.unpack_from(waiting.received)
        event = PDU_EVENTS.get(kind, Event.INVALID_PDU)
        if event is Event.ASSOCIATE_RQ_RECEIVED and not is_acceptable_length(length):
            event = Event.INVALID_PDU
        action, state = TRANSITIONS[State.AWAITING_REQUEST, event]
        if action is Action.ABORT:
            log.info("connection.aborted", peer=waiting.address, pdu_type=kind, pdu_bytes=length)
            self._tell(waiting, state, abort_pdu(AbortSource.SERVICE_USER))
        elif action is Action.CLOSE:
            self._drop(waiting)
        elif not waiting.missing():
            self._hand_over(waiting)

    def _hand_over(self, waiting: Waiting) -> None:
        self._forget(waiting)  # before its thread begins to read, and may close it
        rejection = self._admit(waiting.connection, waiting.address, bytes(waiting.received))
        if rejection is None:
            return
        self._remember(waiting)
        _, state = TRANSITIONS[State.AWAITING_RESPONSE, Event.REJECTED]
        self._tell(waiting, state, rejection)

    def _tell(self, waiting: Waiting, state: State, pdu: bytes) -> None:
        """Send the last PDU, and wait for the peer to close."""
        with suppress(OSError):  # also when the peer reads nothing: ten bytes are not worth waiting for
            waiting.connection.send(pdu)
        self._byte_count -= len(waiting.received)
        waiting.received.clear()
        waiting.state = state
        waiting.deadline = time.monotonic() + _CLOSING_S

    def _close_overdue(self) -> None:
        now = time.monotonic()
        for waiting in [each for each in self._waiting.values() if each.deadline <= now]:
            self._drop(waiting)

    def _evict_oldest(self) -> None:
        ((address, _),) = Counter(waiting.address for waiting in self._waiting.values()).most_common(1)
        self._drop(next(waiting for waiting in self._waiting.values() if waiting.address == address))

    def _remember(self, waiting: Waiting) -> None:
        self._waiting[waiting.connection] = waiting
        self._byte_count += len(waiting.received)
        self._selector.register(waiting.connection, selectors.EVENT_READ, waiting)

    def _drop(self, waiting: Waiting) -> None:
        self._forget(waiting)
        waiting.connection.close()

    def _forget(self, waiting: Waiting) -> None:
        del self._waiting[waiting.connection]
        self._byte_count -= len(waiting.received)
        self._selector.unregister(waiting.connection)


def _has_decrypted(connection: socket.socket) -> bool:
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
