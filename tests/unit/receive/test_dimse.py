"""Messages put together from fragments, and what is answered to them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.dimse_messages import C_ECHO_RSP
from pynetdicom.dimse_primitives import C_ECHO

from echo_scp.receive.dimse import DimseProvider
from echo_scp.receive.negotiation import Agreement
from echo_scp.receive.services import Services
from echo_scp.receive.status import Status
from echo_scp.receive.upper_layer import Event, UpperLayer
from echo_scp.spool import SpooledIdentity
from tests.network.peers import A_RELEASE_RQ, IMPLICIT, VERIFICATION, command_set, fragment, pdu, pdv, status
from tests.unit.receive.test_upper_layer import ScriptedConnection, cut

AGREEMENT = Agreement("CART", "ECHO_SCP", {1: IMPLICIT, 3: "1.2.840.10008.1.2.1", 5: IMPLICIT}, 0, 16384)
ECHO = command_set(sop_class_uid=VERIFICATION, field=0x0030, data_set_type=0x0101)


class FakeDesk:
    """Takes every note and keeps none."""

    def ask(self, request: object) -> None: ...
    def create(self, step: object) -> None: ...
    def change(self, uid: str, change: object) -> None: ...
    def take(self, name: str) -> None: ...


def make_services(agreement: Agreement = AGREEMENT) -> Services:
    return Services(agreement, FakeDesk(), FakeDesk())


class FakeReception:
    """Keeps an object in memory."""

    def __init__(self, identity: SpooledIdentity) -> None:
        self.identity = identity
        self.content = b""
        self.end = ""

    def write(self, pieces: Sequence[memoryview]) -> None:
        self.content += b"".join(pieces)

    def finish(self) -> Status:
        self.end = "finished"
        return Status.SUCCESS

    def answered(self) -> None:
        self.end = "answered"

    def abandon(self) -> None:
        self.end = self.end or "abandoned"


class Peer:
    """A provider behind its upper layer, and what it received and sent."""

    def __init__(self, *pieces: bytes, agreement: Agreement = AGREEMENT) -> None:
        self.objects: list[FakeReception] = []
        self.connection = ScriptedConnection(*pieces)
        self.provider = DimseProvider(agreement, self.connection.sendall, self._receive, make_services(agreement))
        self.end = UpperLayer(self.connection, self.provider, 16384, timeout_s=60).serve()
        self.was_busy = self.provider.is_busy
        self.provider.close()

    def _receive(self, identity: SpooledIdentity) -> FakeReception:
        self.objects.append(FakeReception(identity))
        return self.objects[-1]

    def responses(self) -> list[bytes]:
        sent, pdus = self.connection.sent, []
        while sent:
            (length,) = struct.unpack_from(">L", sent, 2)
            pdus.append(sent[: 6 + length])
            sent = sent[6 + length :]
        return [each for each in pdus if each[0] == 4]


fragmentations = st.lists(st.integers(1, 70), min_size=0, max_size=20)


def message_pdvs(content: bytes, sizes: list[int], uid: str, context_id: int) -> list[bytes]:
    """Encode a C-STORE-RQ as presentation data values, both of its parts cut into `sizes`."""
    pdvs = []
    for part, kind in ((command_set(uid), 1), (content, 0)):
        pieces = cut(part, sizes)
        last = len(pieces) - 1
        pdvs += [pdv(piece, kind | (2 if number == last else 0), context_id) for number, piece in enumerate(pieces)]
    return pdvs


@given(
    contents=st.lists(st.binary(max_size=200), min_size=1, max_size=4),
    sizes=fragmentations,
    per_pdu=st.integers(1, 9),
    wire=st.lists(st.integers(1, 90), max_size=40),
)
def test_messages_come_whole_however_they_are_cut(contents, sizes, per_pdu, wire):
    """Into fragments, the fragments into PDUs, the stream into packets; one after the other, each is answered."""
    pdvs = [each for number, content in enumerate(contents) for each in message_pdvs(content, sizes, f"1.{number}", 1)]
    pdus = [pdu(4, b"".join(pdvs[start : start + per_pdu])) for start in range(0, len(pdvs), per_pdu)]

    peer = Peer(*cut(b"".join(pdus) + A_RELEASE_RQ, wire))

    assert peer.end is Event.RELEASE_RQ_RECEIVED
    assert [each.content for each in peer.objects] == contents
    assert [each.end for each in peer.objects] == ["answered"] * len(contents)
    assert [each.identity.sop_instance_uid for each in peer.objects] == [f"1.{n}" for n in range(len(contents))]
    assert [status(response) for response in peer.responses()] == [0] * len(contents)


@given(data=st.data(), first=st.binary(max_size=150), second=st.binary(max_size=150), sizes=fragmentations)
def test_messages_of_two_contexts_may_alternate(data, first, second, sizes):
    """Each keeps to its own presentation context, and its own transfer syntax."""
    queues = [message_pdvs(first, sizes, "1.1", 1), message_pdvs(second, sizes, "1.3", 3)]
    stream = b""
    while any(queues):
        queue = data.draw(st.sampled_from([queue for queue in queues if queue]))
        stream += pdu(4, queue.pop(0))

    peer = Peer(stream)

    received = {each.identity.sop_instance_uid: each for each in peer.objects}
    assert received["1.1"].content == first
    assert received["1.3"].content == second
    assert received["1.3"].identity.transfer_syntax_uid == "1.2.840.10008.1.2.1"
    assert sorted(response[10] for response in peer.responses()) == [1, 3]


def test_fragments_of_one_byte():
    """Command set and data set."""
    content = bytes(range(256))

    peer = Peer(b"".join(pdu(4, each) for each in message_pdvs(content, [1] * 500, "1.1", 1)))

    assert peer.objects[0].content == content


def test_a_data_set_of_no_bytes_is_an_object():
    """It is stored, and found to belong to no study later."""
    peer = Peer(fragment(command_set(), 3), fragment(b"", 2))

    assert (peer.objects[0].content, peer.objects[0].end) == (b"", "answered")
    assert [status(response) for response in peer.responses()] == [0]


def test_an_echo_between_the_fragments_of_an_object_is_answered():
    """On its own context."""
    peer = Peer(fragment(command_set(), 3), fragment(b"ab", 0), fragment(ECHO, 3, 5), fragment(b"cd", 2))

    assert peer.objects[0].content == b"abcd"
    assert [(response[10], status(response)) for response in peer.responses()] == [(5, 0), (1, 0)]


def test_an_echo_is_answered_as_pynetdicom_does():
    """Byte for byte."""
    response = C_ECHO()
    response.MessageIDBeingRespondedTo, response.Status, response.AffectedSOPClassUID = 1, 0, VERIFICATION
    message = C_ECHO_RSP()
    message.primitive_to_message(response)
    ((_, expected),) = next(iter(message.encode_msg(5, 0))).presentation_data_value_list

    peer = Peer(fragment(ECHO, 3, 5))

    assert peer.responses() == [fragment(expected[1:], 3, 5)]


def test_a_response_fits_into_what_the_peer_takes():
    """However little that is."""
    peer = Peer(fragment(ECHO, 3, 5), agreement=Agreement("CART", "ECHO_SCP", {5: IMPLICIT}, 0, 40))

    assert len(peer.responses()) > 1
    assert all(len(response) <= 46 for response in peer.responses())
    assert [response[11] for response in peer.responses()] == [1] * (len(peer.responses()) - 1) + [3]


@pytest.mark.parametrize(
    ("field", "answer"), [(0x0020, 0x0211), (0x0021, 0x0211), (0x0010, 0x0211), (0x0130, 0x0118), (0x0140, 0x0118)]
)
def test_an_operation_that_nobody_serves_is_refused_and_the_association_goes_on(field, answer):
    """C-FIND, C-MOVE, C-GET: unrecognized operation (PS3.7 C.5.25). N-ACTION, N-CREATE: not for this SOP class."""
    request = (
        command_set(field=field)
        + struct.pack("<HHL", 0, 0x0003, 6)
        + b"1.2.3\0"
        + struct.pack("<HHL", 0, 0x1001, 6)
        + b"1.2.3\0"
        + struct.pack("<HHLH", 0, 0x1008, 2, 1)
        + struct.pack("<HHL", 0, 0x0600, 4)
        + b"CART"
    )
    peer = Peer(fragment(request, 3), fragment(b"identifier", 2), fragment(ECHO, 3, 5))

    assert [status(response) for response in peer.responses()] == [answer, 0]


def test_a_cancel_has_no_response():
    """What it cancels was answered already."""
    cancel = struct.pack("<HHLH", 0, 0x0100, 2, 0x0FFF) + struct.pack("<HHLH", 0, 0x0120, 2, 1)
    cancel += struct.pack("<HHLH", 0, 0x0800, 2, 0x0101)

    peer = Peer(fragment(cancel, 3), fragment(ECHO, 3, 5))

    assert len(peer.responses()) == 1


@pytest.mark.parametrize(
    ("uid", "class_uid", "data_set_type"),
    [("", "1.2.840.10008.5.1.4.1.1.3.1", 1), ("1.2.3", "", 1), ("1.2.3", "1.2.840.10008.5.1.4.1.1.3.1", 0x0101)],
)
def test_a_store_request_without_its_essentials_is_not_understood(uid, class_uid, data_set_type):
    """C000, and the association goes on: its next object may be whole."""
    data_set = () if data_set_type == 0x0101 else (fragment(b"data", 2),)

    peer = Peer(fragment(command_set(uid, class_uid, data_set_type=data_set_type), 3), *data_set, fragment(ECHO, 3, 5))

    assert peer.objects == []
    assert [status(response) for response in peer.responses()] == [0xC000, 0]


def test_an_object_whose_response_cannot_be_sent_is_told_of():
    """It is stored: the indexer must hear of it, though its sender does not and will send it again."""
    begun = []

    def fail(_data: bytes) -> None:
        raise ConnectionResetError

    connection = ScriptedConnection(fragment(command_set(), 3) + fragment(b"data", 2))
    provider = DimseProvider(
        AGREEMENT, fail, lambda identity: begun.append(FakeReception(identity)) or begun[-1], make_services()
    )
    UpperLayer(connection, provider, 16384, timeout_s=60).serve()

    assert [each.end for each in begun] == ["answered"]
    assert not provider.is_busy


@pytest.mark.parametrize("error", [BlockingIOError, ConnectionResetError])
def test_a_response_that_cannot_be_sent_ends_the_association(error):
    """The peer is gone, or does not read (SO_SNDTIMEO speaks through EAGAIN)."""

    def fail(_data: bytes) -> None:
        raise error

    connection = ScriptedConnection(fragment(ECHO, 3, 5) * 2)
    connection.sendall = fail
    provider = DimseProvider(AGREEMENT, connection.sendall, FakeReception, make_services())

    assert UpperLayer(connection, provider, 16384, timeout_s=60).serve() is Event.CONNECTION_CLOSED


@pytest.mark.parametrize("end", [b"", A_RELEASE_RQ, b"\xff" * 6])
def test_what_did_not_come_to_its_end_is_abandoned(end):
    """Lost connection, release and garbage in mid-object."""
    peer = Peer(fragment(command_set(), 3), fragment(b"half", 0), end)

    assert peer.was_busy
    assert [each.end for each in peer.objects] == ["abandoned"]
    assert peer.responses() == []
    assert not peer.provider.is_busy


def too_many_messages() -> bytes:
    return b"".join(fragment(b"\0", 1, number) for number in range(1, 100, 2))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(fragment(b"data", 0), id="data without command"),
        pytest.param(fragment(command_set(), 3) + fragment(b"\0", 1), id="command within data"),
        pytest.param(fragment(command_set(), 3, 99), id="context that was not accepted"),
        pytest.param(fragment(b"garbage!", 3), id="no command set"),
        pytest.param(fragment(bytes(8192), 1) * 9, id="endless command set"),
        pytest.param(fragment(command_set(field=0x0130), 3) + fragment(bytes(16000), 0) * 70, id="endless data set"),
        pytest.param(fragment(command_set(field=0x7777), 3) + fragment(b"", 2), id="unknown command field"),
        pytest.param(fragment(command_set(field=0x8001), 3) + fragment(b"", 2), id="response to no request"),
    ],
)
def test_what_is_no_message_aborts(sent):
    """And leaves nothing."""
    peer = Peer(sent)

    assert peer.end is Event.ABORT_WANTED
    assert [each.end for each in peer.objects] in ([], ["abandoned"])


def test_messages_under_way_are_limited():
    """Each may hold memory and an open file."""
    contexts = dict.fromkeys(range(1, 100, 2), IMPLICIT)

    peer = Peer(too_many_messages(), agreement=Agreement("CART", "ECHO_SCP", contexts, 0, 0))

    assert peer.end is Event.ABORT_WANTED
