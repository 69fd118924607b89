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
from echo_scp.config import ReceiveConfig
from echo_scp.receive.admission import Admission
from echo_scp.receive.association import Association
from echo_scp.receive.listening import bind, stop_accepting
from echo_scp.receive.negotiation import calling_ae_title
from echo_scp.receive.seats import Refused, Seats
from echo_scp.receive.store import Reception
from echo_scp.spool import Spool, SpooledIdentity

log = structlog.get_logger(__name__)

_POLL_S = 0.02
_JOIN_S = 10.0
_ACCEPT_RETRY_S = 0.1


class Listener:
    """A C-STORE and C-ECHO SCP on one port. Any called AE title is accepted."""

    def __init__(
        self,
        config: ReceiveConfig,
        spool: Spool,
        on_spooled: Callable[[], None],
        listening: socket.socket | None = None,
        seats: Seats | None = None,
    ) -> None:
        """Make a listener that does not listen yet; `on_spooled` is called in association threads.

        `listening` and `seats` are shared with other processes; the listener makes its own when there are none.
        """
        self._config = config
        self._spool = spool
        self._on_spooled = on_spooled
        self._shared_listening = listening
        self._shared_seats = seats
        self._seats: Seats | None = None
        self._associations: dict[Association, int] = {}  # and their seats
        self._socket: socket.socket | None = None
        self._admission: Admission | None = None
        self._accepting: threading.Thread | None = None
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
        """Return the port that is bound, or before `start` the configured one."""
        return int(self._socket.getsockname()[1]) if self._socket else self._config.port

    def start(self) -> None:
        """Bind and accept associations in threads of their own. Raises OSError when the port cannot be had."""
        self._socket = self._shared_listening or bind(self._config)
        limits = (self._config.maximum_associations, self._config.maximum_associations_per_peer)
        self._seats = self._shared_seats or Seats(*limits)
        self._stopping.clear()
        self._admission = Admission(self._config.network_timeout_s, self._admit)
        self._admission.start()
        self._accepting = threading.Thread(target=self._accept, name="receive-accept", daemon=True)
        self._accepting.start()
        log.info("listener.started", ae_title=self._config.ae_title, address=self._config.address, port=self.port)

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop accepting, give objects under way `grace_s` to be answered, end all associations and their threads.

        What an association has not been told is stored, its sender keeps and sends again.
        """
        if self._socket is None or self._admission is None or self._accepting is None or self._seats is None:
            return
        self._stopping.set()
        stop_accepting(self._socket)
        self._accepting.join()
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
        self._socket = self._admission = self._accepting = self._seats = None
        log.info("listener.stopped", ended_associations=len(ended))

    def _accept(self) -> None:
        assert self._socket is not None
        assert self._admission is not None
        while not self._stopping.is_set():
            try:
                connection, address = self._socket.accept()
            except OSError as error:
                if self._stopping.is_set() or error.errno in (errno.EINVAL, errno.EBADF):  # no longer listening
                    return
                log.error("listener.accept_failed", detail=str(error))  # descriptors or memory: it passes
                self._stopping.wait(_ACCEPT_RETRY_S)
            else:
                self._admission.add(connection, str(address[0]))

    def _admit(self, connection: socket.socket, address: str, request: bytes) -> bool:
        """Give a connection that asks for an association a seat and a thread."""
        assert self._seats is not None
        seat = self._seats.take(address)
        if isinstance(seat, Refused):
            metrics.ASSOCIATIONS.add(outcome="rejected")
            title = calling_ae_title(request)
            log.warning("association.rejected", calling_ae_title=title, peer=address, limit=seat.value)
            return False
        association = Association(connection, address, self._config, self._receive, self._on_end)
        self._associations[association] = seat
        try:
            association.start(request)
        except RuntimeError:  # no more threads
            self._on_end(association)
            return False
        return True

    def _receive(self, identity: SpooledIdentity) -> Reception:
        return Reception(self._spool, identity, self._on_spooled)

    def _on_end(self, association: Association) -> None:
        assert self._seats is not None
        self._seats.leave(self._associations[association])
        del self._associations[association]  # last: what is not there, `stop` does not wait for
