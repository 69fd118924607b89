"""The networks of usal_echo, which are those of Zhang et al. (Circulation 138:1623, 2018), from their checkpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from echo_scp.errors import EngineError
from echo_scp.imports.conversion import COMPARED, Conversion
from echo_scp.imports.options import ImportOptions, Values, read_table, with_settings
from echo_scp.imports.requirements import torch_part
from echo_scp.imports.tensor_bundle import Variables, checkpoint_files, read_variables
from echo_scp.inference.interface import InputTensor
from echo_scp.model import Structure, View

VIEW_SIZE, SEGMENTATION_SIZE = 224, 384
MEAN_GREY = 24.0
STRIDE = 32  # what the input's side must be a multiple of

# Zhang's 23 views in the order of the network's channels: what each is, and what it counts as where only a full view of
# the ventricle does. The names in the comments are theirs.
_VIEWS: tuple[tuple[View, View], ...] = (
    (View.PLAX, View.OTHER),  # plax_far
    (View.PLAX, View.PLAX),  # plax_plax
    (View.PLAX, View.OTHER),  # plax_laz
    (View.PSAX, View.PSAX),  # psax_az
    (View.PSAX, View.PSAX),  # psax_mv
    (View.PSAX, View.PSAX),  # psax_pap
    (View.A2C, View.OTHER),  # a2c_lvocc_s
    (View.A2C, View.OTHER),  # a2c_laocc
    (View.A2C, View.A2C),  # a2c
    (View.A3C, View.OTHER),  # a3c_lvocc_s
    (View.A3C, View.OTHER),  # a3c_laocc
    (View.A3C, View.A3C),  # a3c
    (View.A4C, View.OTHER),  # a4c_lvocc_s
    (View.A4C, View.OTHER),  # a4c_laocc
    (View.A4C, View.A4C),  # a4c
    (View.A5C, View.A5C),  # a5c
    (View.OTHER, View.OTHER),  # other
    (View.OTHER, View.OTHER),  # rvinf
    (View.PSAX, View.PSAX),  # psax_avz
    (View.OTHER, View.OTHER),  # suprasternal
    (View.SUBCOSTAL, View.SUBCOSTAL),  # subcostal
    (View.PLAX, View.OTHER),  # plax_lac
    (View.PSAX, View.PSAX),  # psax_apex
)
_STRUCTURES: Mapping[View, tuple[str, ...]] = {
    View.A4C: (
        "background",
        Structure.LV_MYOCARDIUM,
        Structure.LV_CAVITY,
        "ignore",  # right ventricle
        Structure.LEFT_ATRIUM,
        "ignore",  # right atrium
    ),
    View.A2C: ("background", Structure.LV_MYOCARDIUM, Structure.LV_CAVITY, Structure.LEFT_ATRIUM),
    View.PLAX: (
        "background",
        Structure.LV_CAVITY,
        "ignore",
        Structure.AORTIC_ROOT,
        "ignore",
        Structure.LEFT_ATRIUM,
        "ignore",
    ),
}


def convert_view(files: Sequence[Path], options: ImportOptions) -> Conversion:
    """Convert the VGG-16 that tells 23 views apart; the `view_map` of the options says which count as which."""
    path, variables = _read(files)
    layers = _layers(variables, "conv1_1/W", path)
    export, vgg = torch_part("torch_export"), torch_part("networks.vgg")
    names = [f"conv{stage}_{index}" for stage, count in enumerate(vgg.STAGES, 1) for index in range(1, count + 1)]
    widths = [_shape(layers, f"conv{stage}_1/W", path)[-1] for stage in range(1, len(vgg.STAGES) + 1)]
    hidden, classes = _shape(layers, "fc8/W", path)
    values = with_settings(_view_tables(classes, options, path), options.settings)
    size = _size(values)
    weights = {**_convolutions(layers, names, path), **_dense(layers, widths[-1], size // STRIDE, path)}
    network = vgg.Vgg(widths, hidden, classes, size)
    export.load_weights(network, {name: export.torch.from_numpy(value) for name, value in weights.items()}, path)

    def write(artefact: Path) -> None:
        export.write_onnx(network, 50 * export.torch.randn(2, 3, size, size), "logits", artefact)

    facts = (f"VGG-16, {classes} classes.", f"View map: {options.view_map}.", COMPARED)
    return Conversion(values, write, checkpoint_files(path), facts)


def convert_segmentation(files: Sequence[Path], options: ImportOptions) -> Conversion:
    """Convert the U-Net of one view; `views` of the options says which, A4C, A2C or PLAX, unless labels are set."""
    path, variables = _read(files)
    layers = _layers(variables, "conv1_1/W", path)
    export, unet = torch_part("torch_export"), torch_part("networks.unet")
    width = _shape(layers, "conv1_1/W", path)[-1]
    classes = _shape(layers, f"{unet.LAST}/W", path)[-1]
    values = with_settings(_segmentation_tables(classes, options, path), options.settings)
    size = _size(values)
    names = (*unet.ENCODER, *unet.DECODER, unet.LAST)
    weights = {**_convolutions(layers, names, path), **_upsamplings(layers, unet.UPSAMPLINGS, path)}
    network = unet.UNet(width, classes)
    export.load_weights(network, {name: export.torch.from_numpy(value) for name, value in weights.items()}, path)

    def write(artefact: Path) -> None:
        export.write_onnx(network, 50 * export.torch.randn(2, 1, size, size), "logits", artefact)

    facts = (f"U-Net of {width} to {32 * width} channels, {classes} classes.", COMPARED)
    return Conversion(values, write, checkpoint_files(path), facts)


def _read(files: Sequence[Path]) -> tuple[Path, Variables]:
    """Read the checkpoint, of which the user may have named one file or all of them."""
    telling = [path for path in files if path.suffix in (".index", ".npz")] or list(files)
    if len(telling) != 1:
        raise EngineError(f"expected one checkpoint (NAME.index or an .npz), got {len(telling)} files")
    return telling[0], read_variables(telling[0])


def _layers(variables: Variables, first: str, path: Path) -> Variables:
    """Return the variables without their scope; what an optimiser keeps beside them has longer names."""
    scopes = [name.removesuffix(first) for name in variables if name.endswith(first)]
    if len(scopes) != 1:
        raise EngineError(f"{path}: expected one variable {first} in some scope, got {len(scopes)}")
    return {name.removeprefix(scopes[0]): value for name, value in variables.items() if name.startswith(scopes[0])}


def _take(layers: Variables, name: str, path: Path) -> NDArray[np.float32]:
    if name not in layers:
        raise EngineError(f"{path}: expected variable {name}, which is missing")
    return layers[name]


def _shape(layers: Variables, name: str, path: Path) -> tuple[int, ...]:
    return _take(layers, name, path).shape


def _convolutions(layers: Variables, names: Iterable[str], path: Path) -> dict[str, NDArray[np.float32]]:
    """Turn kernels (height, width, in, out) into torch's (out, in, height, width)."""
    weights = {}
    for name in names:
        weights[f"{name}.weight"] = np.ascontiguousarray(_take(layers, f"{name}/W", path).transpose(3, 2, 0, 1))
        weights[f"{name}.bias"] = np.array(_take(layers, f"{name}/b", path))
    return weights


