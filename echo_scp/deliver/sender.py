"""Open the way to a destination that its configuration names."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from echo_scp.config import Destination
from echo_scp.deliver.dimse import dimse_sender
from echo_scp.deliver.outcome import Sender
from echo_scp.deliver.stow import stow_sender


def open_sender(
    destination: Destination, calling_ae_title: str, timeout_s: float, paths: Iterable[Path]
) -> AbstractContextManager[Sender]:
    """Open a way for the objects in `paths`, which exist; entering it raises DestinationUnreachableError."""
    if destination.url:
        return stow_sender(destination, timeout_s)
    return dimse_sender(destination, calling_ae_title, timeout_s, paths)
