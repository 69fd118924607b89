"""Whose data folder it is: one node's at a time, by a lock that goes with its holder."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from echo_scp.errors import StorageError

_LOCK_NAME = "node.lock"
_ATTEMPTS, _PAUSE_S = 5, 0.1  # who asks whether there is a node holds the lock for a moment


@contextmanager
def only_node_in(folder: Path) -> Iterator[None]:
    """Hold the data folder; two nodes in one would index the same spool. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / _LOCK_NAME).open("w")
    except OSError as error:
        raise StorageError(f"data_folder {folder} cannot be written: {error.strerror}") from error
    with file:
        if not _lock(file):
            raise StorageError(f"data_folder {folder} is in use by another node; give each its own")
        yield


def _lock(file: IO[str]) -> bool:
    for _ in range(_ATTEMPTS):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_PAUSE_S)
    return False


def has_node(folder: Path) -> bool:
    """Tell whether a node holds the data folder at this moment, as far as this user may know."""
    try:
        with (folder / _LOCK_NAME).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
