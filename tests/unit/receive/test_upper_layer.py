"""The acceptor's upper layer: its state table, and its wire against a scripted connection."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.fsm import TRANSITION_TABLE

from echo_scp.receive import upper_layer
from echo_scp.receive.upper_layer import TRANSITIONS, Event, ProtocolError, State, UpperLayer, Write, p_data_pdus
from tests.network.peers import A_ABORT, A_RELEASE_RP, A_RELEASE_RQ, fragment, pdu, pdv

MAXIMUM_PDU_BYTES = 16384
INVALID_PARAMETER = pdu(0x07, bytes((0, 0, 2, 6)))
UNRECOGNISED = pdu(0x07, bytes((0, 0, 2, 1)))
UNEXPECTED = pdu(0x07, bytes((0, 0, 2, 2)))


class ScriptedConnection:
    """Gives what a peer sent, in the pieces that it is cut into, and then the end; keeps what is sent to the peer."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [piece for piece in pieces if piece]
        self.sent = b""
        self.is_silent = False  # at the end, in place of closing

    def recv_into(self, buffer: memoryview) -> int:
        if not self.pieces:
            if self.is_silent:
                raise TimeoutError
            return 0
        piece = self.pieces.pop(0)
        count = min(len(piece), len(buffer))
        buffer[:count] = piece[:count]
        if count < len(piece):
            self.pieces.insert(0, piece[count:])
        return count

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def setsockopt(self, *_: int) -> None:
        pass


Fragment = tuple[int, int, bytes]


def joined(fragments: Iterable[Fragment]) -> list[Fragment]:
    """Return the fragments with those of one data set joined that follow each other: where it is cut says nothing."""
    found: list[Fragment] = []
    for context_id, control, content in fragments:
        if found and found[-1][:2] == (context_id, 0) and control in (0, 2):
            content = found.pop()[2] + content  # noqa: PLW2901
        found.append((context_id, control, content))
    return found


class Recorder:
    """A service user that keeps the fragments: (context ID, control, content)."""

    def __init__(self) -> None:
        self._ended: list[tuple[int, int, bytearray]] = []
        self._content = bytearray()

    @property
    def fragments(self) -> list[Fragment]:
        return [(context_id, control, bytes(content)) for context_id, control, content in self._ended]

    def fragment(self, context_id: int, control: int) -> Write:
        self._content = bytearray()
        return self._take

    def _take(self, pieces: Sequence[memoryview]) -> None:
        self._content += b"".join(pieces)

    def fragment_end(self, context_id: int, control: int) -> None:
        self._ended.append((context_id, control, self._content))


def serve(*pieces: bytes, user: object = None) -> tuple[Event, UpperLayer, ScriptedConnection, Recorder]:
    connection, recorder = ScriptedConnection(*pieces), user or Recorder()
    layer = UpperLayer(connection, recorder, MAXIMUM_PDU_BYTES, timeout_s=60)
    return layer.serve(), layer, connection, recorder


