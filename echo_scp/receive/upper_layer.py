"""The upper layer of an acceptor whose P-DATA never becomes objects (PS3.8 9.2, 9.3).

negotiation.py has the A-ASSOCIATE PDUs read and written by pynetdicom. All else on a connection is read here, into one
buffer per association that is used again and again, and handed on in slices of it: memory depends neither on the size
of an object nor on the length that a peer claims for a PDU.

The table holds what can come to an acceptor that answers at once: it is never seen by the wire in Sta3 and Sta8, where
it decides, nor in the states of a requestor. In Sta13 nothing is parsed: what still comes is thrown away (AA-6) until
the peer closes or the timer ends; a second A-ABORT (AA-7) would tell it nothing new.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, IntEnum
from typing import Protocol

BUFFER_BYTES = 256 * 1024
# Some senders count the maximum length without the head of the PDV, some without that of the PDU either.
LENGTH_TOLERANCE_BYTES = 12
_PIECES = 256  # that are handed on together; the kernel takes 1024 (IOV_MAX)
_LONGEST_SEGMENT_BYTES = 65536  # on the loopback; of a network 1460, or 9000
_POLL_S = 0.1
_CLOSING_S = 2.0  # how long the ARTIM timer runs in Sta13

COMMAND, LAST = 1, 2  # bits of the message control header (E.2)
PDU_HEAD = struct.Struct(">BxL")  # type, length (PS3.8 9.3.1)
_PDV_HEAD = struct.Struct(
    ">LBB"
)  # length of what follows, presentation context ID, message control header (9.3.5.1, E.2)
_BOTH_HEADS = struct.Struct(">BxLLBB")  # of a P-DATA-TF with one PDV, as nearly all are
_RELEASE_RP = PDU_HEAD.pack(0x06, 4) + bytes(4)


class State(Enum):
    """The states of PS3.8 Tables 9-1 to 9-5 in which an acceptor can be."""

    IDLE = "Sta1"
    AWAITING_REQUEST = "Sta2"
    AWAITING_RESPONSE = "Sta3"
    ESTABLISHED = "Sta6"
    AWAITING_RELEASE = "Sta8"
    AWAITING_CLOSE = "Sta13"


class Event(Enum):
    """The events of PS3.8 Table 9-10 that an acceptor can meet."""

    ASSOCIATE_AC_RECEIVED = "Evt3"
    ASSOCIATE_RJ_RECEIVED = "Evt4"
    ASSOCIATE_RQ_RECEIVED = "Evt6"
    ACCEPTED = "Evt7"
    REJECTED = "Evt8"
    P_DATA_RECEIVED = "Evt10"
    RELEASE_RQ_RECEIVED = "Evt12"
    RELEASE_RP_RECEIVED = "Evt13"
    RELEASE_ANSWERED = "Evt14"
    ABORT_WANTED = "Evt15"
    ABORT_RECEIVED = "Evt16"
    CONNECTION_CLOSED = "Evt17"
    TIMER_EXPIRED = "Evt18"
    INVALID_PDU = "Evt19"


class Action(Enum):
    """The actions of PS3.8 Tables 9-6 to 9-9 that an acceptor takes."""

    DECIDE = "AE-6"
    SEND_ACCEPT = "AE-7"
    SEND_REJECT = "AE-8"
    HAND_ON = "DT-2"
    ANSWER_RELEASE = "AR-2"
    SEND_RELEASE_RP = "AR-4"
    ABORT = "AA-1"
    CLOSE = "AA-2"
    NOTE_ABORT = "AA-3"
    NOTE_LOSS = "AA-4"
    FORGET = "AA-5"
    ABORT_AS_PROVIDER = "AA-8"


TRANSITIONS: dict[tuple[State, Event], tuple[Action, State]] = {
    (State.AWAITING_REQUEST, Event.ASSOCIATE_AC_RECEIVED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_REQUEST, Event.ASSOCIATE_RJ_RECEIVED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_REQUEST, Event.ASSOCIATE_RQ_RECEIVED): (Action.DECIDE, State.AWAITING_RESPONSE),
    (State.AWAITING_REQUEST, Event.P_DATA_RECEIVED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_REQUEST, Event.RELEASE_RQ_RECEIVED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_REQUEST, Event.RELEASE_RP_RECEIVED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_REQUEST, Event.ABORT_RECEIVED): (Action.CLOSE, State.IDLE),
    (State.AWAITING_REQUEST, Event.CONNECTION_CLOSED): (Action.FORGET, State.IDLE),
    (State.AWAITING_REQUEST, Event.TIMER_EXPIRED): (Action.CLOSE, State.IDLE),
    (State.AWAITING_REQUEST, Event.INVALID_PDU): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_RESPONSE, Event.ACCEPTED): (Action.SEND_ACCEPT, State.ESTABLISHED),
    (State.AWAITING_RESPONSE, Event.REJECTED): (Action.SEND_REJECT, State.AWAITING_CLOSE),
    (State.AWAITING_RESPONSE, Event.ABORT_WANTED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.AWAITING_RESPONSE, Event.CONNECTION_CLOSED): (Action.NOTE_LOSS, State.IDLE),
    (State.AWAITING_RESPONSE, Event.INVALID_PDU): (Action.ABORT_AS_PROVIDER, State.AWAITING_CLOSE),
    (State.ESTABLISHED, Event.ASSOCIATE_AC_RECEIVED): (Action.ABORT_AS_PROVIDER, State.AWAITING_CLOSE),
    (State.ESTABLISHED, Event.ASSOCIATE_RJ_RECEIVED): (Action.ABORT_AS_PROVIDER, State.AWAITING_CLOSE),
    (State.ESTABLISHED, Event.ASSOCIATE_RQ_RECEIVED): (Action.ABORT_AS_PROVIDER, State.AWAITING_CLOSE),
    (State.ESTABLISHED, Event.P_DATA_RECEIVED): (Action.HAND_ON, State.ESTABLISHED),
    (State.ESTABLISHED, Event.RELEASE_RQ_RECEIVED): (Action.ANSWER_RELEASE, State.AWAITING_RELEASE),
    (State.ESTABLISHED, Event.RELEASE_RP_RECEIVED): (Action.ABORT_AS_PROVIDER, State.AWAITING_CLOSE),
    (State.ESTABLISHED, Event.ABORT_WANTED): (Action.ABORT, State.AWAITING_CLOSE),
    (State.ESTABLISHED, Event.ABORT_RECEIVED): (Action.NOTE_ABORT, State.IDLE),
    (State.ESTABLISHED, Event.CONNECTION_CLOSED): (Action.NOTE_LOSS, State.IDLE),
    (State.ESTABLISHED, Event.INVALID_PDU): (Action.ABORT_AS_PROVIDER, State.AWAITING_CLOSE),
    (State.AWAITING_RELEASE, Event.RELEASE_ANSWERED): (Action.SEND_RELEASE_RP, State.AWAITING_CLOSE),
}

PDU_EVENTS = {
    0x01: Event.ASSOCIATE_RQ_RECEIVED,
    0x02: Event.ASSOCIATE_AC_RECEIVED,
    0x03: Event.ASSOCIATE_RJ_RECEIVED,
    0x04: Event.P_DATA_RECEIVED,
    0x05: Event.RELEASE_RQ_RECEIVED,
    0x06: Event.RELEASE_RP_RECEIVED,
    0x07: Event.ABORT_RECEIVED,
}


class AbortSource(IntEnum):
    """Who aborts (PS3.8 Table 9-26)."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """Why a service provider aborts (PS3.8 Table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    INVALID_PARAMETER = 6


class ProtocolError(Exception):
    """What the peer sent is no DICOM message: the service user wants an abort. Names the rule, never the bytes."""


class _InvalidPduError(Exception):
    """A PDU that breaks its own structure."""


class _ClosedError(Exception):
    """The peer closed, or the network lost it."""


class _SilentError(Exception):
    """The peer did not send in time what it owes."""


class Connection(Protocol):
    """The part of socket.socket that is used here."""

    def fileno(self) -> int: ...
    def recv_into(self, buffer: memoryview, /) -> int: ...
    def sendall(self, data: bytes, /) -> None: ...
    def setsockopt(self, level: int, option: int, value: int, /) -> None: ...


Write = Callable[[Sequence[memoryview]], None]


class ServiceUser(Protocol):
    """Whom the fragments of messages are handed to. All methods may raise ProtocolError."""

    def fragment(self, context_id: int, control: int) -> Write:
        """Begin a fragment; the result takes its bytes, piece by piece, which are gone when it returns.

        Within a data set it may be given the bytes of the fragments that follow as well.
        """
        ...

    def fragment_end(self, context_id: int, control: int) -> None:
        """End the fragment, or the last of several, which has this header; return when its message is answered."""
        ...


def abort_pdu(source: AbortSource, reason: AbortReason = AbortReason.NOT_SPECIFIED) -> bytes:
    """Encode an A-ABORT (PS3.8 9.3.8)."""
    return PDU_HEAD.pack(0x07, 4) + bytes((0, 0, source, reason))


def p_data_pdus(context_id: int, control: int, content: bytes, maximum_bytes: int) -> bytes:
    """Encode `content` as P-DATA-TF PDUs of at most `maximum_bytes`, 0 for any (PS3.8 9.3.5, D.1).

    `control` is that of the last fragment; the others get it without its last bit.
    """
    room = max(maximum_bytes - _PDV_HEAD.size, 1) if maximum_bytes else len(content) or 1
    pdus = []
    for start in range(0, max(len(content), 1), room):
        piece = content[start : start + room]
        is_last = start + room >= len(content)
        head = PDU_HEAD.pack(0x04, _PDV_HEAD.size + len(piece))
        pdus.append(head + _PDV_HEAD.pack(2 + len(piece), context_id, control if is_last else control & ~LAST) + piece)
    return b"".join(pdus)


class Wire:
    """Reads a connection through one buffer. The slices it gives are valid until it is empty and asked for more."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        """`timeout_s` is for one PDU head, and for one PDU body: a drip of bytes does not extend it.

        It is what may be spent on waiting for the peer; what we take to write what it sent is ours.
        """
        self._connection = connection
        self._timeout_s = timeout_s
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._start = self._end = 0
        self._left_s = timeout_s

    def restart_timer(self) -> None:
        """Give the peer its time again."""
        self._left_s = self._timeout_s

    def has_input(self, wait_s: float) -> bool:
        """Wait for input, or for so long; say whether there is any."""
        if self._start < self._end or (isinstance(self._connection, ssl.SSLSocket) and self._connection.pending()):
            return True
        poll = select.poll()  # select() ends at descriptor 1023
        poll.register(self._connection.fileno(), select.POLLIN)
        return bool(poll.poll(wait_s * 1000))

    def take(self, count: int) -> memoryview:
        """Return exactly `count` bytes, far fewer than the buffer has."""
        while self._end - self._start < count:
            self._fill()
        self._start += count
        return self._buffer[self._start - count : self._start]

    def pieces(
        self, count: int, context_id: int | None, control: int, longest: int
    ) -> tuple[list[memoryview], int, int]:
        """Return what is there of the next `count` bytes, how many of them are still to come, and their control header.

        With a context ID they are of a fragment of its data set, and the fragments that follow are returned with it as
        far as they are there and of the same data set, in PDUs of at most `longest` bytes. What is anything else, or
        breaks a rule, is left to be read with care; nothing is returned when that comes first. One loop without calls:
        receiving spends here what time it does not spend in the kernel.
        """
        if self._start == self._end:  # wait for the first byte
            if not count:
                self.restart_timer()
            self._fill()
        buffer, start, end = self._buffer, self._start, self._end
        found: list[memoryview] = []
        while len(found) < _PIECES:
            if not count:
                if control or context_id is None or end - start < _BOTH_HEADS.size:
                    break
                kind, length, item_length, context, following = _BOTH_HEADS.unpack_from(buffer, start)
                if kind != 0x04 or context != context_id or following & ~LAST:
                    break
                if not 6 < length == item_length + 4 <= longest:
                    break
                start += _BOTH_HEADS.size
                count = item_length - 2
                control = following
                self._left_s = self._timeout_s
            if start == end:
                break
            stop = start + count if start + count < end else end
            found.append(buffer[start:stop])
            count -= stop - start
            start = stop
        self._start = start
        return found, count, control

    def _fill(self) -> None:
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._buffer):
            rest = bytes(self._buffer[self._start :])  # a head that the end of the buffer cut
            self._start, self._end = 0, len(rest)
            self._buffer[: self._end] = rest
        if self._left_s < 0:
            raise _SilentError
        asked = time.monotonic()
        try:
            count = self._connection.recv_into(self._buffer[self._end :])
            # Some senders write the head of a PDU by itself, and then Nagle's algorithm keeps the rest until the head
            # is acknowledged, which the kernel likes to delay by 40 ms. Each time: the kernel forgets it. What is more
            # than a segment it acknowledges by itself.
            if count < _LONGEST_SEGMENT_BYTES:
                self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except (BlockingIOError, TimeoutError):  # SO_RCVTIMEO; Python's own timeout
            raise _SilentError from None
        except OSError:
            raise _ClosedError from None
        if not count:
            raise _ClosedError
        self._left_s -= time.monotonic() - asked
        self._end += count


class UpperLayer:
    """One association of an acceptor, from its accepted request to its end."""

    def __init__(
        self,
        connection: Connection,
        user: ServiceUser,
        maximum_pdu_bytes: int,
        timeout_s: float,
        speak: Callable[[], bool] = lambda: False,
    ) -> None:
        """Take over after A-ASSOCIATE-AC was sent; `maximum_pdu_bytes` is what it said.

        `speak` is called between PDUs: the user sends what it has to say, and says whether to call again soon.
        """
        self.state = State.ESTABLISHED
        self._connection = connection
        self._user = user
        self._speak = speak
        self._timeout_s = timeout_s
        self._wire = Wire(connection, timeout_s)
        self._longest = maximum_pdu_bytes + LENGTH_TOLERANCE_BYTES
        self._reason = AbortReason.NOT_SPECIFIED

    def serve(self) -> Event:
        """Receive until the association is over; return the event that ended it.

        An exception of the service user other than ProtocolError comes through, and the peer knows nothing of it.
        """
        event = Event.P_DATA_RECEIVED
        while self.state is State.ESTABLISHED:
            event = self._receive_pdu()
            self._act(event)
        return event

    def _receive_pdu(self) -> Event:
        """Read one PDU and hand on its fragments; return what it was, or what came of it."""
        self._reason = AbortReason.UNEXPECTED_PDU
        try:
            self._let_speak()
            self._wire.restart_timer()
            kind, length = PDU_HEAD.unpack(self._wire.take(PDU_HEAD.size))
            event = PDU_EVENTS.get(kind)
            self._receive_body(event, length)
        except _InvalidPduError:
            self._reason = AbortReason.INVALID_PARAMETER
            return Event.INVALID_PDU
        except (_SilentError, ProtocolError):
            return Event.ABORT_WANTED
        except (_ClosedError, OSError):  # OSError: a response could not be sent
            return Event.CONNECTION_CLOSED
        if event is None:
            self._reason = AbortReason.UNRECOGNISED_PDU
            return Event.INVALID_PDU
        return event

    def _let_speak(self) -> None:
        """Let the user speak for as long as it may have something to say and the peer says nothing."""
        if not self._speak():
            return
        deadline = time.monotonic() + self._timeout_s
        while not self._wire.has_input(_POLL_S) and time.monotonic() < deadline:
            if not self._speak():
                return

    def _receive_body(self, event: Event | None, length: int) -> None:
        """Read what an event brings with it; of all others the association ends anyway."""
        if event is Event.P_DATA_RECEIVED:
            self._wire.restart_timer()
            self._receive_fragments(length)
        elif event is Event.RELEASE_RQ_RECEIVED or event is Event.ABORT_RECEIVED:
            if length != 4:  # PS3.8 Tables 9-24, 9-26
                raise _InvalidPduError
            self._wire.take(length)

    def _receive_fragments(self, length: int) -> None:
        """Hand on each presentation data value of a P-DATA-TF as it comes in (PS3.8 9.3.5)."""
        if length > self._longest:
            raise _InvalidPduError
        wire, user = self._wire, self._user
        while length:
            if length < _PDV_HEAD.size:
                raise _InvalidPduError
            item_length, context_id, control = _PDV_HEAD.unpack(wire.take(_PDV_HEAD.size))
            length -= 4 + item_length
            remaining = item_length - 2
            if length < 0 or remaining < 0:
                raise _InvalidPduError
            write = user.fragment(context_id, control)
            is_followed = not length and not control  # by the fragment of another PDU, of the same data set
            control = self._hand_on(remaining, write, context_id if is_followed else None, control)
            user.fragment_end(context_id, control)

    def _hand_on(self, count: int, write: Write, context_id: int | None, control: int) -> int:
        """Hand on `count` bytes of a fragment, and the fragments of a context that follow it one after the other.

        Return the control header of the last of them.
        """
        while count or (context_id is not None and not control):
            pieces, count, control = self._wire.pieces(count, context_id, control, self._longest)
            if pieces:
                write(pieces)
            elif not count:
                break
        return control

    def _act(self, event: Event) -> None:
        action, self.state = TRANSITIONS[self.state, event]
        if action is Action.ANSWER_RELEASE:
            action, self.state = TRANSITIONS[self.state, Event.RELEASE_ANSWERED]
        if action is Action.SEND_RELEASE_RP:
            self._send(_RELEASE_RP)
        elif action is Action.ABORT:
            self._send(abort_pdu(AbortSource.SERVICE_USER))
        elif action is Action.ABORT_AS_PROVIDER:
            self._send(abort_pdu(AbortSource.SERVICE_PROVIDER, self._reason))

    def _send(self, pdu: bytes) -> None:
        with suppress(OSError):  # the peer may have gone
            self._connection.sendall(pdu)


def await_close(connection: socket.socket) -> None:
    """Throw away what comes until the peer closes, for the time of Sta13.

    To close a connection with unread data resets it, and the peer might never read what it was told last.
    """
    deadline = time.monotonic() + _CLOSING_S
    scrap = bytearray(65536)
    with suppress(OSError):
        while (left_s := deadline - time.monotonic()) > 0:
            connection.settimeout(left_s)
            if not connection.recv_into(scrap):
                return
