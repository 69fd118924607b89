"""The command sets of a C-STORE, read and written without a data set object (PS3.7 6.3.1, 9.3.1)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from echo_scp.receive.upper_layer import ProtocolError

C_STORE_RQ = 0x0001
MAXIMUM_COMMAND_BYTES = 65536  # a C-STORE-RQ has about 200

_ELEMENT = struct.Struct("<HHL")  # Implicit VR Little Endian, always
_SHORT = struct.Struct("<HHLH")
_NO_DATA_SET = 0x0101
_CLASS_UID, _FIELD, _MESSAGE_ID, _DATA_SET_TYPE, _INSTANCE_UID = 0x0002, 0x0100, 0x0110, 0x0800, 0x1000


class Command(NamedTuple):
    """What the store path needs of a command set; UIDs are what was sent, without their padding."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: bytes
    sop_instance_uid: bytes


def read_command(encoded: bytes) -> Command:
    """Read a command set; of an element that comes twice the last counts. Raises ProtocolError."""
    values: dict[int, bytes] = {}
    position = 0
    while position < len(encoded):
        if position + _ELEMENT.size > len(encoded):
            raise ProtocolError("the command set ends within an element")
        group, element, length = _ELEMENT.unpack_from(encoded, position)
        position += _ELEMENT.size + length
        if position > len(encoded):
            raise ProtocolError("an element is longer than the command set")
        if group == 0:
            values[element] = encoded[position - length : position]
    return Command(
        _number(values, _FIELD),
        _number(values, _MESSAGE_ID, 0),
        _number(values, _DATA_SET_TYPE) != _NO_DATA_SET,
        _uid(values, _CLASS_UID),
        _uid(values, _INSTANCE_UID),
    )


def store_response(request: Command, status: int) -> bytes:
    """Encode the C-STORE-RSP to `request` (PS3.7 9.3.1.2)."""
    elements = b"".join(
        (
            _uid_element(_CLASS_UID, request.sop_class_uid),
            _SHORT.pack(0, _FIELD, 2, C_STORE_RQ | 0x8000),
            _SHORT.pack(0, 0x0120, 2, request.message_id),
            _SHORT.pack(0, _DATA_SET_TYPE, 2, _NO_DATA_SET),
            _SHORT.pack(0, 0x0900, 2, status),
            _uid_element(_INSTANCE_UID, request.sop_instance_uid),
        )
    )
    return struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements


def _number(values: dict[int, bytes], element: int, default: int | None = None) -> int:
    value = values.get(element)
    if value is None and default is not None:
        return default
    if value is None or len(value) < 2:
        raise ProtocolError(f"the command set has no (0000,{element:04X})")
    return int.from_bytes(value[:2], "little")


def _uid(values: dict[int, bytes], element: int) -> bytes:
    """Return a UID without padding; of several values, which is wrong, the first."""
    return values.get(element, b"").partition(b"\\")[0].rstrip(b"\0 ")


def _uid_element(element: int, uid: bytes) -> bytes:
    padded = uid + b"\0" * (len(uid) % 2)
    return _ELEMENT.pack(0, element, len(padded)) + padded
