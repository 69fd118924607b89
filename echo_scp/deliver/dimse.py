"""C-STORE SCU: Part-10 files to one destination, over one association, with or without TLS."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, VerificationPresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.transport import AssociationSocket

from echo_scp.config import Destination
from echo_scp.deliver.answers import keep_answers
from echo_scp.deliver.outcome import DeliveryOutcome, Offer, comment_of, judge, offer_of
from echo_scp.deliver.tls import tls_context
from echo_scp.errors import DestinationUnreachableError, NoAnswerError, ObjectNotSupportedError
from echo_scp.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MAXIMUM_PDU_BYTES = 16382  # of what a destination may send us: answers
_UNCOMPRESSED = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


class DimseSender:
    """An association, or the knowledge that the destination takes nothing of what was proposed to it."""

    def __init__(self, destination: Destination, offers: frozenset[Offer], association: Association | None) -> None:
        self._destination = destination
        self._offers = offers
        self._association = association

    def takes(self, path: Path) -> bool:
        """Tell whether the object was proposed on the association, and the association stands."""
        stands = self._association is None or self._association.is_established
        return stands and offer_of(path) in self._offers

    def send(self, path: Path) -> DeliveryOutcome:
        """Send one object by C-STORE (PS3.4 B.2.3). Raises as Sender says."""
        data_set = dcmread(path)
        if self._association is None:
            raise ObjectNotSupportedError(self._destination.name, _not_accepted(data_set))
        try:
            response = self._association.send_c_store(data_set)
        except RuntimeError as error:  # the association ended while we read the file
            raise _no_answer(self._destination) from error
        except ValueError as error:  # no accepted context fits
            raise ObjectNotSupportedError(self._destination.name, _not_accepted(data_set)) from error
        return _outcome(self._destination, response)


@contextmanager
def dimse_sender(
    destination: Destination, calling_ae_title: str, timeout_s: float, paths: Iterable[Path]
) -> Iterator[DimseSender]:
    """Associate for the objects in `paths`, at most 64 kinds of them (PS3.8 9.3.2.2: 128 presentation contexts).

    Raises DestinationUnreachableError.
    """
    offers = frozenset(offer_of(path) for path in paths)
    contexts = [context for offer in sorted(offers, key=str) for context in _contexts(offer)]
    with associate(destination, calling_ae_title, timeout_s, contexts) as association:
        yield DimseSender(destination, offers, association)


def send(path: Path, destination: Destination, calling_ae_title: str, timeout_s: float) -> DeliveryOutcome:
    """Send one object on an association of its own. Raises as Sender says."""
    with dimse_sender(destination, calling_ae_title, timeout_s, [path]) as sender:
        return sender.send(path)


def echo(destination: Destination, calling_ae_title: str, timeout_s: float) -> None:
    """Verify that the destination answers (C-ECHO). Raises like `send`."""
    with associate(destination, calling_ae_title, timeout_s, VerificationPresentationContexts) as association:
        if association is None:
            raise ObjectNotSupportedError(destination.name, "does not accept Verification SOP Class")
        response = association.send_c_echo()
    _outcome(destination, response)


def accepted_sop_classes(
    destination: Destination, calling_ae_title: str, timeout_s: float, offers: Iterable[Offer]
) -> frozenset[str]:
    """Ask of which offers the destination accepts the SOP class, proposed as for sending; nothing is sent.

    Raises DestinationUnreachableError.
    """
    contexts = [context for offer in dict.fromkeys(offers) for context in _contexts(offer)]
    with associate(destination, calling_ae_title, timeout_s, contexts) as association:
        accepted = () if association is None else association.accepted_contexts
        return frozenset(str(context.abstract_syntax) for context in accepted)


def _not_accepted(data_set: Dataset) -> str:
    """Name the encoding too: often it is what a destination does not take."""
    return f"does not accept {data_set.SOPClassUID.name} ({data_set.file_meta.TransferSyntaxUID.name})"


def proposed_syntaxes(stored_in: str) -> tuple[tuple[str, ...], ...]:
    """Return the transfer syntaxes of each presentation context that is proposed for an object.

    The stored encoding and, in a context of its own, those it can be rewritten to without decoding pixels: of several
    syntaxes in one context the acceptor chooses, and this way the exact one is used if it may be.
    """
    if stored_in not in (*_UNCOMPRESSED, DeflatedExplicitVRLittleEndian):
        return ((stored_in,),)
    return (stored_in,), tuple(str(uid) for uid in _UNCOMPRESSED if uid != stored_in)


def _contexts(offer: Offer) -> list[PresentationContext]:
    syntaxes = proposed_syntaxes(offer.transfer_syntax_uid)
    return [build_context(offer.sop_class_uid, list(each)) for each in syntaxes]


@contextmanager
def associate(
    destination: Destination,
    calling_ae_title: str,
    timeout_s: float,
    contexts: list[PresentationContext],
    handlers: Iterable[tuple[Any, ...]] = (),
    *,
    roles: Iterable[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association | None]:
    """Yield an established association, or None when the peer accepts no context; release it, wait for its threads.

    `roles` are proposed (PS3.7 D.3.3.4). Raises DestinationUnreachableError.
    """
    ae = AE(ae_title=calling_ae_title)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = MAXIMUM_PDU_BYTES
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = timeout_s
    tls = (tls_context(destination), destination.host) if destination.tls else None
    try:
        association = ae.associate(
            destination.host,
            destination.port,
            contexts=contexts,
            ae_title=destination.ae_title,
            ext_neg=list(roles),
            evt_handlers=[(evt.EVT_CONN_OPEN, _prepare_socket), (evt.EVT_CONN_OPEN, keep_answers), *handlers],
            tls_args=tls,
        )
    except OSError as error:  # the host has no address
        raise DestinationUnreachableError(destination.name, f"{destination.host}: {error}") from error
    try:
        yield association if _is_established(association, destination) else None
    finally:
        association.release()
        _join(association)


def _prepare_socket(event: Event) -> None:
    connection = cast(socket.socket, cast(AssociationSocket, event.assoc.dul.socket).socket)
    # Else the kernel holds back the end of an object until the peer acknowledges its beginning.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # pynetdicom's own timeouts do not end the wait for the rest of a PDU.
    connection.settimeout(event.assoc.network_timeout)


def _is_established(association: Association, destination: Destination) -> bool:
    """Return False when the peer accepted the association and none of its contexts."""
    if association.is_established:
        return True
    # pynetdicom can mistake a rejection that comes at once for a failed connection: it is then still in the queue.
    answer = association.acceptor.primitive or association.dul.peek_next_pdu()
    if isinstance(answer, A_ASSOCIATE) and answer.result:
        raise DestinationUnreachableError(destination.name, f"association rejected: {answer.reason_str}")
    if association.rejected_contexts:
        return False
    raise DestinationUnreachableError(
        destination.name, f"no association with {destination.ae_title}@{destination.host}:{destination.port}"
    )


def _outcome(destination: Destination, response: Dataset) -> DeliveryOutcome:
    status = response.get("Status")
    if status is None:
        raise _no_answer(destination)
    return judge(destination, int(status), comment_of(response))


def _no_answer(destination: Destination) -> NoAnswerError:
    return NoAnswerError(destination.name, "no answer: the association was aborted or timed out")


def _join(association: Association) -> None:
    for thread in (association, association.dul):
        if thread.is_alive():
            thread.join()
