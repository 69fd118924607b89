"""Look into an ONNX file and run it, without a manifest: for what makes or imports engines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from echo_scp.errors import EngineError
from echo_scp.inference.engine import Batch

Shapes = dict[str, tuple[object, ...]]  # tensor -> shape; an axis that is free is a name or None


@dataclass(frozen=True, slots=True)
class Tensors:
    """What an ONNX file takes and gives, in its order."""

    inputs: Shapes
    outputs: Shapes


def tensors_of(path: Path) -> Tensors:
    """Return the tensors of an ONNX file; raises EngineError."""
    session = _session(path)
    return Tensors(
        {tensor.name: tuple(tensor.shape) for tensor in session.get_inputs()},
        {tensor.name: tuple(tensor.shape) for tensor in session.get_outputs()},
    )


def run_artefact(path: Path, batch: Batch) -> Batch:
    """Return the first output for `batch`; raises EngineError."""
    session = _session(path)
    try:
        answers = session.run(None, {session.get_inputs()[0].name: batch})
    except Exception as error:
        raise EngineError(f"{path}: inference failed: {error}") from error
    return np.asarray(answers[0], dtype=np.float32)


def _session(path: Path) -> Any:  # noqa: ANN401
    try:
        return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"{path}: ONNX Runtime cannot load it: {error}") from error
