"""Derive the fp16 artefact of a network from its fp32 one: half weights and arithmetic, float32 input and output.

TensorRT's networks are strongly typed, so the artefact itself must say fp16. Needs the package `onnx`, which a site
needs only to import engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from echo_scp.errors import EngineError

# Inputs that stay float32 whatever the data is: their type in the operator's schema is not the data's.
_FLOAT_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}


def half_precision(model: bytes) -> bytes:
    """Return the fp16 counterpart of an ONNX `model`.

    Raises EngineError when it is quantised, has subgraphs, has weights that fp16 cannot hold, or mixes types.
    """
    import onnx

    network = onnx.load_model_from_string(model)
    _refuse(network.graph, onnx)
    kept = set(_kept_float(network.graph))
    for tensor in network.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and tensor.name not in kept:
            tensor.CopyFrom(_half_tensor(tensor, onnx))
    for node in network.graph.node:
        _halve_attributes(node, kept, onnx)
    _cast_inputs(network.graph, onnx)
    _cast_outputs(network.graph, onnx)
    del network.graph.value_info[:]
    try:
        onnx.checker.check_model(network, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise EngineError(f"the network cannot be halved: {error}") from error
    return bytes(network.SerializeToString())


def _refuse(graph: Any, onnx: Any) -> None:  # noqa: ANN401 - onnx is not typed
    operators = {node.op_type for node in graph.node}
    if operators & {"QuantizeLinear", "DequantizeLinear"}:
        raise EngineError("expected an fp32 network, this one is quantised")
    if any(attribute.type == onnx.AttributeProto.GRAPH for node in graph.node for attribute in node.attribute):
        raise EngineError(f"a network with subgraphs cannot be halved ({', '.join(sorted(operators))})")


def _kept_float(graph: Any) -> Iterator[str]:  # noqa: ANN401
    for node in graph.node:
        for position in _FLOAT_INPUTS.get(node.op_type, ()):
            if position < len(node.input) and node.input[position]:
                yield node.input[position]


def _half_tensor(tensor: Any, onnx: Any) -> Any:  # noqa: ANN401
    values = onnx.numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        halved = values.astype(np.float16)
    if np.isfinite(values).all() and not np.isfinite(halved).all():
        raise EngineError(f"{tensor.name}: fp16 cannot hold {np.abs(values).max():g}")
    return onnx.numpy_helper.from_array(halved, tensor.name)


def _halve_attributes(node: Any, kept: set[str], onnx: Any) -> None:  # noqa: ANN401
    """Make constants and casts give fp16, unless what they give must stay float32."""
    if kept.intersection(node.output):
        return
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.TENSOR and attribute.t.data_type == onnx.TensorProto.FLOAT:
            attribute.t.CopyFrom(_half_tensor(attribute.t, onnx))
        elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == onnx.TensorProto.FLOAT:
            attribute.i = onnx.TensorProto.FLOAT16


def _cast_inputs(graph: Any, onnx: Any) -> None:  # noqa: ANN401
    constants = {tensor.name for tensor in graph.initializer}
    for tensor in graph.input:
        if tensor.name in constants or tensor.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        halved = f"{tensor.name}_fp16"
        for node in graph.node:
            node.input[:] = [halved if name == tensor.name else name for name in node.input]
        cast = onnx.helper.make_node("Cast", [tensor.name], [halved], to=onnx.TensorProto.FLOAT16)
        graph.node.insert(0, cast)


def _cast_outputs(graph: Any, onnx: Any) -> None:  # noqa: ANN401
    for tensor in graph.output:
        if tensor.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
            continue
        halved = f"{tensor.name}_fp16"
        for node in graph.node:
            node.input[:] = [halved if name == tensor.name else name for name in node.input]
            node.output[:] = [halved if name == tensor.name else name for name in node.output]
        graph.node.append(onnx.helper.make_node("Cast", [halved], [tensor.name], to=onnx.TensorProto.FLOAT))