def cut(stream: bytes, sizes: Iterable[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    return [*pieces, stream]


@pytest.mark.parametrize("cell", TRANSITIONS, ids=lambda cell: f"{cell[0].value}-{cell[1].value}")
def test_the_table_is_that_of_the_standard(cell):
    """Each cell equals the one of pynetdicom's transcription of PS3.8 Table 9-10."""
    state, event = cell

    assert TRANSITION_TABLE[event.value, state.value] == TRANSITIONS[cell][0].value


@pytest.mark.parametrize("state", [State.AWAITING_REQUEST, State.ESTABLISHED])
def test_every_pdu_and_every_end_has_its_cell(state):
    """While the wire is read, nothing that comes from it is without an answer."""
    events = {*upper_layer.PDU_EVENTS.values(), Event.CONNECTION_CLOSED, Event.INVALID_PDU}

    assert events <= {event for known, event in TRANSITIONS if known is state}


def test_the_table_ends_where_the_connection_does():
    """No state follows IDLE, and nothing is decided while the peer is to close."""
    assert not {state for state, _ in TRANSITIONS} & {State.IDLE, State.AWAITING_CLOSE}


@given(
    fragments=st.lists(
        st.tuples(st.sampled_from([1, 3]), st.sampled_from([0, 0, 0, 1, 2, 3]), st.binary(max_size=3000)), max_size=12
    ),
    sizes=st.lists(st.integers(1, 5000), max_size=60),
)
def test_fragments_come_whole_however_the_network_cuts_them(fragments, sizes):
    """Heads of PDUs and of fragments may be cut anywhere; of two contexts and two messages nothing is mixed."""
    stream = b"".join(fragment(content, control, context_id) for context_id, control, content in fragments)

    event, layer, connection, recorder = serve(*cut(stream + A_RELEASE_RQ, sizes))

    assert event is Event.RELEASE_RQ_RECEIVED
    assert layer.state is State.AWAITING_CLOSE
    assert joined(recorder.fragments) == joined(fragments)
    assert connection.sent == A_RELEASE_RP


@pytest.mark.parametrize("cut_at", [1, 5, 9, 10])
def test_an_abort_within_a_data_set_is_not_waited_behind(cut_at):
    """It is shorter than the two heads of the fragment that should have come."""
    connection = ScriptedConnection(fragment(b"begun", 0), A_ABORT[:cut_at], A_ABORT[cut_at:])
    connection.is_silent = True

    assert UpperLayer(connection, Recorder(), MAXIMUM_PDU_BYTES, timeout_s=60).serve() is Event.ABORT_RECEIVED


@given(contents=st.lists(st.binary(max_size=40), max_size=40))
def test_one_pdu_may_hold_many_fragments(contents):
    """Also none, and fragments of nothing."""
    _, _, _, recorder = serve(pdu(0x04, b"".join(pdv(content, 2) for content in contents)), A_ABORT)

    assert [content for _, _, content in recorder.fragments] == contents


def test_a_head_that_the_end_of_the_buffer_cuts_is_put_together():
    """The buffer is used again from its beginning."""
    fill = upper_layer.BUFFER_BYTES - 3
    sizes = [16000] * (fill // 16012)
    sizes.append(fill - 16012 * len(sizes) - 12)
    stream = b"".join(fragment(bytes([number % 256]) * size, 0) for number, size in enumerate(sizes))
    assert len(stream) == fill
    stream += fragment(b"after", 2)

    _, _, _, recorder = serve(stream)

    content = b"".join(bytes([number % 256]) * size for number, size in enumerate(sizes))
    assert joined(recorder.fragments) == [(1, 2, content + b"after")]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        pytest.param(struct.pack(">BBL", 4, 0, 2**32 - 1), INVALID_PARAMETER, id="4 GiB claimed"),
        pytest.param(struct.pack(">BBL", 4, 0, MAXIMUM_PDU_BYTES + 13), INVALID_PARAMETER, id="longer than agreed"),
        pytest.param(pdu(4, struct.pack(">LBB", 2**32 - 1, 1, 0)), INVALID_PARAMETER, id="fragment beyond its PDU"),
        pytest.param(pdu(4, struct.pack(">LBB", 1, 1, 0)), INVALID_PARAMETER, id="fragment without control"),
        pytest.param(pdu(4, struct.pack(">LBB", 0, 1, 0)), INVALID_PARAMETER, id="fragment of no length"),
        pytest.param(pdu(4, b"\0\0\0\0\1"), INVALID_PARAMETER, id="head of a fragment cut by its PDU"),
        pytest.param(pdu(5, bytes(5)), INVALID_PARAMETER, id="long release"),
        pytest.param(struct.pack(">BBL", 7, 0, 2**32 - 1), INVALID_PARAMETER, id="long abort"),
        pytest.param(b"\xff" * 12, UNRECOGNISED, id="no PDU"),
        pytest.param(pdu(1, bytes(68)), UNEXPECTED, id="second request"),
        pytest.param(pdu(2, bytes(68)), UNEXPECTED, id="A-ASSOCIATE-AC"),
        pytest.param(pdu(3, bytes(4)), UNEXPECTED, id="A-ASSOCIATE-RJ"),
        pytest.param(A_RELEASE_RP, UNEXPECTED, id="A-RELEASE-RP"),
    ],
)
def test_what_breaks_the_protocol_is_aborted_with_its_reason(sent, answer):
    """At the head, before anything is read that the head lies about (PS3.8 9.3.8)."""
    _, layer, connection, recorder = serve(sent)

    assert connection.sent == answer
    assert layer.state is State.AWAITING_CLOSE
    assert recorder.fragments == []


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack(">BBLLBB", 4, 0, 2**32 - 1, 2**32 - 5, 1, 0),
        struct.pack(">BBLLBB", 4, 0, MAXIMUM_PDU_BYTES + 13, MAXIMUM_PDU_BYTES + 9, 1, 0),
        pdu(4, struct.pack(">LBB", 2**32 - 1, 1, 0) + bytes(20)),
        pdu(4, struct.pack(">LBB", 0, 1, 0) + bytes(20)),
    ],
    ids=["4 GiB claimed", "longer than agreed", "fragment beyond its PDU", "fragment of no length"],
)
def test_within_a_data_set_the_same_holds(sent):
    """What follows a fragment is read in haste, and no less strictly."""
    _, layer, connection, recorder = serve(fragment(b"begun", 0) + sent)

    assert connection.sent == INVALID_PARAMETER
    assert layer.state is State.AWAITING_CLOSE
    assert recorder.fragments == [(1, 0, b"begun")]


