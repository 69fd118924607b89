"""How many associations there may be: in total, and of one peer; counted over all receiver processes.

The table lies in memory that the processes share: a seat is the number of the process that gave it and a digest of the
peer's key: its address, or its name in the configuration. A process that dies leaves its seats to be vacated by
whoever notices.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

# Process number, 0 when free; digest of the peer's key; its calling AE title.
_SEAT = struct.Struct("=I12s16s")


_FREE = (0, b"", b"")


class Refused(Enum):
    """Which limit was reached."""

    TOTAL = "maximum_associations"
    PEER = "maximum_associations_per_peer"


class Seats:
    """A fixed number of seats. Safe for threads and for processes that share its file."""

    def __init__(self, total: int, descriptor: int | None = None) -> None:
        """Make a table of free seats, or join that of another process by its file descriptor."""
        size = total * _SEAT.size
        self.descriptor = os.memfd_create("echo-scp-seats") if descriptor is None else descriptor
        os.ftruncate(self.descriptor, size)
        self._table = mmap.mmap(self.descriptor, size)
        self._lock = threading.Lock()  # a lock on the file is the process's, whichever thread holds it

    def take(self, peer_key: str, maximum: int, calling_ae_title: str = "") -> int | Refused:
        """Take a seat for a peer that may have `maximum`; return its number, or which limit there is none under."""
        digest = hashlib.sha256(peer_key.encode()).digest()[:12]
        with self._locked():
            seats = list(_SEAT.iter_unpack(self._table))
            free = next((number for number, (owner, *_) in enumerate(seats) if not owner), None)
            if free is None:
                return Refused.TOTAL
            if sum(owner != 0 and peer == digest for owner, peer, _ in seats) >= maximum:
                return Refused.PEER
            _SEAT.pack_into(self._table, free * _SEAT.size, os.getpid(), digest, _title(calling_ae_title))
            return free

    def leave(self, seat: int) -> None:
        """Give a seat back."""
        with self._locked():
            _SEAT.pack_into(self._table, seat * _SEAT.size, *_FREE)

    def vacate(self, process_id: int) -> None:
        """Give back the seats of a process that ended."""
        with self._locked():
            for number, (owner, *_) in enumerate(list(_SEAT.iter_unpack(self._table))):
                if owner == process_id:
                    _SEAT.pack_into(self._table, number * _SEAT.size, *_FREE)

    def calling_ae_titles(self) -> frozenset[str]:
        """Return who has an association at this moment."""
        with self._locked():
            seats = list(_SEAT.iter_unpack(self._table))
        return frozenset(title.rstrip(b"\0").decode("ascii", "replace") for owner, _, title in seats if owner)

    def close(self) -> None:
        """Forget the table; it lives on in the processes that share it."""
        self._table.close()
        os.close(self.descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX)  # ends with its process, so nobody waits for a dead one
            try:
                yield
            finally:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN)


def _title(text: str) -> bytes:
    """Return what a peer calls itself; it may be refused for it, but until then it has its seat."""
    return "".join(letter if letter.isprintable() else "?" for letter in text).encode("ascii", "replace")[:16]
