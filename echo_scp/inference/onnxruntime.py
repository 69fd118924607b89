"""Run an engine with ONNX Runtime on the CPU: the embedded default."""

from __future__ import annotations

import math
import os

import numpy as np
import onnxruntime as ort

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import MANIFEST_NAME, Manifest, Precision
from echo_scp.inference.onnx_artefact import alone
from echo_scp.inference.tensors import (
    check_answers,
    check_batch,
    check_sides,
    check_tensors,
    has_free_axes,
    smallest_batch,
)
from echo_scp.model import EngineIdentity

_FLOAT32 = "tensor(float)"


class OnnxRuntimeEngine:
    """An ONNX artefact in an inference session; loading checks the tensors against the manifest."""

    def __init__(self, manifest: Manifest, precision: Precision = "fp32", threads: int = 0) -> None:
        """Load the artefact, for `threads` threads in all; 0: as many as there are cores."""
        self._manifest = manifest
        self._at_once, self._frames = _share(threads or os.cpu_count() or 1)
        self._identity = manifest.identity(precision)
        artefact = manifest.artefact_path(precision)
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                artefact.read_bytes(), alone(_options(self._frames), artefact), providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise EngineError(f"{artefact}: ONNX Runtime cannot load it: {error}") from error
        inputs = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor.shape for tensor in self._session.get_outputs()}
        check_tensors(manifest, inputs, outputs)
        check_sides(manifest, inputs)
        taken = self._session.get_inputs()[0].type
        if taken != _FLOAT32:
            expected = f"a network that takes {_FLOAT32}; {artefact.name} takes {taken}"
            raise ManifestError(manifest.folder / MANIFEST_NAME, f"artefacts.{precision}.file", expected)
        if has_free_axes(manifest, outputs):
            self.run(smallest_batch(manifest))

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    @property
    def at_once(self) -> int:
        return self._at_once

    def run(self, batch: Batch) -> Batch:
        """Return logits (N, K, ...) for float32 `batch` (N, ...); raises EngineError.

        A frame per thread at a time: what the layers of more hand on to each other leaves the caches.
        """
        check_batch(self._manifest, batch)
        if self._session is None:
            raise EngineError(f"{self._manifest.name}: the engine is closed")
        session, output, source = self._session, self._manifest.output.tensor, self._manifest.input.tensor
        parts = (batch[start : start + self._frames] for start in range(0, max(len(batch), 1), self._frames))
        try:
            answers = np.concatenate([session.run([output], {source: part})[0] for part in parts], dtype=np.float32)
        except Exception as error:
            raise EngineError(f"{self._manifest.name}: inference failed: {error}") from error
        check_answers(self._manifest, batch, answers)
        return answers

    def close(self) -> None:
        """Let the session and its threads go."""
        self._session = None


def _share(threads: int) -> tuple[int, int]:
    """Return how many callers there may be at once, and the threads that work for each, itself included.

    Callers side by side lose nothing to waiting for each other; a single clip on a large machine wants help.
    """
    at_once = math.isqrt(2 * threads)
    return at_once, threads - at_once + 1  # the helpers are the session's: all callers share them


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning workers starve the receiver and the decoder on a small machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
