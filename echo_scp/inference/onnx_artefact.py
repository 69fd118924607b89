"""Look into an ONNX file and run it, without a manifest: for what makes or imports engines."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
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


def stands_alone(path: Path) -> bool:
    """Tell whether an ONNX file that can be loaded needs no other file; torch writes weights into one beside it."""
    try:
        ort.InferenceSession(path.read_bytes(), alone(ort.SessionOptions(), path), providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - of no type of its own
        return False
    return True


def alone(options: ort.SessionOptions, artefact: Path) -> ort.SessionOptions:
    """Have ONNX Runtime look for weights in other files beneath `artefact`, a file, where none can be.

    A hash covers one file; of a model given as bytes, it would look into the working directory, whatever lies there.
    """
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(artefact))
    return options


def weight_files(path: Path) -> tuple[Path, ...]:
    """Return the other files that an ONNX file keeps weights in. Needs the library onnx; raises EngineError."""
    weights = _onnx(path).load(path, load_external_data=False).graph.initializer
    names = {entry.value for weight in weights for entry in weight.external_data if entry.key == "location"}
    return tuple(path.parent / name for name in sorted(names))


def write_as_one(path: Path, target: Path) -> None:
    """Write an ONNX file and its weights in other files as one. Needs the library onnx; raises EngineError."""
    library = _onnx(path)
    try:
        library.save(library.load(path), target)
    except ValueError as error:  # protocol buffers end at 2 GB
        raise EngineError(f"{path}: cannot be one file: {error}") from error


def _onnx(path: Path) -> ModuleType:
    try:
        return import_module("onnx")
    except ModuleNotFoundError as error:
        needed = "export it with external_data=False, or install what joins them: pip install 'echo-scp[train]'"
        raise EngineError(f"{path}: keeps its weights in another file; {needed}") from error


def _session(path: Path) -> Any:  # noqa: ANN401
    try:
        return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:
        raise EngineError(f"{path}: ONNX Runtime cannot load it: {error}") from error