def test_a_peer_that_counts_the_heads_out_is_understood():
    """Some read the maximum length as that of the content alone."""
    content = bytes(MAXIMUM_PDU_BYTES)

    _, _, _, recorder = serve(fragment(content, 2))

    assert recorder.fragments == [(1, 2, content)]


def test_an_abort_is_not_answered():
    """PS3.8 AA-3: the connection is closed, no more."""
    event, layer, connection, _ = serve(A_ABORT, fragment(b"late", 0))

    assert event is Event.ABORT_RECEIVED
    assert layer.state is State.IDLE
    assert connection.sent == b""


@pytest.mark.parametrize("sent", [b"", b"\4\0", fragment(bytes(100), 0)[:50]])
def test_a_lost_connection_ends_the_association(sent):
    """Between PDUs, within a head, within a fragment."""
    event, layer, connection, recorder = serve(sent)

    assert event is Event.CONNECTION_CLOSED
    assert layer.state is State.IDLE
    assert connection.sent == b""
    assert recorder.fragments == []


def test_a_user_that_cannot_go_on_aborts():
    """What is no DICOM message ends the association, on behalf of the service user."""

    class Refusing(Recorder):
        def fragment(self, context_id, control):
            raise ProtocolError("no such context")

    event, _, connection, _ = serve(fragment(b"x", 0), user=Refusing())

    assert event is Event.ABORT_WANTED
    assert connection.sent == A_ABORT


def test_fragments_that_are_there_are_handed_on_together():
    """One call for what one read brought, however small the PDUs; never more pieces than the system takes at once."""
    counts: list[int] = []

    class Counting(Recorder):
        def _take(self, pieces):
            counts.append(len(pieces))
            super()._take(pieces)

    sent = [fragment(bytes([number % 256]) * 7, 0) for number in range(1000)]

    *_, recorder = serve(b"".join(sent[:1]), b"".join(sent[1:]), fragment(b"", 2), user=Counting())

    assert joined(recorder.fragments)[0][2] == b"".join(bytes([number % 256]) * 7 for number in range(1000))
    assert sum(counts) == 1000
    assert len(counts) < 10
    assert max(counts) <= 1024


def test_a_drip_of_bytes_is_given_up(monkeypatch):
    """A PDU has its time as a whole: bytes that come one by one do not extend it."""
    now = iter(range(0, 10_000))
    monkeypatch.setattr(upper_layer.time, "monotonic", lambda: float(next(now)))  # each byte takes a second
    drip = fragment(bytes(1000), 0)

    event, _, connection, _ = serve(*(drip[i : i + 1] for i in range(len(drip))))

    assert event is Event.ABORT_WANTED
    assert connection.sent == A_ABORT
    assert len(connection.pieces) > 800


def test_a_disk_that_stalls_is_not_the_silence_of_the_peer(monkeypatch):
    """Its time runs while we wait for it, not while it waits for us: within a fragment, and between two of a PDU."""
    clock = [0.0]
    monkeypatch.setattr(upper_layer.time, "monotonic", lambda: clock[0])

    class Stalling(Recorder):
        def _take(self, pieces):
            clock[0] += 100.0
            super()._take(pieces)

    both = pdu(0x04, pdv(b"command", 3) + pdv(b"begun", 0))
    goes_on = fragment(bytes(1000), 2)
    sent = [both[:25], both[25:], goes_on[:500], goes_on[500:], A_RELEASE_RQ]

    event, _, _, recorder = serve(*sent, user=Stalling())

    assert event is Event.RELEASE_RQ_RECEIVED
    assert joined(recorder.fragments) == [(1, 3, b"command"), (1, 2, b"begun" + bytes(1000))]


def test_a_peer_that_is_silent_is_given_up():
    """SO_RCVTIMEO speaks through EAGAIN."""

    class Silent(ScriptedConnection):
        def recv_into(self, buffer):
            raise BlockingIOError

    connection = Silent()
    event = UpperLayer(connection, Recorder(), MAXIMUM_PDU_BYTES, timeout_s=60).serve()

    assert event is Event.ABORT_WANTED
    assert connection.sent == A_ABORT


@given(content=st.binary(max_size=300), maximum=st.one_of(st.just(0), st.integers(7, 400)))
def test_p_data_is_cut_to_what_the_peer_takes(content, maximum):
    """Fragments in order, each PDU within the limit, the last bit on the last alone."""
    stream = p_data_pdus(5, 3, content, maximum)
    _, _, _, recorder = serve(stream)

    assert b"".join(content for _, _, content in recorder.fragments) == content
    assert [control for _, control, _ in recorder.fragments] == [1] * (len(recorder.fragments) - 1) + [3]
    while stream:
        (length,) = struct.unpack_from(">L", stream, 2)
        assert not maximum or length <= maximum
        stream = stream[6 + length :]
