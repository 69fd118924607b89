"""Count what a network costs, from its ONNX graph: floating-point operations of one item, 2 per multiply-add."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx


def flops(artefact: Path, input_shape: tuple[int, ...]) -> int:
    """Return the operations of convolutions and matrix products for one item; what is elementwise is left out."""
    model = onnx.load(artefact)
    for axis, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (1, *input_shape), strict=True):
        axis.Clear()
        axis.dim_value = size
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {tensor.name: list(tensor.dims) for tensor in inferred.initializer}
    for tensor in (*inferred.input, *inferred.value_info, *inferred.output):
        shapes[tensor.name] = [dim.dim_value for dim in tensor.type.tensor_type.shape.dim]
    return sum(_cost(node, shapes) for node in inferred.node)


def _cost(node: onnx.NodeProto, shapes: dict[str, list[int]]) -> int:
    if node.op_type == "Conv":
        return 2 * prod(shapes[node.output[0]]) * prod(shapes[node.input[1]][1:])
    if node.op_type in {"Gemm", "MatMul"}:
        transposed = any(item.name == "transA" and item.i for item in node.attribute)
        inner = shapes[node.input[0]][0 if transposed else -1]
        return 2 * prod(shapes[node.output[0]]) * inner
    return 0
