"""What the direct road sends and stores equals what pynetdicom's own road does, byte for byte."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

import pytest

from echo_scp.config import ReceiveConfig
from echo_scp.receive.listener import Listener
from echo_scp.spool import Spool
from tests.network.peers import (
    A_RELEASE_RQ,
    US_MULTI_FRAME,
    VERIFICATION,
    associate_request,
    command_set,
    dial,
    fragment,
    item,
    receive_pdu,
)
from tests.network.reference import reference_listener

EXPLICIT, BIG_ENDIAN, JPEG = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"
CONTEXTS = (
    (1, VERIFICATION, EXPLICIT),
    (3, US_MULTI_FRAME, JPEG),
    (5, US_MULTI_FRAME, BIG_ENDIAN),
    (7, "1.3.46.670589.2.5.1.1", EXPLICIT),
    (9, "1.2.840.10008.5.1.4.1.2.2.1", EXPLICIT),
    (11, US_MULTI_FRAME, "1.2.840.10008.1.2.4.94"),
)
SCP_ROLE = item(0x54, len(US_MULTI_FRAME).to_bytes(2, "big") + US_MULTI_FRAME.encode() + b"\1\1")
OBJECTS = (
    (3, "1.2.3", US_MULTI_FRAME, b"jpeg" * 20_000),
    (5, "1.2.3.4", US_MULTI_FRAME, b"big endian"),
    (7, "1.2.3.45", "1.3.46.670589.2.5.1.1", b""),
    (3, "../../x", US_MULTI_FRAME, b"odd"),
    (3, "1.2\\3.4", US_MULTI_FRAME, b"two values"),
    (3, b"1.2\xe9 ", US_MULTI_FRAME, b"no ASCII"),
)


def converse(port: int, request: bytes) -> list[bytes]:
    """Associate, send an echo and the objects, release; return every PDU that came back."""
    with closing(dial(port)) as peer:
        peer.sendall(request)
        received = [receive_pdu(peer)]
        echo = command_set(sop_class_uid=VERIFICATION, field=0x0030, data_set_type=0x0101)
        peer.sendall(fragment(echo, 3))
        received += receive_response(peer)
        for context_id, uid, sop_class_uid, content in OBJECTS:
            peer.sendall(fragment(command_set(uid, sop_class_uid), 3, context_id))
            pieces = [content[start : start + 16_000] for start in range(0, len(content), 16_000)] or [b""]
            for number, piece in enumerate(pieces, start=1):
                peer.sendall(fragment(piece, 2 if number == len(pieces) else 0, context_id))
            received += receive_response(peer)
        peer.sendall(A_RELEASE_RQ)
        received.append(receive_pdu(peer))
    return received


def receive_response(peer: socket.socket) -> list[bytes]:
    """Return the PDUs of one response: the last one says so."""
    received = [receive_pdu(peer)]
    while not received[-1][11] & 2:
        received.append(receive_pdu(peer))
    return received


@pytest.fixture
def both(tmp_path):
    """Run the reference and the product; return what came back from and what was stored by each."""

    def run(request: bytes) -> list[tuple[list[bytes], list[bytes]]]:
        outcomes = []
        spool = Spool(tmp_path / "reference", 0)
        with reference_listener(spool, maximum_pdu_bytes=65536) as port:
            outcomes.append((converse(port, request), stored(spool)))
        spool = Spool(tmp_path / "product", 0)
        config = ReceiveConfig(address="127.0.0.1", port=0, reserve_disk_mb=0, maximum_pdu_bytes=65536)
        with Listener(config, spool, lambda: None) as listener:
            outcomes.append((converse(listener.port, request), stored(spool)))
        return outcomes

    return run


def stored(spool: Spool) -> list[bytes]:
    return [Path(path).read_bytes() for path in spool.ready()]


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI:UserWarning")  # pydicom, of the odd UIDs
@pytest.mark.filterwarnings("ignore:Value length:UserWarning")
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="plain"),
        pytest.param({"called": b"ANY", "calling": b" CART 7 "}, id="titles with blanks"),
        pytest.param({"extra_user_items": SCP_ROLE}, id="role selection"),
        pytest.param({"maximum_pdu_bytes": 64}, id="small PDUs"),
        pytest.param({"maximum_pdu_bytes": 0}, id="PDUs of any size"),
    ],
)
def test_every_answer_and_every_file_is_the_same(both, options):
    """A-ASSOCIATE-AC, C-ECHO-RSP, C-STORE-RSPs, A-RELEASE-RP; the files with their meta information."""
    (reference_answers, reference_files), (answers, files) = both(associate_request(CONTEXTS, **options))

    assert answers == reference_answers
    assert len(files) == len(OBJECTS)
    assert files == reference_files
