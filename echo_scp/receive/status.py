"""The statuses that this node answers to a request."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Response statuses (PS3.4 Table B.2-1, PS3.7 C)."""

    SUCCESS = 0x0000  # PS3.7 C.1.1; to a C-STORE: the object is durable
    PROCESSING_FAILURE = 0x0110  # PS3.7 C.5.10: something unforeseen; nothing is kept of the object
    UNRECOGNISED_OPERATION = 0x0211  # PS3.7 C.5.25: no such service on this context
    OUT_OF_RESOURCES = 0xA700  # PS3.4 B.2.3: the disk cannot take the object; sending it again may work
    CANNOT_UNDERSTAND = 0xC000  # PS3.4 B.2.3: a C-STORE without SOP Class UID, SOP Instance UID or data set
