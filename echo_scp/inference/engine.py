"""The port behind which a network runs; one adapter per runtime."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.manifest import Manifest
from echo_scp.model import EngineIdentity

Batch = NDArray[np.float32]  # (N, C, H, W) into an engine; (N, K, H, W) or (N, K) out of it


class Engine(Protocol):
    """A network ready to run, for as many threads at the same time as `at_once` says."""

    @property
    def manifest(self) -> Manifest:
        """What the network is, takes and gives."""
        ...

    @property
    def identity(self) -> EngineIdentity:
        """Which artefact runs."""
        ...

    @property
    def at_once(self) -> int:
        """How many threads may be in `run` at the same time; more gain nothing, or do harm."""
        ...

    def run(self, batch: Batch) -> Batch:
        """Return the logits of `batch`; raises EngineError when the runtime fails or the shape is wrong."""
        ...

    def close(self) -> None:
        """Give memory and threads back; nothing runs afterwards."""
        ...
