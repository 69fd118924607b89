"""Section 4.2.1: what the Receiver AE answers to a request, and to an association that it does not take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from echo_scp.commitment import FailureReason
from echo_scp.conformance.blocks import Block, Heading, Paragraph, Table
from echo_scp.receive.status import Status

_UNREADABLE = "the data set cannot be read, or something unforeseen; nothing is kept"
_NO_ROOM = "the disk cannot take it, or 10,000 such notes wait; asking again may work"
_OTHER_CLASS = "the SOP class is not that of the service"

STATUSES: Mapping[str, Mapping[Status, str]] = MappingProxyType(
    {
        "C-ECHO": {Status.SUCCESS: "always"},
        "C-STORE": {
            Status.SUCCESS: "the object is on disk, and so is its name (fsync of file and folder)",
            Status.PROCESSING_FAILURE: "something unforeseen; nothing is kept of the object",
            Status.OUT_OF_RESOURCES: "the disk cannot take the object; sending it again may work",
            Status.CANNOT_UNDERSTAND: "the request has no SOP Class UID, no SOP Instance UID or no data set",
        },
        "N-ACTION (Storage Commitment)": {
            Status.SUCCESS: "the request is on disk; it is answered by N-EVENT-REPORT",
            Status.PROCESSING_FAILURE: _UNREADABLE,
            Status.NO_SUCH_OBJECT_INSTANCE: "not the well-known instance",
            Status.NO_SUCH_SOP_CLASS: _OTHER_CLASS,
            Status.MISSING_ATTRIBUTE: "no Transaction UID, no instances, or one without SOP Instance UID",
            Status.NO_SUCH_ACTION: "an Action Type ID other than 1",
            Status.RESOURCE_LIMITATION: _NO_ROOM,
        },
        "N-EVENT-REPORT (Storage Commitment)": {
            Status.SUCCESS: "the report is on disk",
            Status.PROCESSING_FAILURE: _UNREADABLE,
            Status.NO_SUCH_OBJECT_INSTANCE: "not the well-known instance",
            Status.NO_SUCH_EVENT_TYPE: "an Event Type ID other than 1 and 2",
            Status.NO_SUCH_SOP_CLASS: _OTHER_CLASS,
            Status.MISSING_ATTRIBUTE: "no Transaction UID, or no instances",
            Status.RESOURCE_LIMITATION: _NO_ROOM,
        },
        "N-CREATE (MPPS)": {
            Status.SUCCESS: "the step is on disk",
            Status.INVALID_ATTRIBUTE_VALUE: "Performed Procedure Step Status is not IN PROGRESS",
            Status.PROCESSING_FAILURE: _UNREADABLE,
            Status.DUPLICATE_SOP_INSTANCE: "the step was created before",
            Status.NO_SUCH_SOP_CLASS: _OTHER_CLASS,
            Status.MISSING_ATTRIBUTE: "no Performed Procedure Step Status, or no Study Instance UID of the step",
            Status.RESOURCE_LIMITATION: _NO_ROOM,
        },
        "N-SET (MPPS)": {
            Status.SUCCESS: "the change is on disk",
            Status.INVALID_ATTRIBUTE_VALUE: "Performed Procedure Step Status is none that exists",
            Status.PROCESSING_FAILURE: f"the step is COMPLETED or DISCONTINUED; or {_UNREADABLE}",
            Status.NO_SUCH_OBJECT_INSTANCE: "the step was not created here",
            Status.NO_SUCH_SOP_CLASS: _OTHER_CLASS,
            Status.RESOURCE_LIMITATION: _NO_ROOM,
        },
        "any other request": {Status.UNRECOGNISED_OPERATION: "always"},
    }
)
_FAILURE_REASONS: Mapping[FailureReason, str] = MappingProxyType(
    {
        FailureReason.PROCESSING_FAILURE: "its row is there, its file is not",
        FailureReason.NO_SUCH_OBJECT_INSTANCE: "not here, 30 s after the request and with nothing earlier on its way",
        FailureReason.CLASS_INSTANCE_CONFLICT: "stored under another SOP class than was asked for",
    }
)
_REJECTIONS = (
    ("permanent", "service user", "calling AE title not recognised", "no AE title, or no peer of receive.peers"),
    ("permanent", "service user", "called AE title not recognised", "no AE title, or not in receive.called_ae_titles"),
    ("permanent", "service provider (ACSE)", "protocol version not supported", "bit 0 is not set"),
    (
        "transient",
        "service provider (presentation)",
        "local limit exceeded",
        "no association is left, in all or for the peer",
    ),
)


def answers() -> Iterator[Block]:
    """Yield the tables of rejections, statuses and failure reasons."""
    yield Heading("4.2.1.2", "Associations that are rejected")
    yield Table(("result", "source", "reason", "when"), _REJECTIONS)
    yield Paragraph(
        "With receive.peers, a connection from an address of nobody is closed unread. What is no A-ASSOCIATE-RQ is "
        "aborted, as is a message whose command set is not complete. An association without an acceptable "
        "presentation context is accepted, each context refused."
    )
    yield Heading("4.2.1.3", "Statuses")
    rows = (
        (request, f"0x{status:04X}", status.name.replace("_", " ").capitalize(), meaning)
        for request, meanings in STATUSES.items()
        for status, meaning in meanings.items()
    )
    yield Table(("request", "status", "name", "meaning"), tuple(rows))
    yield Paragraph(
        "The data set of a C-STORE is stored bit for bit and not coerced. A second object of the same SOP Instance UID "
        "with the same bytes changes nothing; with other bytes it is kept beside the first and not analysed."
    )
    yield Heading("4.2.1.4", "Storage Commitment and Modality Performed Procedure Step")
    yield Paragraph(
        "An instance is committed when it has its row in the database and its file in the store. Failure Reason "
        "(0008,1197) of others:"
    )
    yield Table(("reason", "when"), tuple((f"0x{reason:04X}", meaning) for reason, meaning in _FAILURE_REASONS.items()))
    yield Paragraph(
        "Of a procedure step, Performed Procedure Step Status, Study Instance UID and the referenced instances are "
        "kept; it can be set until a week after its last change. Nothing is forwarded."
    )
