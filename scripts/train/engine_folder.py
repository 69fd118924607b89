"""Write an engine folder: the ONNX artefact, and the manifest that describes it with measured numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

TOLERANCE = 1e-4


@dataclass(frozen=True)
class EngineFolder:
    """What the manifest says beside the metrics."""

    path: Path
    name: str
    version: str
    task: str
    licence: str
    size: int
    labels: tuple[str, ...]
    data: str
    script: str
    seed: int
    views: tuple[str, ...] = ()
    multiple_of: int | None = None
    decision: dict[str, float | int] = field(default_factory=dict)


def write_engine(folder: EngineFolder, model: nn.Module, metrics: dict[str, float]) -> None:
    """Export `model`, compare ONNX Runtime with torch, write `model.onnx` and `manifest.toml`."""
    folder.path.mkdir(parents=True, exist_ok=True)
    artefact = folder.path / "model.onnx"
    _export(model.eval().to(memory_format=torch.contiguous_format), artefact, folder)
    digest = hashlib.sha256(artefact.read_bytes()).hexdigest()
    (folder.path / "manifest.toml").write_text(_manifest(folder, digest, metrics), encoding="utf-8")
    print(f"{folder.path}: {artefact.stat().st_size / 1e6:.1f} MB, sha256 {digest}")


def _export(model: nn.Module, artefact: Path, folder: EngineFolder) -> None:
    example = torch.rand(2, 1, folder.size, folder.size)
    torch.onnx.export(
        model,
        (example,),
        str(artefact),
        input_names=["frames"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=512)},),
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    forget_origin(artefact)
    shapes = [(1, folder.size, folder.size), (5, folder.size, folder.size)]
    if folder.multiple_of is not None:
        free_sides(artefact)
        shapes.append((2, folder.multiple_of, folder.size - folder.multiple_of))
    session = onnxruntime.InferenceSession(str(artefact), providers=["CPUExecutionProvider"])
    for batch, rows, columns in shapes:
        x = torch.rand(batch, 1, rows, columns)
        with torch.no_grad():
            expected = model(x).numpy()
        (actual,) = session.run(["logits"], {"frames": x.numpy()})
        difference = float(np.abs(actual - expected).max())
        if difference > TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise SystemExit(f"{artefact}: ONNX Runtime differs from torch by {difference}")


def forget_origin(artefact: Path) -> None:
    """Remove the stack traces that the exporter notes at each node: paths of the machine, of no use to anybody else."""
    model = onnx.load(artefact)
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del noted.metadata_props[:]
    artefact.write_bytes(model.SerializeToString(deterministic=True))


def free_sides(artefact: Path) -> None:
    """Let rows and columns be any: the layers of a convolutional network do not ask, the exporter wrote a size down."""
    model = onnx.load(artefact)
    for tensor in (model.graph.input[0], model.graph.output[0]):
        _, _, rows, columns = tensor.type.tensor_type.shape.dim
        rows.dim_param, columns.dim_param = "rows", "columns"
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    artefact.write_bytes(model.SerializeToString(deterministic=True))


def _manifest(folder: EngineFolder, digest: str, metrics: dict[str, float]) -> str:
    labels = ", ".join(f'"{label}"' for label in folder.labels)
    lines = [
        "schema = 1",
        f'name = "{folder.name}"',
        f'version = "{folder.version}"',
        f'task = "{folder.task}"',
        f'licence = "{folder.licence}"',
    ]
    if folder.views:
        lines.append("views = [" + ", ".join(f'"{view}"' for view in folder.views) + "]")
    lines += ["", "[artefacts.fp32]", 'file = "model.onnx"', f'sha256 = "{digest}"']
    lines += ["", "[input]", 'tensor = "frames"', f"size = {folder.size}", "mean = 0.0", "std = 1.0"]
    if folder.multiple_of is not None:
        lines.append(f"multiple_of = {folder.multiple_of}")
    lines += ["", "[output]", 'tensor = "logits"', f"labels = [{labels}]"]
    if folder.decision:
        lines += ["", "[decision]", *(f"{key} = {value}" for key, value in folder.decision.items())]
    lines += ["", "[training]", f'data = "{folder.data}"', f'script = "{folder.script}"', f"seed = {folder.seed}"]
    lines += ["", "[metrics]", *(f"{key} = {value}" for key, value in metrics.items())]
    return "\n".join(lines) + "\n"
