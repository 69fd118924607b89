"""C-STORE SCU: one Part-10 file to one destination."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from pydicom import Dataset, dcmread
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, VerificationPresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS, code_to_category
from pynetdicom.transport import AssociationSocket

from echo_scp.config import Destination
from echo_scp.errors import DestinationRefusedError, DestinationUnreachableError
from echo_scp.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_SUCCESS = 0x0000
_UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """The destination has the object: its status, and the meaning of that status when it is a warning, else ''."""

    status: int
    warning: str


def send(path: Path, destination: Destination, calling_ae_title: str, timeout_s: float) -> DeliveryOutcome:
    """Send one object and return when the destination has taken it, with or without a warning (PS3.4 B.2.3).

    Raises DestinationUnreachableError (no association, or no answer) or DestinationRefusedError (no presentation
    context, or a failure status).
    """
    data_set = dcmread(path)
    contexts = _contexts(data_set.SOPClassUID, data_set.file_meta.TransferSyntaxUID)
    with _associate(destination, calling_ae_title, timeout_s, contexts) as association:
        response = association.send_c_store(data_set)
    return _outcome(destination, response)


def echo(destination: Destination, calling_ae_title: str, timeout_s: float) -> None:
    """Verify that the destination answers (C-ECHO). Raises like `send`."""
    with _associate(destination, calling_ae_title, timeout_s, VerificationPresentationContexts) as association:
        response = association.send_c_echo()
    _outcome(destination, response)


def accepted_sop_classes(
    destination: Destination, calling_ae_title: str, timeout_s: float, sop_class_uids: Iterable[str]
) -> frozenset[str]:
    """Ask which of these SOP classes the destination accepts; nothing is sent. Raises DestinationUnreachableError."""
    contexts = [build_context(uid, list(_UNCOMPRESSED)) for uid in sop_class_uids]
    try:
        with _associate(destination, calling_ae_title, timeout_s, contexts) as association:
            return frozenset(str(context.abstract_syntax) for context in association.accepted_contexts)
    except DestinationRefusedError:  # none of them
        return frozenset()


def _contexts(sop_class_uid: UID, transfer_syntax_uid: UID) -> list[PresentationContext]:
    """Propose the stored encoding and, in a context of its own, those it can be rewritten to without decoding pixels.

    Two contexts, because of several syntaxes in one the acceptor chooses: this way an exact one is used if it may be.
    """
    contexts = [build_context(sop_class_uid, transfer_syntax_uid)]
    if transfer_syntax_uid in (*_UNCOMPRESSED, DeflatedExplicitVRLittleEndian):
        others: list[str | UID] = [uid for uid in _UNCOMPRESSED if uid != transfer_syntax_uid]
        contexts.append(build_context(sop_class_uid, others))
    return contexts


@contextmanager
def _associate(
    destination: Destination, calling_ae_title: str, timeout_s: float, contexts: list[PresentationContext]
) -> Iterator[Association]:
    """Yield an established association with at least one accepted context; release it, and wait for its threads."""
    ae = AE(ae_title=calling_ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    try:
        association = ae.associate(
            destination.host,
            destination.port,
            contexts=contexts,
            ae_title=destination.ae_title,
            evt_handlers=[(evt.EVT_CONN_OPEN, _prepare_socket)],
        )
    except OSError as error:  # the host has no address
        raise DestinationUnreachableError(destination.name, f"{destination.host}: {error}") from error
    try:
        _require_established(association, destination)
        yield association
    finally:
        association.release()
        _join(association)


def _prepare_socket(event: Event) -> None:
    connection = cast(socket.socket, cast(AssociationSocket, event.assoc.dul.socket).socket)
    # Else the kernel holds back the end of an object until the peer acknowledges its beginning.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # pynetdicom's own timeouts do not end the wait for the rest of a PDU.
    connection.settimeout(event.assoc.network_timeout)


def _require_established(association: Association, destination: Destination) -> None:
    if association.is_established:
        return
    # pynetdicom can mistake a rejection that comes at once for a failed connection: it is then still in the queue.
    answer = association.acceptor.primitive or association.dul.peek_next_pdu()
    if isinstance(answer, A_ASSOCIATE) and answer.result:
        raise DestinationUnreachableError(destination.name, f"association rejected: {answer.reason_str}")
    if association.rejected_contexts:
        name = cast(UID, association.rejected_contexts[0].abstract_syntax).name
        raise DestinationRefusedError(destination.name, f"does not accept {name}")
    raise DestinationUnreachableError(
        destination.name, f"no association with {destination.ae_title}@{destination.host}:{destination.port}"
    )


def _outcome(destination: Destination, response: Dataset) -> DeliveryOutcome:
    """Judge a response: any status of the category Warning means that the object was taken (PS3.7 C)."""
    status = response.get("Status")
    if status is None:
        raise DestinationUnreachableError(destination.name, "no answer: the association was aborted or timed out")
    if status == _SUCCESS:
        return DeliveryOutcome(status, "")
    meaning = _meaning(response)
    if code_to_category(status) == "Warning":
        return DeliveryOutcome(status, meaning)
    raise DestinationRefusedError(destination.name, f"status 0x{status:04X}: {meaning}", status)


def _meaning(response: Dataset) -> str:
    """Say what a status means: the standard's words, then the destination's own (0000,0902) if it gave any."""
    category, words = STORAGE_SERVICE_CLASS_STATUS.get(
        response.Status, (code_to_category(response.Status), "not defined for storage")
    )
    comment = response.get("ErrorComment")
    return f"{category}, {words}" + (f" ({comment})" if comment else "")


def _join(association: Association) -> None:
    for thread in (association, association.dul):
        if thread.is_alive():
            thread.join()
