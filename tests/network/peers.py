"""Scripted peers that write their own PDUs, whole, in part or wrong."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence

US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3.1"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
DATA_SET = b"\x08\x00\x18\x00\x06\x00\x00\x001.2.3\x00"  # (0008,0018) 1.2.3, Implicit VR Little Endian

Context = tuple[int, str, str]  # ID, abstract syntax, transfer syntax
ONE_CONTEXT: tuple[Context, ...] = ((1, US_MULTI_FRAME, IMPLICIT),)


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_request(
    contexts: Sequence[Context] = ONE_CONTEXT,
    *,
    calling: bytes = b"CART",
    called: bytes = b"ECHO_SCP",
    maximum_pdu_bytes: int = 16384,
    extra_user_items: bytes = b"",
    version: int = 1,
) -> bytes:
    """Encode an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    items = item(0x10, b"1.2.840.10008.3.1.1.1")
    for context_id, abstract_syntax, transfer_syntax in contexts:
        syntaxes = item(0x30, abstract_syntax.encode()) + item(0x40, transfer_syntax.encode())
        items += item(0x20, bytes((context_id, 0, 0, 0)) + syntaxes)
    user = item(0x51, struct.pack(">L", maximum_pdu_bytes)) + item(0x52, b"1.2.3.4") + extra_user_items
    titles = called.ljust(16) + calling.ljust(16)
    return pdu(0x01, struct.pack(">HH", version, 0) + titles + bytes(32) + items + item(0x50, user))


def element(number: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, number, len(value)) + value


def ui(text: str | bytes) -> bytes:
    value = text.encode() if isinstance(text, str) else text
    return value + b"\0" * (len(value) % 2)


def command_set(
    uid: str | bytes = "1.2.3",
    sop_class_uid: str | bytes = US_MULTI_FRAME,
    *,
    field: int = 0x0001,
    message_id: int = 1,
    data_set_type: int = 1,
) -> bytes:
    """Encode a request's command set, by default of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    elements = (
        element(0x0002, ui(sop_class_uid))
        + element(0x0100, struct.pack("<H", field))
        + element(0x0110, struct.pack("<H", message_id))
        + element(0x0700, b"\0\0")
        + element(0x0800, struct.pack("<H", data_set_type))
        + element(0x1000, ui(uid))
    )
    return element(0, struct.pack("<L", len(elements))) + elements


def pdv(content: bytes, control: int, context_id: int = 1) -> bytes:
    """Encode a presentation data value; control 0: data set, 2: its last, 1: command set, 3: its last."""
    return struct.pack(">LBB", len(content) + 2, context_id, control) + content


def fragment(content: bytes, control: int, context_id: int = 1) -> bytes:
    """Encode a P-DATA-TF with one presentation data value."""
    return pdu(0x04, pdv(content, control, context_id))


def command(uid: str | bytes = "1.2.3", context_id: int = 1) -> bytes:
    """Encode a C-STORE-RQ command set, all of it in one P-DATA-TF."""
    return fragment(command_set(uid), 3, context_id)


A_ABORT = pdu(0x07, bytes(4))
A_RELEASE_RQ = pdu(0x05, bytes(4))
A_RELEASE_RP = pdu(0x06, bytes(4))
HALF_AN_OBJECT = command() + fragment(bytes(10_000), control=0)
AN_OBJECT = command() + fragment(DATA_SET, control=2)


def connect(port: int, request: bytes | None = None, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection with an accepted association."""
    connection = dial(port, source)
    connection.sendall(associate_request() if request is None else request)
    answer = receive_pdu(connection)
    assert answer[:1] == b"\x02", answer
    return connection


def dial(port: int, source: str = "127.0.0.1") -> socket.socket:
    """Return a connection that has said nothing yet."""
    return socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))


def receive_pdu(connection: socket.socket) -> bytes:
    """Return the next PDU, or b'' when the peer closed."""
    try:
        header = _receive(connection, 6)
        return header and header + _receive(connection, struct.unpack(">L", header[2:])[0])
    except ConnectionResetError:
        return b""


def _receive(connection: socket.socket, count: int) -> bytes:
    """Return `count` bytes, or b'' when the peer closed before; MSG_WAITALL is not for TLS."""
    received = b""
    while len(received) < count:
        piece = connection.recv(count - len(received))
        if not piece:
            return b""
        received += piece
    return received


def status(response: bytes) -> int:
    """Return the status of a response PDU."""
    elements = response[12:]
    while elements:
        _, number, length = struct.unpack_from("<HHL", elements)
        if number == 0x0900:
            return int.from_bytes(elements[8 : 8 + length], "little")
        elements = elements[8 + length :]
    raise AssertionError("no status")
