"""EchoNet-Dynamic's two networks (Ouyang et al., Nature 580:252, 2020), from the checkpoints of its release."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from echo_scp.errors import EngineError
from echo_scp.imports.conversion import COMPARED, Conversion
from echo_scp.imports.estimation import mean_and_std
from echo_scp.imports.options import ImportOptions, Values, read_table, with_settings
from echo_scp.imports.requirements import torch_part
from echo_scp.inference.interface import InputTensor, Sampling
from echo_scp.model import Structure, View

SIZE = 112
FRAMES, PERIOD = 32, 2  # of the published run; a checkpoint says its own
_APPROXIMATE = "the published run had about 32.7 and 50.0"
_TEMPORAL_KERNEL_OF_R3D = 3


def convert_segmentation(files: Sequence[Path], options: ImportOptions) -> Conversion:
    """Convert a DeepLabV3-ResNet50 with one logit per pixel."""
    path = _one(files)
    export, deeplab = torch_part("torch_export"), torch_part("networks.deeplab")
    weights = export.weights_of(export.read_checkpoint(path), path)
    network = deeplab.DeepLab(classes=1)
    export.load_weights(network, weights, path)
    values = _complete({"task": "segmentation", "input": _input("NCHW"), "output": _mask()}, options)
    size = read_table(values, "input", InputTensor).size
    dead = deeplab.drop_dead_taps(network, size)

    def write(artefact: Path) -> None:
        export.write_onnx(network, export.torch.randn(2, 3, size, size), "logits", artefact)

    rewritten = f"{dead} dilated convolutions were replaced by 1x1 ones, which is exact at {size} pixels."
    return Conversion(values, write, (path,), ("DeepLabV3-ResNet50, one logit per pixel.", rewritten, COMPARED))


def convert_ejection_fraction(files: Sequence[Path], options: ImportOptions) -> Conversion:
    """Convert an R(2+1)D-18, MC3-18 or R3D-18 that gives the ejection fraction of a clip."""
    path = _one(files)
    export, resnet = torch_part("torch_export"), torch_part("networks.video_resnet")
    checkpoint = export.read_checkpoint(path)
    weights = export.weights_of(checkpoint, path)
    variant = _variant(weights, path)
    network = resnet.VideoResNet(variant, outputs=1)
    export.load_weights(network, weights, path)
    sampling = {"frames": int(checkpoint.get("frames", FRAMES)), "period": int(checkpoint.get("period", PERIOD))}
    tables = {
        "task": "ejection_fraction",
        "input": _input("NCTHW"),
        "output": _ejection_fraction(),
        "sampling": {**sampling, "mode": "clip"},
    }
    values = _complete(tables, options)
    size = read_table(values, "input", InputTensor).size
    frames = read_table(values, "sampling", Sampling).frames

    def write(artefact: Path) -> None:
        export.write_onnx(network, export.torch.randn(2, 3, frames, size, size), "ejection_fraction", artefact)

    return Conversion(values, write, (path,), (f"{variant}, one number per clip.", COMPARED))


def _one(files: Sequence[Path]) -> Path:
    if len(files) != 1:
        raise EngineError(f"expected one checkpoint, got {len(files)} files")
    return files[0]


def _variant(weights: dict[str, Any], path: Path) -> str:
    """Tell the architectures apart by their weights."""
    if "stem.3.weight" in weights:
        return "r2plus1d_18"
    kernel = weights.get("layer2.0.conv1.0.weight")
    if kernel is None:
        raise EngineError(f"{path}: expected stem.3.weight or layer2.0.conv1.0.weight, as R(2+1)D, MC3 and R3D have")
    return "r3d_18" if kernel.shape[2] == _TEMPORAL_KERNEL_OF_R3D else "mc3_18"


def _complete(tables: Values, options: ImportOptions) -> Values:
    """Return the tables with the settings, and with a mean and a standard deviation."""
    values = with_settings({"views": [View.A4C.value], **tables}, options.settings)
    tensor = values["input"]
    if {"mean", "std"} <= tensor.keys():
        return values
    if not options.clips:
        trouble = "expected --mean and --std (input.mean, input.std), or --clips to estimate them from"
        raise EngineError(f"{trouble}: the checkpoint does not hold them; {_APPROXIMATE}")
    bare = read_table({"input": {**tensor, "mean": 0.0, "std": 1.0}}, "input", InputTensor)
    mean, std = mean_and_std(options.clips, bare)
    values["input"] = {**tensor, "mean": mean, "std": std}
    return values


def _input(layout: str) -> Values:
    return {
        "tensor": "frames",
        "size": SIZE,
        "channels": 3,
        "layout": layout,
        "scale": 1.0,
        "fit": "crop",
        "border": 0.1,
        "interpolation": "cubic",
        "sector_degrees": 90.0,
    }


def _mask() -> Values:
    return {"tensor": "logits", "activation": "sigmoid", "labels": ["background", Structure.LV_CAVITY.value]}


def _ejection_fraction() -> Values:
    value = {"name": "ejection_fraction", "unit": "%"}
    return {"tensor": "ejection_fraction", "activation": "regression", "values": [value]}
