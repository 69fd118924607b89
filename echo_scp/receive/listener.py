"""The listening AE: negotiation by pynetdicom, policy and store path ours, a stop that finishes what was begun."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, VerificationPresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from echo_scp import metrics
from echo_scp.config import ReceiveConfig
from echo_scp.receive import policy
from echo_scp.receive.store import handle_store
from echo_scp.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, Spool

log = structlog.get_logger(__name__)

_A_ABORT = bytes.fromhex("0700 00000004 0000 0000")  # source: service-user (PS3.8 9.3.8)
_POLL_S = 0.02
_JOIN_S = 10.0


class Listener:
    """A C-STORE and C-ECHO SCP on one port. Any called AE title is accepted."""

    def __init__(self, config: ReceiveConfig, spool: Spool, on_spooled: Callable[[], None]) -> None:
        """Make a listener that does not listen yet; `on_spooled` is called in association threads."""
        self._config = config
        self._spool = spool
        self._on_spooled = on_spooled
        self._ae = _application_entity(config)
        self._unanswered: set[Association] = set()
        self._server: _Server | None = None
        self._accepting: threading.Thread | None = None

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
        return int(self._server.server_address[1]) if self._server else self._config.port

    def start(self) -> None:
        """Bind and accept associations in threads of their own. Raises OSError when the port cannot be had."""
        address = (self._config.address, self._config.port)
        server = _Server(
            self._ae, address, self._config.ae_title, self._ae.supported_contexts, evt_handlers=self._handlers()
        )
        self._server = server
        self._accepting = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="receive-accept"
        )
        self._accepting.start()
        log.info("listener.started", ae_title=self._config.ae_title, address=address[0], port=self.port)

    def stop(self, grace_s: float = 5.0) -> None:
        """Stop accepting, give objects under way `grace_s` to be answered, end all associations and their threads.

        What an association has not been told is stored, its sender keeps and sends again.
        """
        if self._server is None or self._accepting is None:
            return
        self._server.stop_accepting()
        self._accepting.join()
        deadline = time.monotonic() + grace_s
        while any(map(self._is_busy, self._ae.active_associations)) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        associations = self._ae.active_associations
        for association in associations:
            _end(association)
        for association in associations:
            _join(association)
        self._server = self._accepting = None
        log.info("listener.stopped", ended_associations=len(associations))

    def _is_busy(self, association: Association) -> bool:
        """Say whether a message is partly here, or whole and without its response on the wire."""
        return association.dimse.message is not None or association in self._unanswered

    def _handlers(self) -> list[tuple[Any, ...]]:
        return [
            (evt.EVT_REQUESTED, _set_supported_contexts),
            (evt.EVT_SOP_COMMON, _set_storage_service),
            (evt.EVT_C_STORE, handle_store, [self._spool, self._on_spooled]),
            (evt.EVT_DIMSE_RECV, lambda event: self._unanswered.add(event.assoc)),
            (evt.EVT_PDU_SENT, self._on_pdu_sent),
            (evt.EVT_CONN_CLOSE, self._on_connection_closed),
            (evt.EVT_ESTABLISHED, _note_association, ["association.accepted"]),
            (evt.EVT_REJECTED, _note_association, ["association.rejected"]),
            (evt.EVT_RELEASED, _note_association, ["association.released"]),
            (evt.EVT_ABORTED, _note_association, ["association.aborted"]),
        ]

    def _on_pdu_sent(self, event: Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            self._unanswered.discard(event.assoc)

    def _on_connection_closed(self, event: Event) -> None:
        self._unanswered.discard(event.assoc)
        if event.assoc.requestor.primitive is None:
            # Else the thread of a port scan or health check waits on, and counts as an association, until it times out.
            event.assoc.dul.to_user_queue.put(None)


class _Connection(socket.socket):
    """A socket that acknowledges at once what was read from it.

    Some senders write the head of a PDU by itself, and then Nagle's algorithm keeps the rest until the head is
    acknowledged, which the kernel likes to delay by 40 ms (DCMTK's storescu, objects of 10 kB: 53 ms, with this 11 ms).
    """

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """Read as socket.recv does."""
        received = super().recv(size, flags)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # each time: the kernel forgets it
        return received


class _Server(ThreadedAssociationServer):
    """pynetdicom's server, with sockets made for small responses and peers that fall silent."""

    request_queue_size = 128

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection that answers at once and that no stalled peer can block for ever."""
        accepted, address = super().get_request()
        connection = _Connection(fileno=accepted.detach())
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.ae.network_timeout)
        return connection, address

    def stop_accepting(self) -> None:
        """Leave `serve_forever` and close the port (pynetdicom's `shutdown` is for servers of AE.start_server only)."""
        socketserver.BaseServer.shutdown(self)
        self.server_close()


def _application_entity(config: ReceiveConfig) -> AE:
    ae = AE(ae_title=config.ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = config.maximum_pdu_bytes
    ae.maximum_associations = config.maximum_associations
    ae.network_timeout = config.network_timeout_s
    ae.acse_timeout = config.network_timeout_s
    ae.dimse_timeout = config.network_timeout_s
    ae.supported_contexts = VerificationPresentationContexts  # the storage contexts are added per association
    return ae


def _set_supported_contexts(event: Event) -> None:
    event.assoc.acceptor.supported_contexts = policy.supported_contexts(event.assoc.requestor.requested_contexts)


def _set_storage_service(event: Event) -> dict[UID, SOPClassCommonExtendedNegotiation]:
    return policy.storage_service(event.assoc.requestor.requested_contexts)


def _note_association(event: Event, name: str) -> None:
    association = event.assoc
    metrics.ASSOCIATIONS.add(outcome=name.removeprefix("association."))
    log.info(
        name,
        calling_ae_title=association.requestor.ae_title,
        peer=association.requestor.address,
        accepted_contexts=len(association.accepted_contexts),
        refused_contexts=len(association.rejected_contexts),
    )


def _end(association: Association) -> None:
    """Abort without pynetdicom's state machine: its own abort waits for a peer that stalls inside a PDU."""
    connection = cast(AssociationSocket, association.dul.socket).socket
    if connection is not None:
        with suppress(OSError):  # the peer may have gone by itself
            if association.is_established:
                connection.sendall(_A_ABORT)
            connection.shutdown(socket.SHUT_RDWR)


def _join(association: Association) -> None:
    association.join(_JOIN_S)
    association.dul.join(_JOIN_S)
    if association.is_alive() or association.dul.is_alive():
        log.error("association.stuck", calling_ae_title=association.requestor.ae_title)
