"""What peers say beside their objects: data sets of storage commitment and MPPS <-> values (PS3.4 J.3, F.7.2)."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from itertools import chain
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pynetdicom.dsutils import decode

from echo_scp.commitment import ArchiveReport, CommitmentAnswer, CommitmentRequest, Reference, read_report
from echo_scp.completeness import StepState
from echo_scp.procedure_step import ProcedureStep, StepChange
from echo_scp.receive.status import Status

EVENT_TYPES = _ALL_COMMITTED, _FAILURES_EXIST = 1, 2  # Event Type ID (PS3.4 J.3.3)


class NoteError(Exception):
    """A data set that cannot be meant; `status` says so to the peer."""

    def __init__(self, status: Status, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def read(encoded: BytesIO | None, transfer_syntax: UID) -> Dataset:
    """Return the data set of a request; its values are parsed on access. Raises NoteError."""
    if encoded is None:
        raise NoteError(Status.MISSING_ATTRIBUTE, "there is no data set")
    try:
        return decode(encoded, transfer_syntax.is_implicit_VR, transfer_syntax.is_little_endian)
    except Exception as error:  # the border to pydicom's parser, which raises what it likes
        raise NoteError(Status.PROCESSING_FAILURE, type(error).__name__) from error


def commitment_request(ds: Dataset, calling: str, called: str, now: float) -> CommitmentRequest:
    """Return what the Action Information of an N-ACTION asks. Raises NoteError."""
    transaction_uid = _text(ds, "TransactionUID")
    references = tuple(
        Reference(_text(item, "ReferencedSOPClassUID"), _text(item, "ReferencedSOPInstanceUID"))
        for item in _items(ds, "ReferencedSOPSequence")
    )
    if not transaction_uid or not references or not all(each.sop_instance_uid for each in references):
        raise NoteError(Status.MISSING_ATTRIBUTE, "Transaction UID or Referenced SOP Sequence is missing")
    return CommitmentRequest(transaction_uid, calling, called, references, now)


def archive_report(ds: Dataset, calling: str) -> ArchiveReport:
    """Return what the Event Information of an archive's N-EVENT-REPORT tells. Raises NoteError."""
    transaction_uid = _text(ds, "TransactionUID")
    try:
        report = read_report(ds)
    except Exception as error:  # the border to pydicom, as in _value
        raise NoteError(Status.PROCESSING_FAILURE, type(error).__name__) from error
    if not transaction_uid or not (report.committed or report.failed):
        raise NoteError(Status.MISSING_ATTRIBUTE, "Transaction UID or the sequences of instances are missing")
    return ArchiveReport(transaction_uid, calling, report)


def event_report(answer: CommitmentAnswer) -> tuple[int, Dataset]:
    """Return Event Type ID and Event Information of an answer (PS3.4 Table J.3-4)."""
    ds = Dataset()
    ds.TransactionUID = answer.request.transaction_uid
    if answer.committed:
        ds.ReferencedSOPSequence = Sequence([_item(reference) for reference in answer.committed])
    if not answer.failed:
        return _ALL_COMMITTED, ds
    failed = []
    for reference, reason in answer.failed:
        item = _item(reference)
        item.FailureReason = int(reason)
        failed.append(item)
    ds.FailedSOPSequence = Sequence(failed)
    return _FAILURES_EXIST, ds


def procedure_step(sop_instance_uid: str, ds: Dataset) -> ProcedureStep:
    """Return the step that the Attribute List of an N-CREATE describes. Raises NoteError."""
    state = _state(ds)
    if state is None:
        raise NoteError(Status.MISSING_ATTRIBUTE, "Performed Procedure Step Status is missing")
    if state is not StepState.IN_PROGRESS:
        raise NoteError(Status.INVALID_ATTRIBUTE_VALUE, "Performed Procedure Step Status is not IN PROGRESS")
    scheduled = _items(ds, "ScheduledStepAttributesSequence")
    studies = dict.fromkeys(uid for item in scheduled if (uid := _text(item, "StudyInstanceUID")))
    if not studies:
        raise NoteError(Status.MISSING_ATTRIBUTE, "Scheduled Step Attributes Sequence names no Study Instance UID")
    return ProcedureStep(sop_instance_uid, StepState.IN_PROGRESS, tuple(studies), _instances(ds))


def step_change(ds: Dataset) -> StepChange:
    """Return what the Modification List of an N-SET changes. Raises NoteError."""
    return StepChange(_state(ds), _instances(ds) if "PerformedSeriesSequence" in ds else None)


def _state(ds: Dataset) -> StepState | None:
    text = _text(ds, "PerformedProcedureStepStatus")
    try:
        return StepState(text) if text else None
    except ValueError:
        raise NoteError(Status.INVALID_ATTRIBUTE_VALUE, "Performed Procedure Step Status is none that exists") from None


def _instances(ds: Dataset) -> tuple[str, ...]:
    series = _items(ds, "PerformedSeriesSequence")
    keywords = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
    items = chain.from_iterable(_items(each, keyword) for each in series for keyword in keywords)
    return tuple(dict.fromkeys(uid for item in items if (uid := _text(item, "ReferencedSOPInstanceUID"))))


def _items(ds: Dataset, keyword: str) -> Iterable[Dataset]:
    value = _value(ds, keyword)
    return value if isinstance(value, Sequence) else ()


def _text(ds: Dataset, keyword: str) -> str:
    value = _value(ds, keyword)
    return str(value).strip() if isinstance(value, str) else ""


def _value(ds: Dataset, keyword: str) -> Any:  # noqa: ANN401 - whatever a peer wrote
    try:
        return ds.get(keyword)
    except Exception as error:  # the border to pydicom, which parses values on access and raises what it likes
        raise NoteError(Status.PROCESSING_FAILURE, f"{keyword}: {type(error).__name__}") from error


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item
