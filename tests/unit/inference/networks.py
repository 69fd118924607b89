"""Tiny networks with every kind of layer that the shipped ones have, so that tests of runtimes take no time."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from echo_scp.inference.manifest import Manifest
from tests.unit.fakes import SEGMENT_LABELS, VIEW_LABELS, make_manifest

SIZE = 32
IR_VERSION = 10


def make_network(folder: Path, task: str = "segmentation", **tensor: int) -> Manifest:
    """Write `model.onnx` of a network with random weights, and return the manifest that fits.

    `tensor` goes into the manifest's table [input].
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = network_bytes(task, free="multiple_of" in tensor)
    (folder / "model.onnx").write_bytes(content)
    artefact = {"file": "model.onnx", "sha256": hashlib.sha256(content).hexdigest()}
    table = {"tensor": "frames", "size": SIZE, "mean": 0.0, "std": 1.0, **tensor}
    return make_manifest(task, SIZE, folder=folder, artefacts={"fp32": artefact}, input=table)


def network_bytes(task: str = "segmentation", *, free: bool = False) -> bytes:
    """Return the ONNX model: frames (N, 1, S, S) -> logits; `free`: rows and columns of a segmentation may be any."""
    sides: list[str | int] = ["rows", "columns"] if free else [SIZE, SIZE]
    labels = len(SEGMENT_LABELS if task == "segmentation" else VIEW_LABELS)
    nodes, weights = _segmentation(labels) if task == "segmentation" else _view(labels)
    answer = [labels, *sides] if task == "segmentation" else [labels]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["batch", 1, *sides])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", *answer])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())


def _segmentation(labels: int):
    nodes = [
        helper.make_node("Conv", ["frames", "w0", "b0"], ["conv"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["conv", "zero", "six"], ["relu6"]),
        helper.make_node("MaxPool", ["relu6"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pool", "w1", "b1"], ["depthwise"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=4),
        helper.make_node("Relu", ["depthwise"], ["relu"]),
        helper.make_node(
            "Resize",
            ["relu", "", "scales"],
            ["up"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node("Concat", ["up", "relu6"], ["both"], axis=1),
        helper.make_node("Conv", ["both", "w2", "b2"], ["logits"], kernel_shape=[1, 1]),
    ]
    weights = [
        *_weights(0, (4, 1, 3, 3)),
        *_weights(1, (4, 1, 3, 3)),
        *_weights(2, (labels, 8, 1, 1)),
        numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"),
        numpy_helper.from_array(np.float32(0), "zero"),
        numpy_helper.from_array(np.float32(6), "six"),
    ]
    return nodes, weights


def _view(labels: int):
    nodes = [
        helper.make_node("Conv", ["frames", "w0", "b0"], ["conv"], kernel_shape=[3, 3], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("ReduceMean", ["relu", "axes"], ["mean"], keepdims=0),
        helper.make_node("Gemm", ["mean", "w1", "b1"], ["logits"], transB=1),
    ]
    axes = numpy_helper.from_array(np.array([2, 3], np.int64), "axes")
    return nodes, [*_weights(0, (4, 1, 3, 3)), *_weights(1, (labels, 4)), axes]


def _weights(number: int, shape: tuple[int, ...]):
    rng = np.random.default_rng(number)
    return (
        numpy_helper.from_array(rng.normal(0, 1, shape).astype(np.float32), f"w{number}"),
        numpy_helper.from_array(rng.normal(0, 1, shape[:1]).astype(np.float32), f"b{number}"),
    )
