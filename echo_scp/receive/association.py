"""One association, from its request to its end, in a thread of its own that waits in the kernel."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from echo_scp import metrics
from echo_scp.commitment import CommitmentDesk
from echo_scp.config import ReceiveConfig
from echo_scp.procedure_step import StepDesk
from echo_scp.receive.dimse import DimseProvider
from echo_scp.receive.negotiation import Agreement, RejectionError, negotiate
from echo_scp.receive.services import Services
from echo_scp.receive.store import Reception
from echo_scp.receive.upper_layer import (
    TRANSITIONS,
    AbortReason,
    AbortSource,
    Event,
    ProtocolError,
    State,
    UpperLayer,
    abort_pdu,
    await_close,
)
from echo_scp.spool import SpooledIdentity

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desks:
    """Where what a peer sends is kept; `receive` begins an object."""

    receive: Callable[[SpooledIdentity], Reception]
    commitments: CommitmentDesk
    steps: StepDesk


class Association:
    """What one peer and this node do together."""

    def __init__(
        self,
        connection: socket.socket,
        address: str,
        config: ReceiveConfig,
        desks: Desks,
        on_end: Callable[[Association], None],
    ) -> None:
        """Own `connection`; `on_end` is called last, in the association's thread."""
        self._connection = connection
        self._address = address
        self._config = config
        self._desks = desks
        self._on_end = on_end
        self._dimse: DimseProvider | None = None
        self._thread = threading.Thread(target=self._run, name=f"association-{address}", daemon=True)
        self._request = b""

    @property
    def is_busy(self) -> bool:
        """Say whether a message is here in part, or whole and not answered."""
        return self._dimse is not None and self._dimse.is_busy

    def start(self, request: bytes) -> None:
        """Answer the A-ASSOCIATE-RQ and go on, in a thread. Raises RuntimeError when there can be no thread."""
        self._request = request
        self._thread.start()

    def abort(self) -> None:
        """End the association from another thread; its own one ends soon after."""
        with suppress(OSError):  # the peer may have gone by itself
            # A TLS connection is its own thread's alone, also for writing.
            if self._dimse is not None and not isinstance(self._connection, ssl.SSLSocket):
                self._connection.send(abort_pdu(AbortSource.SERVICE_USER), socket.MSG_DONTWAIT)
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; say whether it ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            _prepare(self._connection, self._config.network_timeout_s)
            state = self._serve()
            if state is State.AWAITING_CLOSE:
                await_close(self._connection)
        except OSError as error:  # the network's: of the disk's the sender was told
            log.info("connection.lost", peer=self._address, detail=str(error))
        except Exception:  # the thread's edge
            log.exception("association.failed", peer=self._address)
        finally:
            if self._dimse is not None:
                self._dimse.close()
            self._connection.close()
            self._on_end(self)

    def _serve(self) -> State:
        """Negotiate (PS3.8 AE-6 to AE-8) and serve; return the state at the end."""
        request, self._request = self._request, b""
        try:
            agreement, accept = negotiate(request, self._config.maximum_pdu_bytes)
        except RejectionError as rejection:
            _, state = TRANSITIONS[State.AWAITING_RESPONSE, Event.REJECTED]
            self._note("rejected", rejection.calling_ae_title)
            self._connection.sendall(rejection.pdu)
            return state
        except ProtocolError as error:
            _, state = TRANSITIONS[State.AWAITING_RESPONSE, Event.INVALID_PDU]
            log.info("connection.aborted", peer=self._address, reason=str(error))
            self._connection.sendall(abort_pdu(AbortSource.SERVICE_PROVIDER, AbortReason.INVALID_PARAMETER))
            return state
        self._note("accepted", agreement.calling_ae_title, agreement)
        self._connection.sendall(accept)
        return self._exchange(agreement)

    def _exchange(self, agreement: Agreement) -> State:
        services = Services(agreement, self._desks.commitments, self._desks.steps)
        self._dimse = DimseProvider(agreement, self._connection.sendall, self._desks.receive, services)
        upper_layer = UpperLayer(
            self._connection,
            self._dimse,
            self._config.maximum_pdu_bytes,
            self._config.network_timeout_s,
            self._dimse.speak,
        )
        end = Event.ABORT_WANTED
        try:
            end = upper_layer.serve()
        except Exception:
            with suppress(OSError):
                self._connection.sendall(abort_pdu(AbortSource.SERVICE_USER))
            raise
        finally:
            outcome = "released" if end is Event.RELEASE_RQ_RECEIVED else "aborted"
            self._note(outcome, agreement.calling_ae_title, agreement)
        return upper_layer.state

    def _note(self, outcome: str, calling_ae_title: str, agreement: Agreement | None = None) -> None:
        metrics.ASSOCIATIONS.add(outcome=outcome)
        log.info(
            f"association.{outcome}",
            calling_ae_title=calling_ae_title,
            peer=self._address,
            accepted_contexts=len(agreement.contexts) if agreement else 0,
            refused_contexts=agreement.refused_contexts if agreement else 0,
        )


def _prepare(connection: socket.socket, timeout_s: float) -> None:
    """Make reads and writes wait in the kernel, at most `timeout_s`: Python's own timeout is one more call for each.

    TLS has to use that one: a kernel's timeout it takes for a reason to read on.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(timeout_s)
        return
    connection.setblocking(True)
    duration = struct.pack("@ll", int(timeout_s), int(timeout_s % 1 * 1_000_000))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, duration)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, duration)
