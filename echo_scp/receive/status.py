"""The statuses that this node answers to a request."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Response statuses (PS3.4 Table B.2-1, PS3.7 C)."""

    SUCCESS = 0x0000  # PS3.7 C.1.1; to a C-STORE: the object is durable
    INVALID_ATTRIBUTE_VALUE = 0x0106  # PS3.7 C.5.6
    PROCESSING_FAILURE = (
        0x0110  # PS3.7 C.5.10: something unforeseen, nothing is kept; or a finished step (PS3.4 F.7.2.2)
    )
    DUPLICATE_SOP_INSTANCE = 0x0111  # PS3.7 C.5.7
    NO_SUCH_OBJECT_INSTANCE = 0x0112  # PS3.7 C.5.16
    NO_SUCH_EVENT_TYPE = 0x0113  # PS3.7 C.5.14
    NO_SUCH_SOP_CLASS = 0x0118  # PS3.7 C.5.17
    MISSING_ATTRIBUTE = 0x0120  # PS3.7 C.5.12
    NO_SUCH_ACTION = 0x0123  # PS3.7 C.5.15
    UNRECOGNISED_OPERATION = 0x0211  # PS3.7 C.5.25: no such service on this context
    RESOURCE_LIMITATION = 0x0213  # PS3.7 C.5.22: the disk cannot take a note; asking again may work
    OUT_OF_RESOURCES = 0xA700  # PS3.4 B.2.3: the disk cannot take the object; sending it again may work
    CANNOT_UNDERSTAND = 0xC000  # PS3.4 B.2.3: a C-STORE without SOP Class UID, SOP Instance UID or data set
