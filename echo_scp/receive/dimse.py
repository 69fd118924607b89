"""Fragments -> messages -> responses (PS3.7 6.3, PS3.8 E).

A message is put together per presentation context: the fragments of two contexts may alternate. The asynchronous
operations window is 1, so a message is answered before anything else of the association is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from echo_scp.receive.command import C_STORE_RQ, MAXIMUM_COMMAND_BYTES, Command, read_command, store_response
from echo_scp.receive.negotiation import Agreement
from echo_scp.receive.services import MAXIMUM_DATA_SET_BYTES, Services
from echo_scp.receive.status import Status
from echo_scp.receive.store import Reception
from echo_scp.receive.upper_layer import COMMAND, LAST, ProtocolError, Write, p_data_pdus
from echo_scp.spool import SpooledIdentity

_MAXIMUM_BEGUN = 4


class _Body(Protocol):
    """Where the data set of a message goes, once its command set is complete."""

    @property
    def write(self) -> Write: ...
    def finish(self) -> bytes:
        """Return the PDUs of the response."""
        ...

    def answered(self) -> None:
        """Do what the peer need not wait for."""
        ...

    def abandon(self) -> None: ...


@dataclass(slots=True)
class _Message:
    """What has come of a message."""

    command: bytearray
    body: _Body | None = None

    def write_command(self, pieces: Sequence[memoryview]) -> None:
        _collect(self.command, pieces, MAXIMUM_COMMAND_BYTES, "the command set")


class DimseProvider:
    """Serves the messages of one association. Used by its thread alone; `is_busy` may be read by any."""

    def __init__(
        self,
        agreement: Agreement,
        send: Callable[[bytes], None],
        receive: Callable[[SpooledIdentity], Reception],
        services: Services,
    ) -> None:
        """`receive` begins an object; `send` puts PDUs on the wire; `services` answer all else."""
        self._agreement = agreement
        self._send = send
        self._receive = receive
        self._services = services
        self._messages: dict[int, _Message] = {}

    @property
    def is_busy(self) -> bool:
        """Say whether a message is here in part, or whole and not answered."""
        return bool(self._messages)

    def fragment(self, context_id: int, control: int) -> Write:
        """Begin a fragment; return what takes its bytes. Raises ProtocolError."""
        message = self._messages.get(context_id) or self._begin(context_id)
        if control & COMMAND:
            if message.body is not None:
                raise ProtocolError("a command set within a data set")
            return message.write_command
        if message.body is None:
            raise ProtocolError("a data set without its command set")
        return message.body.write

    def fragment_end(self, context_id: int, control: int) -> None:
        """Answer the message if this was its end. Raises ProtocolError; OSError when the response cannot be sent."""
        if not control & LAST:
            return
        message = self._messages[context_id]
        if control & COMMAND:
            encoded = bytes(message.command)
            command = read_command(encoded)
            message.body = self._body(context_id, command, encoded)
            if command.has_data_set:
                return
        assert message.body is not None  # `fragment` saw to it
        try:
            self._send(message.body.finish())
        finally:
            message.body.answered()
            del self._messages[context_id]

    def speak(self) -> bool:
        """Send what there is to say of our own accord; say whether there may be more soon. Raises OSError."""
        if not self._services.is_awaiting:
            return False
        if reports := self._services.event_reports():
            self._send(reports)
        return self._services.is_awaiting

    def close(self) -> None:
        """Leave nothing of what did not come to its end."""
        self._services.close()
        for message in self._messages.values():
            if message.body is not None:
                message.body.abandon()
        self._messages.clear()

    def _begin(self, context_id: int) -> _Message:
        if context_id not in self._agreement.contexts:
            raise ProtocolError("a fragment of a presentation context that was not accepted")
        if len(self._messages) >= _MAXIMUM_BEGUN:
            raise ProtocolError("too many messages at once")
        message = self._messages[context_id] = _Message(bytearray())
        return message

    def _body(self, context_id: int, command: Command, encoded: bytes) -> _Body:
        if command.field != C_STORE_RQ:
            return _Request(context_id, encoded, self._services)
        reception = None
        if command.has_data_set and command.sop_class_uid and command.sop_instance_uid:
            reception = self._receive(self._identity(context_id, command))
        return _StoreRequest(context_id, command, self._agreement.peer_maximum_pdu_bytes, reception)

    def _identity(self, context_id: int, command: Command) -> SpooledIdentity:
        return SpooledIdentity(
            sop_class_uid=command.sop_class_uid.decode("latin-1"),
            sop_instance_uid=command.sop_instance_uid.decode("latin-1"),
            transfer_syntax_uid=self._agreement.contexts[context_id],
            calling_ae_title=self._agreement.calling_ae_title,
            called_ae_title=self._agreement.called_ae_title,
        )


@dataclass(slots=True)
class _StoreRequest:
    """A C-STORE-RQ; without `reception` it is one that nobody can store."""

    context_id: int
    command: Command
    maximum_pdu_bytes: int
    reception: Reception | None

    @property
    def write(self) -> Write:
        return _ignore if self.reception is None else self.reception.write

    def finish(self) -> bytes:
        status = Status.CANNOT_UNDERSTAND if self.reception is None else self.reception.finish()
        response = store_response(self.command, status)
        return p_data_pdus(self.context_id, COMMAND | LAST, response, self.maximum_pdu_bytes)

    def answered(self) -> None:
        if self.reception is not None:
            self.reception.answered()

    def abandon(self) -> None:
        if self.reception is not None:
            self.reception.abandon()


def _collect(kept: bytearray, pieces: Sequence[memoryview], maximum_bytes: int, what: str) -> None:
    """Keep `pieces` in memory. Raises ProtocolError before more than `maximum_bytes` are."""
    for piece in pieces:
        if len(kept) + len(piece) > maximum_bytes:
            raise ProtocolError(f"{what} is too long")
        kept += piece


def _ignore(_: Sequence[memoryview]) -> None: ...


class _Request:
    """Any other message, kept in memory."""

    def __init__(self, context_id: int, command: bytes, services: Services) -> None:
        self._context_id = context_id
        self._command = command
        self._services = services
        self._data_set = bytearray()

    def write(self, pieces: Sequence[memoryview]) -> None:
        _collect(self._data_set, pieces, MAXIMUM_DATA_SET_BYTES, "the data set of a request")

    def finish(self) -> bytes:
        return self._services.answer(self._context_id, self._command, bytes(self._data_set))

    def answered(self) -> None:
        pass

    def abandon(self) -> None:
        self._data_set.clear()
