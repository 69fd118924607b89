"""The kinds of files that can be imported, and the one way in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from echo_scp.errors import ConfigurationError, EngineError
from echo_scp.imports import any_onnx, echonet_dynamic, usal
from echo_scp.imports.conversion import Kind
from echo_scp.imports.folder import write_folder
from echo_scp.imports.options import ImportOptions
from echo_scp.inference.manifest import Manifest

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

_ALL = (
    Kind(
        "echonet-dynamic-segmentation",
        "EchoNet-Dynamic's left ventricle: DeepLabV3-ResNet50, 112 x 112.",
        "deeplabv3_resnet50_random.pt, and mean and std or clips to estimate them from",
        echonet_dynamic.convert_segmentation,
    ),
    Kind(
        "echonet-dynamic-ef",
        "EchoNet-Dynamic's ejection fraction of a clip: R(2+1)D-18, MC3-18 or R3D-18.",
        "r2plus1d_18_32_2_pretrained.pt, and mean and std or clips to estimate them from",
        echonet_dynamic.convert_ejection_fraction,
    ),
    Kind(
        "usal-view",
        "The views of usal_echo and Zhang et al. 2018: VGG-16, 23 classes, 224 x 224.",
        "a TensorFlow checkpoint (NAME.index with its data file) or an .npz of its variables",
        usal.convert_view,
    ),
    Kind(
        "usal-segmentation",
        "The chambers of usal_echo and Zhang et al. 2018: one U-Net per view, 384 x 384.",
        "a TensorFlow checkpoint (NAME.index with its data file) or an .npz of its variables; --view says which",
        usal.convert_segmentation,
    ),
    Kind(
        "echonet-phenotype",
        "A head of EchoNet's kind: numbers from 20 frames, averaged. Reported as research only.",
        "an .onnx file or a torch program; name its numbers with --set output.values",
        any_onnx.convert_phenotype,
    ),
    Kind(
        "onnx",
        "Any ONNX network, by a manifest.",
        "an .onnx file, and a manifest .toml or settings",
        any_onnx.convert,
    ),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})


def import_engine(kind: str, files: Sequence[Path], options: ImportOptions, out: Path) -> Manifest:
    """Convert `files` and write the engine's folder, `out` / name; return its manifest.

    Raises ConfigurationError for an unknown kind or a wrong name, EngineError or ManifestError naming the file, the
    field and what was expected, StorageError when the disk is full.
    """
    chosen = KINDS.get(kind)
    if chosen is None:
        raise ConfigurationError(f"no kind of import '{kind}'; known are {', '.join(KINDS)}")
    _check_name(options.name or kind)
    for path in files:
        if not path.exists() and not path.with_name(f"{path.name}.index").exists():
            raise EngineError(f"{path}: no such file")
    conversion = chosen.convert(files, options)
    name = options.name or str(conversion.values.get("name", kind))
    _check_name(name)
    return write_folder(chosen, conversion, options, out / name)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"--name {name}: expected small letters, digits and hyphens")
