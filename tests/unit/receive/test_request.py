"""What of an A-ASSOCIATE-RQ is read: what means nothing to us ends no association."""

from __future__ import annotations

import struct

import pytest

from echo_scp.receive.negotiation import negotiate
from echo_scp.receive.request import ae_titles
from echo_scp.receive.upper_layer import ProtocolError
from tests.network.peers import US_MULTI_FRAME, associate_request, item

VERSION_NAME, EXTENDED, COMMON_EXTENDED, IDENTITY = 0x55, 0x56, 0x57, 0x58
MAXIMUM_PDU_BYTES = 65536


def with_item(content: bytes) -> bytes:
    """Return a request with an item of its own behind the others."""
    request = associate_request() + content
    return request[:2] + struct.pack(">L", len(request) - 6) + request[6:]


@pytest.mark.parametrize(
    "user_item",
    [
        item(0x5F, b"of a later edition"),
        item(VERSION_NAME, b"longer than sixteen characters"),
        item(VERSION_NAME, "Gerät".encode("latin-1")),
        item(EXTENDED, b"\0\x09no length"),
        item(COMMON_EXTENDED, b""),
        item(IDENTITY, b"\x09\x01"),
    ],
    ids=["unknown", "long version", "version not ASCII", "extended", "common extended", "identity"],
)
def test_a_user_item_that_is_not_used_is_skipped(user_item):
    """An acceptor ignores what it does not recognise (PS3.8 D.2), and so what it would not look at."""
    agreement, _ = negotiate(associate_request(extra_user_items=user_item), MAXIMUM_PDU_BYTES)

    assert agreement.contexts
    assert agreement.peer_maximum_pdu_bytes == 16384


def test_an_item_that_nobody_knows_is_skipped():
    """Items of unrecognised types are ignored (PS3.8 9.3.1)."""
    agreement, _ = negotiate(with_item(item(0x77, b"of a vendor")), MAXIMUM_PDU_BYTES)

    assert agreement.contexts


def test_what_is_used_is_read():
    """Role selection and the asynchronous operations window are answered."""
    sop_class = US_MULTI_FRAME.encode()
    window = item(0x53, struct.pack(">HH", 4, 4))
    roles = item(0x54, struct.pack(">H", len(sop_class)) + sop_class + bytes((1, 0)))

    _, answer = negotiate(associate_request(extra_user_items=roles + window), MAXIMUM_PDU_BYTES)

    assert item(0x53, struct.pack(">HH", 1, 1)) in answer


def test_titles_padded_with_nul_are_titles():
    """Some machines fill the field as C does a string."""
    request = associate_request(calling=b"CART".ljust(16, b"\0"), called=b"ECHO_SCP".ljust(16, b"\0"))

    agreement, _ = negotiate(request, MAXIMUM_PDU_BYTES)

    assert (agreement.calling_ae_title, agreement.called_ae_title) == ("CART", "ECHO_SCP") == ae_titles(request)


def test_a_request_gets_its_own_answer_however_often_it_comes():
    """What is remembered of one machine is not told to another, nor with another maximum length."""
    cart, other = (associate_request(calling=title.ljust(16)) for title in (b"CART", b"OTHER"))

    answers = [negotiate(request, MAXIMUM_PDU_BYTES) for request in (cart, other, cart, other)]

    assert answers[:2] == answers[2:]
    assert [agreement.calling_ae_title for agreement, _ in answers[:2]] == ["CART", "OTHER"]
    assert negotiate(cart, MAXIMUM_PDU_BYTES // 2)[1] != answers[0][1]


@pytest.mark.parametrize("content", [b"\x77\0\0", b"\x77\0\0\x09short"], ids=["no head", "too short"])
def test_an_item_that_ends_elsewhere_is_no_request(content):
    """Where one item ends nowhere, the next begins nowhere."""
    with pytest.raises(ProtocolError, match="item"):
        negotiate(with_item(content), MAXIMUM_PDU_BYTES)
