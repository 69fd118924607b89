"""Read torch checkpoints and write networks as ONNX. Needs torch."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from echo_scp.errors import EngineError
from echo_scp.inference.onnx_artefact import run_artefact

TOLERANCE = 1e-4  # of the largest answer, at least of 1
OPSET = 18
_LARGEST_BATCH = 4096
_DATA_PARALLEL = "module."  # torch.nn.DataParallel puts it before each name
_AUXILIARY = "aux_classifier."  # a head that only training uses
# What training scripts of 2019 put beside the weights: numbers of numpy.
_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_SCALARS = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
]


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """Return what torch.save wrote; no code of the file runs. Raises EngineError."""
    try:
        with torch.serialization.safe_globals(_NUMPY_SCALARS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise EngineError(f"{path}: expected a torch checkpoint of weights: {error}") from error
    if not isinstance(checkpoint, Mapping):
        raise EngineError(f"{path}: expected a torch checkpoint, a table of tensors; got {type(checkpoint).__name__}")
    return checkpoint


def weights_of(checkpoint: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """Return the network's tensors by their plain names, whether alone or under "state_dict"."""
    state = checkpoint.get("state_dict", checkpoint)
    weights = {str(key).removeprefix(_DATA_PARALLEL): value for key, value in dict(state).items()}
    tensors = {key: value for key, value in weights.items() if isinstance(value, Tensor)}
    if not tensors:
        raise EngineError(f"{path}: expected tensors under 'state_dict', got {', '.join(map(str, checkpoint)) or '-'}")
    return {key: value for key, value in tensors.items() if not key.startswith(_AUXILIARY)}


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put the weights in; raises EngineError naming the first that is missing, left over or of another shape."""
    expected = network.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights:
            raise EngineError(f"{path}: expected {name}, which is missing")
        if name not in expected:
            raise EngineError(f"{path}: {name} is not of this architecture")
        if weights[name].shape != expected[name].shape:
            shapes = f"{tuple(expected[name].shape)}, got {tuple(weights[name].shape)}"
            raise EngineError(f"{path}: {name}: expected shape {shapes}")
    network.load_state_dict(dict(weights))
    network.eval()


def read_program(path: Path) -> nn.Module:
    """Return a network that torch.export.save or torch.jit.save wrote. Raises EngineError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TorchScript is on its way out; published networks are in it
            if path.suffix == ".pt2":
                return torch.export.load(path).module()
            return torch.jit.load(path, map_location="cpu").eval()
    except Exception as error:
        raise EngineError(f"{path}: expected a torch program (torch.export or TorchScript): {error}") from error


def write_onnx(network: nn.Module, example: Tensor, output: str, path: Path) -> None:
    """Export `network` with a free batch axis; raises EngineError unless ONNX Runtime answers as torch does."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it asks for torchvision, which nothing here uses
    # Programs in TorchScript go through the older exporter, the only one that takes them.
    script = isinstance(network, torch.jit.ScriptModule)
    free = {0: torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)}
    axes = {"dynamic_axes": {"frames": {0: "batch"}, output: {0: "batch"}}} if script else {"dynamic_shapes": (free,)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own, about parts of torch
            torch.onnx.export(
                network,
                (example,),
                str(path),
                input_names=["frames"],
                output_names=[output],
                opset_version=OPSET,
                dynamo=not script,
                external_data=False,
                verbose=False,
                **axes,
            )
    except Exception as error:
        raise EngineError(f"{path.name}: torch cannot export it: {error}") from error
    _compare(network, example, path)


def _compare(network: nn.Module, example: Tensor, path: Path) -> None:
    for batch in (example[:1], example):
        with torch.no_grad():
            answer = network(batch)
        if not isinstance(answer, Tensor):
            raise EngineError(f"expected a network that gives one tensor, got a {type(answer).__name__}")
        expected = answer.numpy()
        actual = run_artefact(path, batch.numpy())
        difference = float(np.abs(actual - expected).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise EngineError(f"{path.name}: ONNX Runtime differs from torch by {difference}")
