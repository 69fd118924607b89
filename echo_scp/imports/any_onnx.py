"""Any network that is ONNX already, or that torch can export; what it means is said by a manifest or by settings."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from echo_scp.errors import EngineError
from echo_scp.imports.conversion import COMPARED, Conversion
from echo_scp.imports.options import ImportOptions, Values, read_table, with_settings
from echo_scp.imports.requirements import torch_part
from echo_scp.inference.interface import InputTensor
from echo_scp.inference.manifest import Task
from echo_scp.inference.onnx_artefact import stands_alone, tensors_of, weight_files, write_as_one
from echo_scp.model import View

PHENOTYPE_SIZE = 299
_TORCH_PROGRAMS = (".pt2", ".pt", ".pth", ".ts")
_RANKS = {4, 5}  # frames, clips


def convert(files: Sequence[Path], options: ImportOptions) -> Conversion:
    """Take an ONNX file as it is; settings, or a manifest beside it, say what it takes and gives."""
    network, stated = _files(files)
    return _described(network, {}, stated, options)


def convert_phenotype(files: Sequence[Path], options: ImportOptions) -> Conversion:
    """Take a head that looks at single frames of a clip, as EchoNet's do; `output.values` must be set.

    20 frames 100 ms apart, their answers averaged (Ghorbani et al., npj Digital Medicine 3:10, 2020).
    """
    network, stated = _files(files)
    task: Task = "phenotype"
    tensor = {"size": PHENOTYPE_SIZE, "channels": 3, "fit": "stretch"}
    defaults = {
        "task": task,
        "views": [View.A4C.value],
        "input": tensor,
        "output": {"activation": "regression"},
        "sampling": {"frames": 20, "interval_ms": 100.0, "clips": 1},
    }
    return _described(network, defaults, stated, options)


def _described(network: Path, defaults: Values, stated: Values, options: ImportOptions) -> Conversion:
    """Put what the file says over the defaults, what a manifest says over that, and the settings over all."""
    if network.suffix in _TORCH_PROGRAMS:
        return _exported(network, _over(defaults, stated), options)
    values = with_settings(_over(_over(defaults, _facts(network)), stated), options.settings)
    if not stands_alone(network):
        weights = weight_files(network)
        joined = (f"The ONNX file and its weights in {len(weights)} more, as one file.",)
        return Conversion(values, partial(write_as_one, network), (network, *weights), joined)

    def write(artefact: Path) -> None:
        shutil.copyfile(network, artefact)

    return Conversion(values, write, (network,), ("The ONNX file as it was given.",))


def _exported(network: Path, stated: Values, options: ImportOptions) -> Conversion:
    """Export a torch program, which holds no shapes that we could read: the settings say them."""
    export = torch_part("torch_export")
    module = export.read_program(network)
    known: Values = {"input": {"tensor": "frames", "layout": "NCHW", "channels": 1}, "output": {"tensor": "answer"}}
    values = with_settings(_over(known, stated), options.settings)
    tensor = read_table(values, "input", InputTensor)
    if tensor.layout != "NCHW":
        raise EngineError(f"{network}: expected a network of frames as NCHW; export others to ONNX first")

    def write(artefact: Path) -> None:
        example = export.torch.rand(2, tensor.channels, tensor.size, tensor.size)
        export.write_onnx(module, example, str(values["output"]["tensor"]), artefact)

    return Conversion(values, write, (network,), ("A torch program, exported.", COMPARED))


def _files(files: Sequence[Path]) -> tuple[Path, Values]:
    manifests = [path for path in files if path.suffix == ".toml"]
    networks = [path for path in files if path.suffix != ".toml"]
    if len(networks) != 1 or len(manifests) > 1:
        raise EngineError("expected one network (.onnx, or a torch program) and at most one manifest (.toml)")
    return networks[0], _read(manifests[0]) if manifests else {}


def _read(path: Path) -> Values:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(f"{path}: expected a manifest: {error}") from error
    return {key: value for key, value in values.items() if key != "artefacts"}


def _facts(network: Path) -> Values:
    """Return what the file itself says: names, size, channels and their order."""
    tensors = tensors_of(network)
    if len(tensors.inputs) != 1 or not all(len(shape) in _RANKS for shape in tensors.inputs.values()):
        shapes = ", ".join(f"{name} {shape}" for name, shape in tensors.inputs.items())
        raise EngineError(f"{network}: expected one input of frames (4 axes) or clips (5 axes), got {shapes}")
    ((name, shape),) = tensors.inputs.items()
    return {"input": {"tensor": name, **_geometry(shape)}, "output": {"tensor": next(iter(tensors.outputs))}}


def _geometry(shape: Sequence[object]) -> Values:
    axes = list(shape[1:])
    if len(axes) == 4:
        found: dict[str, object] = {"layout": "NCTHW", "channels": axes[0], "size": axes[3]}
    elif axes[2] in (1, 3):
        found = {"layout": "NHWC", "channels": axes[2], "size": axes[0]}
    else:
        found = {"layout": "NCHW", "channels": axes[0], "size": axes[2]}
    return {key: value for key, value in found.items() if not isinstance(value, str) or key == "layout"}


def _over(below: Values, above: dict[str, Any]) -> Values:
    """Return `below` with `above` over it, table by table."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        merged[key] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
    return merged
