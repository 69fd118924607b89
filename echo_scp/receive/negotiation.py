"""A-ASSOCIATE (PS3.8 9.3.2-9.3.4): pynetdicom reads the request and writes the answer, policy.py decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydicom.uid import UID
from pynetdicom._globals import APPLICATION_CONTEXT_NAME
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from echo_scp.receive import policy
from echo_scp.receive.request import understood
from echo_scp.receive.upper_layer import PDU_HEAD, ProtocolError
from echo_scp.spool import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

# Rejected transient, by the presentation service: local limit exceeded (PS3.8 Table 9-21).
NO_ROOM = PDU_HEAD.pack(0x03, 4) + bytes((0, 2, 3, 2))
# Rejected permanent, by the ACSE: protocol version not supported.
_WRONG_VERSION = PDU_HEAD.pack(0x03, 4) + bytes((0, 1, 2, 2))

_REMEMBERED_BYTES = 32 * 1024  # no peer needs more; what one sends does not fill our memory


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides know after the A-ASSOCIATE-AC; `contexts` maps accepted context IDs to transfer syntaxes."""

    calling_ae_title: str
    called_ae_title: str
    contexts: Mapping[int, str]
    refused_contexts: int
    peer_maximum_pdu_bytes: int  # 0: any


class RejectionError(Exception):
    """An association that is not accepted; `pdu` is the A-ASSOCIATE-RJ that says so."""

    def __init__(self, calling_ae_title: str, pdu: bytes) -> None:
        super().__init__(calling_ae_title)
        self.calling_ae_title = calling_ae_title
        self.pdu = pdu


def not_recognised(reason: int) -> bytes:
    """Encode an A-ASSOCIATE-RJ: rejected permanent, by the service user (PS3.8 Table 9-21)."""
    return PDU_HEAD.pack(0x03, 4) + bytes((0, 1, 1, reason))


def negotiate(request: bytes, maximum_pdu_bytes: int) -> tuple[Agreement, bytes]:
    """Read an A-ASSOCIATE-RQ; return what is agreed and the A-ASSOCIATE-AC.

    A machine proposes the same each time, and for 128 contexts pynetdicom takes as long as ten clips do: what came of
    the last requests is remembered. Raises RejectionError, and ProtocolError for what is not an A-ASSOCIATE-RQ.
    """
    read = _negotiated if len(request) <= _REMEMBERED_BYTES else _negotiated.__wrapped__
    return read(request, maximum_pdu_bytes)


@lru_cache(maxsize=32)
def _negotiated(request: bytes, maximum_pdu_bytes: int) -> tuple[Agreement, bytes]:
    try:
        proposal = _read(request)
        results, role_items = _decide(proposal)
        answer = _answer(proposal, results, [*_about_us(maximum_pdu_bytes), *role_items])
        return _agreement(proposal, results), A_ASSOCIATE_AC(answer).encode()
    except (RejectionError, ProtocolError):
        raise
    except Exception as error:  # the border to pynetdicom's parser, which raises what it likes
        raise ProtocolError(f"the A-ASSOCIATE-RQ cannot be read: {type(error).__name__}") from error


def _read(request: bytes) -> A_ASSOCIATE:
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(understood(request))
    if not pdu.protocol_version & 1:  # PS3.8 Table 9-11: each bit a version, ours is bit 0
        raise RejectionError(pdu.calling_ae_title, _WRONG_VERSION)
    return pdu.to_primitive()


def _decide(proposal: A_ASSOCIATE) -> tuple[list[PresentationContext], list[SCP_SCU_RoleSelectionNegotiation]]:
    roles = {
        cast(UID, item.sop_class_uid): (item.scu_role, item.scp_role)
        for item in _items(proposal, SCP_SCU_RoleSelectionNegotiation)
    }
    proposed = proposal.presentation_context_definition_list
    results, role_items = negotiate_as_acceptor(proposed, policy.supported_contexts(proposed), roles)
    return sorted(results, key=lambda context: bool(context.result)), role_items


def _agreement(proposal: A_ASSOCIATE, results: list[PresentationContext]) -> Agreement:
    accepted = {cast(int, item.context_id): str(item.transfer_syntax[0]) for item in results if item.result == 0}
    lengths = [item.maximum_length_received for item in _items(proposal, MaximumLengthNotification)]
    return Agreement(
        calling_ae_title=proposal.calling_ae_title,
        called_ae_title=proposal.called_ae_title,
        contexts=accepted,
        refused_contexts=len(results) - len(accepted),
        peer_maximum_pdu_bytes=lengths[0] if lengths else 0,
    )


def _answer(proposal: A_ASSOCIATE, results: list[PresentationContext], user_information: list[Any]) -> A_ASSOCIATE:
    answer = A_ASSOCIATE()
    answer.application_context_name = UID(APPLICATION_CONTEXT_NAME)
    answer.calling_ae_title = proposal.calling_ae_title
    answer.called_ae_title = proposal.called_ae_title
    answer.result = 0x00
    answer.result_source = 0x01
    answer.presentation_context_definition_results_list = results
    if _items(proposal, AsynchronousOperationsWindowNegotiation):
        user_information = [*user_information, _one_operation()]
    answer.user_information = user_information
    return answer


def _about_us(maximum_pdu_bytes: int) -> list[Any]:
    length = MaximumLengthNotification()
    length.maximum_length_received = maximum_pdu_bytes
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    return [length, implementation, version]


def _one_operation() -> AsynchronousOperationsWindowNegotiation:
    """Answer a proposal of more operations at once: one (PS3.7 D.3.3.3)."""
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 1
    window.maximum_number_operations_performed = 1
    return window


def _items(proposal: A_ASSOCIATE, kind: type[_T]) -> list[_T]:
    return [item for item in proposal.user_information if isinstance(item, kind)]
