"""Run an engine with ONNX Runtime on the CPU: the embedded default."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort

from echo_scp.errors import EngineError, ManifestError
from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import MANIFEST_NAME, Manifest


class OnnxRuntimeEngine:
    """An ONNX artefact in an inference session; loading checks the tensors against the manifest."""

    def __init__(self, manifest: Manifest, threads: int = 0) -> None:
        """Load the artefact; `threads` 0 leaves one core to receiving and decoding."""
        self._manifest = manifest
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or max(1, (os.cpu_count() or 2) - 1)
        # Spinning workers starve the receiver and the decoder on a small machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                manifest.artefact_path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise EngineError(f"{manifest.artefact_path}: ONNX Runtime cannot load it: {error}") from error
        self._check_tensors()

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def run(self, batch: Batch) -> Batch:
        """Return logits (N, K, ...) for float32 `batch` (N, 1, S, S)."""
        size = self._manifest.input.size
        if batch.shape[1:] != (1, size, size) or batch.dtype != np.float32:
            raise EngineError(
                f"{self._manifest.name}: expected float32 (N, 1, {size}, {size}), got {batch.dtype} {batch.shape}"
            )
        try:
            (logits,) = self._session.run([self._manifest.output.tensor], {self._manifest.input.tensor: batch})
        except Exception as error:
            raise EngineError(f"{self._manifest.name}: inference failed: {error}") from error
        return np.asarray(logits, dtype=np.float32)

    def _check_tensors(self) -> None:
        path = self._manifest.folder / MANIFEST_NAME
        inputs = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
        outputs = {tensor.name: tensor.shape for tensor in self._session.get_outputs()}
        tensors = self._manifest.input, self._manifest.output
        if set(inputs) != {tensors[0].tensor}:
            raise ManifestError(path, "input.tensor", f"the artefact's only input, one of {sorted(inputs)}")
        if tensors[1].tensor not in outputs:
            raise ManifestError(path, "output.tensor", f"one of the artefact's outputs {sorted(outputs)}")
        channels = outputs[tensors[1].tensor][1]
        if isinstance(channels, int) and channels != len(tensors[1].labels):
            raise ManifestError(path, "output.labels", f"{channels} labels, one per output channel")
        size = inputs[tensors[0].tensor][2]
        if isinstance(size, int) and size != tensors[0].size:
            raise ManifestError(path, "input.size", f"{size}, the artefact's input height")
