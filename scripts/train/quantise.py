"""Add the int8 artefact to a segmentation engine, and measure what it costs.

    python scripts/train/quantise.py --data FOLDER --engine engines/lv-apical

Static quantisation by ONNX Runtime: symmetric int8 activations and weights (one scale per output channel), biases in
fp32. Only dense convolutions wider than one pixel, without the first: the others lose accuracy and gain no time (all of
lv-apical in int8: LV 0.927 in place of 0.940, and slower than fp32). TensorRT takes the same file. The scales come from
training frames under the training's own augmentation; the Dice on the valid patients goes into the manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import augment
import camus
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from segmentation_scores import Scores, score_engine

from echo_scp.inference.manifest import Manifest, read_manifest
from echo_scp.inference.onnxruntime import OnnxRuntimeEngine

FILE = "model-int8.onnx"
CALIBRATION_FRAMES = 128
BATCH = 8


class Frames(CalibrationDataReader):
    """Batches of augmented training frames."""

    def __init__(self, manifest: Manifest, data: Path) -> None:
        self._batches = _batches(manifest, data)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


def _batches(manifest: Manifest, data: Path) -> Iterator[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    size = manifest.input.size
    frames = camus.read(data / "camus-a4c.npz", "train", size).images
    for chosen in np.array_split(
        rng.choice(len(frames), CALIBRATION_FRAMES, replace=False), CALIBRATION_FRAMES // BATCH
    ):
        pictures = [augment.augment(frames[k], np.zeros_like(frames[k]), size, rng, 0.5)[0] for k in chosen]
        yield {manifest.input.tensor: np.stack(pictures)[:, None]}


def quantise(manifest: Manifest, data: Path) -> Path:
    """Write the int8 artefact beside the fp32 one."""
    target = manifest.folder / FILE
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(manifest.artefact_path("fp32")), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            Frames(manifest, data),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_quantize=list(wide_convolutions(onnx.load(prepared).graph)),
            extra_options={"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False},
        )
    return target


def wide_convolutions(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the names of the dense convolutions wider than one pixel, without the first."""
    wide = []
    for node in graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        dense = "group" not in attributes or attributes["group"].i == 1
        if node.op_type == "Conv" and dense and max(attributes["kernel_shape"].ints) > 1:
            wide.append(node.name)
    if len(wide) < 2:
        raise SystemExit("this network has no convolution that int8 would make faster")
    return tuple(wide[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--engine", type=Path, required=True)
    arguments = parser.parse_args()
    manifest = read_manifest(arguments.engine)
    write_artefact(arguments.engine / "manifest.toml", quantise(manifest, arguments.data))
    manifest = read_manifest(arguments.engine)
    valid = camus.read(arguments.data / "camus-a4c.npz", "valid", manifest.input.size)
    fp32, int8 = (score_engine(OnnxRuntimeEngine(manifest, precision), valid) for precision in ("fp32", "int8"))
    print(f"fp32 {fp32.line}\nint8 {int8.line}", flush=True)
    write_metrics(arguments.engine / "manifest.toml", int8)


def write_artefact(path: Path, artefact: Path) -> None:
    """Name the artefact in the manifest, in place of an earlier one."""
    text = re.sub(r"\n\[artefacts\.int8\]\n[^\[]*", "\n", path.read_text(encoding="utf-8"))
    digest = hashlib.sha256(artefact.read_bytes()).hexdigest()
    table = f'[artefacts.int8]\nfile = "{artefact.name}"\nsha256 = "{digest}"\n\n'
    path.write_text(text.replace("[input]\n", f"{table}[input]\n"), encoding="utf-8")


def write_metrics(path: Path, scores: Scores) -> None:
    """Put the int8 Dice at the end of the manifest's metrics, in place of earlier ones."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "_int8_" not in line]
    found = scores.metrics("camus_a4c_valid_int8")
    lines += [f"{name} = {value}" for name, value in found.items() if "_dice" in name]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
