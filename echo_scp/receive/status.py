"""The statuses that this node answers to a C-STORE request."""

from __future__ import annotations

from enum import IntEnum


class StoreStatus(IntEnum):
    """C-STORE response statuses (PS3.4 Table B.2-1, PS3.7 C)."""

    SUCCESS = 0x0000  # PS3.7 C.1.1; here: the object is durable
    PROCESSING_FAILURE = 0x0110  # PS3.7 C.5.10: something unforeseen; nothing is kept of the object
    OUT_OF_RESOURCES = 0xA700  # PS3.4 B.2.3: the disk cannot take the object; sending it again may work
