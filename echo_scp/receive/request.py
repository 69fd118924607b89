"""The bytes of an A-ASSOCIATE-RQ (PS3.8 9.3.2) before pynetdicom reads them: who calls, and what of it is read."""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator

from echo_scp.receive.upper_layer import PDU_HEAD, ProtocolError

# 128 contexts with 40 transfer syntaxes each are half of this.
MAXIMUM_REQUEST_BYTES = 256 * 1024

_FIXED_BYTES = 68  # behind the head of the PDU (Table 9-11)
_ITEMS_START = PDU_HEAD.size + _FIXED_BYTES
_CALLED_AE_TITLE, _CALLING_AE_TITLE = slice(10, 26), slice(26, 42)
_ITEM_HEAD = struct.Struct(">BxH")  # type, length
_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT, _USER_INFORMATION = 0x10, 0x20, 0x50
_ITEMS = frozenset({_APPLICATION_CONTEXT, _PRESENTATION_CONTEXT, _USER_INFORMATION})
# Maximum length, asynchronous operations window, role selection (PS3.8 D.1, PS3.7 D.3.3).
_USER_ITEMS = frozenset({0x51, 0x53, 0x54})


def is_acceptable_length(length: int) -> bool:
    """Say whether an A-ASSOCIATE-RQ may be this long, before memory is taken for it."""
    return _FIXED_BYTES <= length <= MAXIMUM_REQUEST_BYTES


def ae_titles(request: bytes) -> tuple[str, str]:
    """Return the calling and the called AE title, without reading the rest."""
    return _title(request[_CALLING_AE_TITLE]), _title(request[_CALLED_AE_TITLE])


def understood(request: bytes) -> bytes:
    """Return the request with the items that mean something to us: all others are skipped (PS3.8 9.3.1, D.2).

    That goes for what a later edition or a vendor adds, and for what we would not use: the name that a peer gives its
    version, or who its user is, can then be written as badly as it likes. NULs that pad an AE title become spaces.
    Raises ProtocolError when an item does not end where it should.
    """
    items = b"".join(
        _item(kind, _only(content, _USER_ITEMS) if kind == _USER_INFORMATION else content)
        for kind, content in _items(request[_ITEMS_START:])
        if kind in _ITEMS
    )
    fixed = bytearray(request[:_ITEMS_START])
    for title in (_CALLED_AE_TITLE, _CALLING_AE_TITLE):
        fixed[title] = fixed[title].replace(b"\0", b" ")
    return PDU_HEAD.pack(request[0], _FIXED_BYTES + len(items)) + bytes(fixed[PDU_HEAD.size :]) + items


def _only(content: bytes, kinds: Container[int]) -> bytes:
    return b"".join(_item(kind, value) for kind, value in _items(content) if kind in kinds)


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each item."""
    position = 0
    while position < len(content):
        if position + _ITEM_HEAD.size > len(content):
            raise ProtocolError("the A-ASSOCIATE-RQ ends within an item")
        kind, length = _ITEM_HEAD.unpack_from(content, position)
        position += _ITEM_HEAD.size + length
        if position > len(content):
            raise ProtocolError("an item is longer than the A-ASSOCIATE-RQ")
        yield kind, content[position - length : position]


def _item(kind: int, content: bytes) -> bytes:
    return _ITEM_HEAD.pack(kind, len(content)) + content


def _title(field: bytes) -> str:
    return field.decode("ascii", "replace").strip(" \0")
