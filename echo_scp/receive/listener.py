"""The listening AE: negotiation by pynetdicom, policy and store path ours, a stop that finishes what was begun."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

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
    """A C-STORE and C-ECHO SCP on one port. Any called AE title is accepted; `port` is the real one after `start`."""

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
        return int(self._server.server_address[1]) if self._server else self._config.port

    def start(self) -> None:
        """Bind and accept associations in threads of their own. Raises OSError when the port cannot be had."""
        address = (self._config.address, self._config.port)
        self._server = self._ae.make_server(address, evt_handlers=self._handlers(), server_class=_Server)
        self._accepting = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="receive-accept"
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
            (evt.EVT_CONN_CLOSE, lambda event: self._unanswered.discard(event.assoc)),
            (evt.EVT_ESTABLISHED, _note_association, ["accepted"]),
            (evt.EVT_REJECTED, _note_association, ["rejected"]),
            (evt.EVT_RELEASED, _note_association, ["released"]),
            (evt.EVT_ABORTED, _note_association, ["aborted"]),
        ]

    def _on_pdu_sent(self, event: Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            self._unanswered.discard(event.assoc)


class _Server(ThreadedAssociationServer):  # type: ignore[misc]
    """pynetdicom's server, with sockets made for small responses and peers that fall silent."""

    request_queue_size = 128

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection that answers at once and that no stalled peer can block for ever."""
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.ae.network_timeout)
        return connection, address

    def stop_accepting(self) -> None:
        """Close the port; unlike `shutdown`, which wants a server that AE.start_server made."""
        super(ThreadedAssociationServer, self).shutdown_request  # noqa: B018
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
    ae.add_supported_context(Verification)  # the storage contexts are added per association
    return ae