def _upsamplings(layers: Variables, names: Iterable[str], path: Path) -> dict[str, NDArray[np.float32]]:
    """Turn kernels (height, width, out, in) into torch's (in, out, height, width)."""
    weights = {}
    for name in names:
        weights[f"{name}.weight"] = np.ascontiguousarray(_take(layers, f"{name}/kernel", path).transpose(3, 2, 0, 1))
        weights[f"{name}.bias"] = np.array(_take(layers, f"{name}/bias", path))
    return weights


def _dense(layers: Variables, channels: int, side: int, path: Path) -> dict[str, NDArray[np.float32]]:
    """Turn matrices (in, out) into torch's (out, in); the first reads a map whose channels TensorFlow counts last."""
    first = _take(layers, "fc6/W", path)
    if first.shape[0] != side * side * channels:
        expected = f"{side} x {side} x {channels} = {side * side * channels} rows in fc6/W"
        raise EngineError(f"{path}: expected {expected}, got {first.shape[0]}; maxout networks are not supported")
    by_channel = first.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(first.shape)
    matrices = {"fc6": by_channel, "fc7": _take(layers, "fc7/W", path), "fc8": _take(layers, "fc8/W", path)}
    weights = {f"{name}.weight": np.ascontiguousarray(matrix.T) for name, matrix in matrices.items()}
    return weights | {f"{name}.bias": np.array(_take(layers, f"{name}/b", path)) for name in matrices}


def _view_tables(classes: int, options: ImportOptions, path: Path) -> Values:
    merged = options.view_map == "merged"
    labels = [(whole if merged else strict).value for whole, strict in _VIEWS]
    if classes != len(_VIEWS) and not any(setting.startswith("output.labels") for setting in options.settings):
        raise EngineError(f"{path}: expected {len(_VIEWS)} classes, got {classes}: name them with --set output.labels")
    return {
        "task": "view",
        "input": {**_input(VIEW_SIZE, 3), "interpolation": "linear"},
        "output": {"tensor": "logits", "labels": labels},
        "decision": {"threshold": 0.0, "frames_per_clip": 10},
    }


def _segmentation_tables(classes: int, options: ImportOptions, path: Path) -> Values:
    if len(options.views) != 1:  # A2C, A3C and PSAX networks have four classes each
        raise EngineError(f"{path}: expected the one view that the network is for, such as --view A4C")
    labels = _STRUCTURES.get(View(options.views[0]), ()) if options.views[0] in set(View) else ()
    if len(labels) != classes and not any(setting.startswith("output.labels") for setting in options.settings):
        expected = ", ".join(f"{len(labels)} for {view}" for view, labels in _STRUCTURES.items())
        raise EngineError(f"{path}: has {classes} classes, known are {expected}: name them with --set output.labels")
    return {
        "task": "segmentation",
        "input": _input(SEGMENTATION_SIZE, 1),
        "output": {"tensor": "logits", "labels": [str(label) for label in labels]},
    }


def _input(size: int, channels: int) -> Values:
    return {
        "tensor": "frames",
        "size": size,
        "channels": channels,
        "scale": 1.0,
        "mean": MEAN_GREY,
        "std": 1.0,
        "area": "picture",
        "fit": "stretch",
    }


def _size(values: Values) -> int:
    size = read_table(values, "input", InputTensor).size
    if size % STRIDE:
        raise EngineError(f"input.size: expected a multiple of {STRIDE}, got {size}")
    return size
