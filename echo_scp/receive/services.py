"""Every request but C-STORE: decoded, answered and encoded with pynetdicom's messages.

A service is a function from a request primitive to its response; to add one is to add a row to `Services._services`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import structlog
from pydicom import Dataset
from pydicom.uid import UID, generate_uid
from pynetdicom.dimse import _RSP_TO_MESSAGE
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, C_ECHO, N_ACTION, N_CREATE, N_EVENT_REPORT, N_SET
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from echo_scp.commitment import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, CommitmentDesk, Taken
from echo_scp.errors import StorageError
from echo_scp.procedure_step import FinalStepError, StepDesk, StepExistsError, UnknownStepError
from echo_scp.receive import notes
from echo_scp.receive.negotiation import Agreement
from echo_scp.receive.policy import PROCEDURE_STEP
from echo_scp.receive.status import Status
from echo_scp.receive.upper_layer import COMMAND, LAST, ProtocolError, p_data_pdus

MAXIMUM_DATA_SET_BYTES = 1024 * 1024
_MAXIMUM_AWAITED = 16
_REQUEST_COMMITMENT = 1  # Action Type ID (PS3.4 J.3.2)

_STATUSES: dict[type[Exception], Status] = {
    StepExistsError: Status.DUPLICATE_SOP_INSTANCE,
    UnknownStepError: Status.NO_SUCH_OBJECT_INSTANCE,
    FinalStepError: Status.PROCESSING_FAILURE,
    StorageError: Status.RESOURCE_LIMITATION,
}

_REFUSALS = (notes.NoteError, StepExistsError, UnknownStepError, FinalStepError, StorageError)

Primitive = Any  # one of pynetdicom.dimse_primitives

log = structlog.get_logger(__name__)


class Services:
    """The services of one association. Used by its thread alone."""

    def __init__(self, agreement: Agreement, commitments: CommitmentDesk, steps: StepDesk) -> None:
        self._agreement = agreement
        self._commitments = commitments
        self._steps = steps
        self._awaited: dict[str, int] = {}  # commitments asked on this association, and their context
        self._reported: dict[int, Taken] = {}  # by message ID: event reports without a response
        self._last_message_id = 0
        self._services: dict[type, Callable[[int, Primitive], Primitive]] = {
            C_ECHO: _verify,
            N_ACTION: self._commit,
            N_CREATE: self._create_step,
            N_SET: self._set_step,
            N_EVENT_REPORT: self._take_report,
        }

    @property
    def is_awaiting(self) -> bool:
        """Say whether there may be something to report to the peer, which did not ask for it just now."""
        return bool(self._awaited)

    def answer(self, context_id: int, command: bytes, data_set: bytes) -> bytes:
        """Serve a message; return the PDUs of its response, none for what has no response. Raises ProtocolError."""
        request = _decode(context_id, command, data_set)
        if isinstance(request, C_CANCEL):
            return b""  # of an operation that is over: each is answered before the next message is read
        if isinstance(request, N_EVENT_REPORT) and request.MessageIDBeingRespondedTo is not None:
            self._confirm(request)
            return b""
        if not request.is_valid_request:
            raise ProtocolError(f"{request.msg_type} is no complete request")
        response = self._services.get(type(request), _unrecognised)(context_id, request)
        response.MessageIDBeingRespondedTo = request.MessageID
        return self._encode(context_id, _RSP_TO_MESSAGE[type(response)](), response)

    def event_reports(self) -> bytes:
        """Return the PDUs that tell of commitments asked on this association and answered since."""
        pdus = b""
        for name, context_id in list(self._awaited.items()):
            taken = self._commitments.take(name)
            if taken is not None:
                del self._awaited[name]
                pdus += self._report(context_id, taken)
        return pdus

    def close(self) -> None:
        """Leave reports that the peer did not confirm to whoever sends them on another association."""
        for taken in self._reported.values():
            taken.release()
        self._reported.clear()
        self._awaited.clear()

    def _report(self, context_id: int, taken: Taken) -> bytes:
        self._last_message_id += 1
        request = N_EVENT_REPORT()
        request.MessageID = self._last_message_id
        request.AffectedSOPClassUID = STORAGE_COMMITMENT
        request.AffectedSOPInstanceUID = STORAGE_COMMITMENT_INSTANCE
        request.EventTypeID, information = notes.event_report(taken.answer)
        syntax = UID(self._agreement.contexts[context_id])
        encoded = encode(information, syntax.is_implicit_VR, syntax.is_little_endian)
        assert encoded is not None  # of our own data set
        request.EventInformation = BytesIO(encoded)
        self._reported[request.MessageID] = taken
        return self._encode(context_id, N_EVENT_REPORT_RQ(), request)

    def _confirm(self, response: N_EVENT_REPORT) -> None:
        taken = self._reported.pop(response.MessageIDBeingRespondedTo or 0, None)
        if taken is None:
            return
        taken.done()
        transaction_uid = taken.answer.request.transaction_uid
        log.info("commitment.reported", transaction_uid=transaction_uid, status=response.Status, association="same")

    def _commit(self, context_id: int, request: N_ACTION) -> N_ACTION:
        """Take a request for storage commitment: kept durably, answered later (PS3.4 J.3.2)."""
        response = N_ACTION()
        response.AffectedSOPClassUID = request.RequestedSOPClassUID
        response.AffectedSOPInstanceUID = request.RequestedSOPInstanceUID
        response.ActionTypeID = request.ActionTypeID
        refusal = _refusal(request.RequestedSOPClassUID, request.RequestedSOPInstanceUID)
        if refusal is None and request.ActionTypeID != _REQUEST_COMMITMENT:
            refusal = Status.NO_SUCH_ACTION
        response.Status = self._keep(lambda: self._ask(context_id, request)) if refusal is None else refusal
        return response

    def _ask(self, context_id: int, request: N_ACTION) -> None:
        asked = notes.commitment_request(
            self._read(context_id, request.ActionInformation),
            self._agreement.calling_ae_title,
            self._agreement.called_ae_title,
            time.time(),
        )
        self._commitments.ask(asked)
        if len(self._awaited) < _MAXIMUM_AWAITED:  # the others are told on another association
            self._awaited[asked.name] = context_id
        log.info("commitment.asked", transaction_uid=asked.transaction_uid, instances=len(asked.references))

    def _take_report(self, context_id: int, request: N_EVENT_REPORT) -> N_EVENT_REPORT:
        """Keep what an archive tells of objects that it took from us (PS3.4 J.3.3)."""
        response = N_EVENT_REPORT()
        response.AffectedSOPClassUID = request.AffectedSOPClassUID
        response.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID
        response.EventTypeID = request.EventTypeID
        refusal = _refusal(request.AffectedSOPClassUID, request.AffectedSOPInstanceUID)
        if refusal is None and request.EventTypeID not in notes.EVENT_TYPES:
            refusal = Status.NO_SUCH_EVENT_TYPE
        response.Status = self._keep(lambda: self._keep_report(context_id, request)) if refusal is None else refusal
        return response

    def _keep_report(self, context_id: int, request: N_EVENT_REPORT) -> None:
        information = self._read(context_id, request.EventInformation)
        told = notes.archive_report(information, self._agreement.calling_ae_title)
        self._commitments.keep_report(told)
        log.info("commitment.told", transaction_uid=told.transaction_uid, calling_ae_title=told.calling_ae_title)

    def _create_step(self, context_id: int, request: N_CREATE) -> N_CREATE:
        """Note a procedure step that began (PS3.4 F.7.2.1)."""
        response = N_CREATE()
        response.AffectedSOPClassUID = request.AffectedSOPClassUID
        uid = response.AffectedSOPInstanceUID = request.AffectedSOPInstanceUID or generate_uid()
        if request.AffectedSOPClassUID != PROCEDURE_STEP:
            response.Status = Status.NO_SUCH_SOP_CLASS
            return response
        response.Status = self._keep(
            lambda: self._steps.create(notes.procedure_step(str(uid), self._read(context_id, request.AttributeList)))
        )
        return response

    def _set_step(self, context_id: int, request: N_SET) -> N_SET:
        """Note what became of a procedure step (PS3.4 F.7.2.2)."""
        response = N_SET()
        response.AffectedSOPClassUID = request.RequestedSOPClassUID
        uid = response.AffectedSOPInstanceUID = request.RequestedSOPInstanceUID
        if request.RequestedSOPClassUID != PROCEDURE_STEP:
            response.Status = Status.NO_SUCH_SOP_CLASS
            return response
        response.Status = self._keep(
            lambda: self._steps.change(str(uid), notes.step_change(self._read(context_id, request.ModificationList)))
        )
        return response

    @staticmethod
    def _keep(work: Callable[[], None]) -> Status:
        """Do what makes a note durable; return the status that says what came of it."""
        try:
            work()
        except _REFUSALS as error:
            log.warning("note.refused", detail=str(error) or type(error).__name__)
            return error.status if isinstance(error, notes.NoteError) else _STATUSES[type(error)]
        except Exception:  # the edge of a DIMSE handler
            log.exception("note.failed")
            return Status.PROCESSING_FAILURE
        return Status.SUCCESS

    def _read(self, context_id: int, encoded: BytesIO | None) -> Dataset:
        return notes.read(encoded, UID(self._agreement.contexts[context_id]))

    def _encode(self, context_id: int, message: DIMSEMessage, primitive: Primitive) -> bytes:
        message.primitive_to_message(primitive)
        pdus = b""
        for fragments in message.encode_msg(context_id, 0):
            for _, fragment in fragments.presentation_data_value_list:
                maximum = self._agreement.peer_maximum_pdu_bytes
                pdus += p_data_pdus(context_id, fragment[0], fragment[1:], maximum)
        return pdus


def _decode(context_id: int, command: bytes, data_set: bytes) -> Primitive:
    fragments = P_DATA()
    values = fragments.presentation_data_value_list
    values.append((context_id, bytes((COMMAND | LAST,)) + command))
    if data_set:
        values.append((context_id, bytes((LAST,)) + data_set))
    message = DIMSEMessage()
    try:
        message.decode_msg(fragments)
        return message.message_to_primitive()
    except Exception as error:  # the border to pynetdicom's parser, which raises what it likes
        raise ProtocolError(f"the command set cannot be read: {type(error).__name__}") from error


def _refusal(sop_class_uid: str | None, sop_instance_uid: str | None) -> Status | None:
    """Return why a message is not of the one instance of Storage Commitment (PS3.4 J.3.5); None when it is."""
    if sop_class_uid != STORAGE_COMMITMENT:
        return Status.NO_SUCH_SOP_CLASS
    return None if sop_instance_uid == STORAGE_COMMITMENT_INSTANCE else Status.NO_SUCH_OBJECT_INSTANCE


def _verify(_context_id: int, request: C_ECHO) -> C_ECHO:
    """Answer a C-ECHO (PS3.4 A.4)."""
    response = C_ECHO()
    response.AffectedSOPClassUID = request.AffectedSOPClassUID
    response.Status = Status.SUCCESS
    return response


def _unrecognised(_context_id: int, request: Primitive) -> Primitive:
    response = type(request)()
    response.Status = Status.UNRECOGNISED_OPERATION
    return response
