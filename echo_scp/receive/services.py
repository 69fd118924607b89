"""Every request but C-STORE: decoded, answered and encoded with pynetdicom's messages.

A service is a function from a request primitive to its response; to add one is to add a row to `_SERVICES`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynetdicom.dimse import _RSP_TO_MESSAGE
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO
from pynetdicom.pdu_primitives import P_DATA

from echo_scp.receive.status import Status
from echo_scp.receive.upper_layer import ProtocolError, p_data_pdus

MAXIMUM_DATA_SET_BYTES = 1024 * 1024
_LAST_OF_COMMAND, _LAST_OF_DATA_SET = 3, 2

Primitive = Any  # one of pynetdicom.dimse_primitives


def answer(context_id: int, command: bytes, data_set: bytes, maximum_pdu_bytes: int) -> bytes:
    """Serve a request; return the PDUs of its response, none for what has no response. Raises ProtocolError."""
    request = _decode(context_id, command, data_set)
    if isinstance(request, C_CANCEL):
        return b""  # of an operation that is over: each is answered before the next message is read
    if not request.is_valid_request:
        raise ProtocolError(f"{request.msg_type} is no complete request")
    response = _SERVICES.get(type(request), _unrecognised)(request)
    response.MessageIDBeingRespondedTo = request.MessageID
    message = _RSP_TO_MESSAGE[type(response)]()
    message.primitive_to_message(response)
    pdus = b""
    for primitive in message.encode_msg(context_id, 0):
        for _, fragment in primitive.presentation_data_value_list:
            pdus += p_data_pdus(context_id, fragment[0], fragment[1:], maximum_pdu_bytes)
    return pdus


def _decode(context_id: int, command: bytes, data_set: bytes) -> Primitive:
    fragments = P_DATA()
    values = fragments.presentation_data_value_list
    values.append((context_id, bytes((_LAST_OF_COMMAND,)) + command))
    if data_set:
        values.append((context_id, bytes((_LAST_OF_DATA_SET,)) + data_set))
    message = DIMSEMessage()
    try:
        message.decode_msg(fragments)
        return message.message_to_primitive()
    except Exception as error:  # the border to pynetdicom's parser, which raises what it likes
        raise ProtocolError(f"the command set cannot be read: {type(error).__name__}") from error


def _verify(request: C_ECHO) -> C_ECHO:
    """Answer a C-ECHO (PS3.4 A.4)."""
    response = C_ECHO()
    response.AffectedSOPClassUID = request.AffectedSOPClassUID
    response.Status = Status.SUCCESS
    return response


def _unrecognised(request: Primitive) -> Primitive:
    response = type(request)()
    response.Status = Status.UNRECOGNISED_OPERATION
    return response


_SERVICES: dict[type, Callable[[Primitive], Primitive]] = {C_ECHO: _verify}
