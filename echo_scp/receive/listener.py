"""The listening AE of one process: accepts connections, seats associations, stops when what was begun is finished."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

import structlog

from echo_scp import metrics
from echo_scp.commitment import CommitmentDesk
from echo_scp.config import ReceiveConfig
from echo_scp.procedure_step import StepDesk
from echo_scp.receive.access import Access, Denied
from echo_scp.receive.admission import Admission
from echo_scp.receive.association import Association, Desks
from echo_scp.receive.listening import Doors, bind, port_of, stop_accepting
from echo_scp.receive.negotiation import NO_ROOM, not_recognised
from echo_scp.receive.request import ae_titles
from echo_scp.receive.seats import Refused, Seats
from echo_scp.receive.store import Reception
from echo_scp.receive.tls import TlsServer, certificate_of
from echo_scp.spool import Spool, SpooledIdentity

log = structlog.get_logger(__name__)

_POLL_S = 0.02
_JOIN_S = 10.0
_ACCEPT_RETRY_S = 0.1


class Listener:
    """An SCP of storage, verification, storage commitment and MPPS on a port, on one for TLS, or on both."""

    def __init__(
        self,
        config: ReceiveConfig,
        spool: Spool,
        on_spooled: Callable[[], None],
        doors: Doors | None = None,
        seats: Seats | None = None,
    ) -> None:
        """Make a listener that does not listen yet; `on_spooled` is called in association threads.

        `doors` and `seats` are shared with other processes; the listener makes its own when there are none.
        """
        self._config = config
        self._spool = spool
        self._on_spooled = on_spooled
        self._desks = Desks(self._receive, CommitmentDesk(spool), StepDesk(spool))
        self._access = Access(config)
        self._shared_doors = doors
        self._shared_seats = seats
        self._seats: Seats | None = None
        self._associations: dict[Association, int] = {}  # and their seats
        self._doors: Doors | None = None
        self._admission: Admission | None = None
        self._accepting: list[threading.Thread] = []
        self._stopping = threading.Event()

    def __enter__(self) -> Listener:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Return the plain port that is bound, or before `start` the configured one."""
        return port_of(self._doors.plain if self._doors else None, self._config.port)

    @property
    def tls_port(self) -> int:
        """Return the TLS port that is bound, or before `start` the configured one."""
        return port_of(self._doors.tls if self._doors else None, self._config.tls.port)

    def start(self) -> None:
        """Bind and accept associations in threads of their own.

        Raises OSError when a port cannot be had, ConfigurationError when TLS cannot be served with its files.
        """
        tls = None if self._config.tls.certificate is None else TlsServer(self._config.tls)
        self._doors = self._shared_doors or bind(self._config)
        self._seats = self._shared_seats or Seats(self._config.maximum_associations)
        self._stopping.clear()
        self._admission = Admission(self._config.network_timeout_s, self._admit, tls)
        self._admission.start()
        self._accepting = [
            threading.Thread(target=self._accept, args=door, name="receive-accept", daemon=True)
            for door in self._doors.open()
        ]
        for thread in self._accepting:
            thread.start()
        ports = {"tls" if is_tls else "plain": port_of(door, 0) for door, is_tls in self._doors.open()}
        log.info("listener.started", ae_title=self._config.ae_title, address=self._config.address, ports=ports)

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop accepting, give objects under way `grace_s` to be answered, end all associations and their threads.

        What an association has not been told is stored, its sender keeps and sends again.
        """
        if self._doors is None or self._admission is None or self._seats is None:
            return
        self._stopping.set()
        stop_accepting(self._doors)
        for thread in self._accepting:
            thread.join()
        self._admission.stop()
        deadline = time.monotonic() + grace_s
        while any(association.is_busy for association in list(self._associations)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        ended = list(self._associations)
        for association in ended:
            association.abort()
        for association in ended:
            if not association.join(_JOIN_S):
                log.error("association.stuck")
        self._seats.close()
        self._doors = self._admission = self._seats = None
        log.info("listener.stopped", ended_associations=len(ended))

    def _accept(self, door: socket.socket, is_tls: bool) -> None:
        assert self._admission is not None
        while not self._stopping.is_set():
            try:
                connection, (address, *_) = door.accept()
            except OSError as error:
                if self._stopping.is_set() or error.errno in (errno.EINVAL, errno.EBADF):  # no longer listening
                    return
                log.error("listener.accept_failed", detail=str(error))  # descriptors or memory: it passes
                self._stopping.wait(_ACCEPT_RETRY_S)
            else:
                if self._access.may_connect(str(address)):
                    self._admission.add(connection, str(address), is_tls=is_tls)
                else:
                    connection.close()
                    log.warning("connection.refused", peer=address)

    def _admit(self, connection: socket.socket, address: str, request: bytes) -> bytes | None:
        """Give a connection that asks for an association a seat and a thread, or return why not."""
        assert self._seats is not None
        calling, called = ae_titles(request)
        guest = self._access.admit(address, calling, called, certificate_of(connection))
        if isinstance(guest, Denied):
            self._note_rejection(calling, address, f"not recognised: {guest.name.lower()}")
            return not_recognised(guest.value)
        seat = self._seats.take(guest.key, guest.maximum_associations, calling)
        if isinstance(seat, Refused):
            self._note_rejection(calling, address, seat.value)
            return NO_ROOM
        association = Association(connection, address, self._config, self._desks, self._on_end)
        self._associations[association] = seat
        try:
            association.start(request)
        except RuntimeError:  # no more threads
            self._on_end(association)
            return NO_ROOM
        return None

    @staticmethod
    def _note_rejection(calling_ae_title: str, address: str, reason: str) -> None:
        metrics.ASSOCIATIONS.add(outcome="rejected")
        log.warning("association.rejected", calling_ae_title=calling_ae_title, peer=address, reason=reason)

    def _receive(self, identity: SpooledIdentity) -> Reception:
        return Reception(self._spool, identity, self._on_spooled)

    def _on_end(self, association: Association) -> None:
        assert self._seats is not None
        self._seats.leave(self._associations[association])
        del self._associations[association]  # last: what is not there, `stop` does not wait for
