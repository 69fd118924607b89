"""An engine in OpenVINO behind the product's port, to measure beside ONNX Runtime. Not part of the product."""

from __future__ import annotations

import numpy as np
import openvino as ov

from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import Manifest, Precision
from echo_scp.model import EngineIdentity

ARITHMETIC = {"fp32": ("fp32", "f32"), "bf16": ("fp32", "bf16"), "int8": ("int8", "f32")}  # artefact, hint


class OpenVinoEngine:
    """Runs the fp32 artefact in f32 or bf16, or the int8 artefact."""

    def __init__(self, manifest: Manifest, arithmetic: str, threads: int) -> None:
        wanted, hint = ARITHMETIC[arithmetic]
        self._precision: Precision = "int8" if wanted == "int8" and "int8" in manifest.artefacts else "fp32"
        self._manifest = manifest
        core = ov.Core()
        model = core.read_model(manifest.artefact_path(self._precision))
        settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    @property
    def identity(self) -> EngineIdentity:
        return self._manifest.identity(self._precision)

    @property
    def at_once(self) -> int:
        return 1  # its request has one set of buffers

    def run(self, batch: Batch) -> Batch:
        (logits,) = self._request.infer({self._manifest.input.tensor: batch}).values()
        return np.array(logits, dtype=np.float32)

    def close(self) -> None:
        """Nothing to give back by hand."""
