"""Run an ONNX network with torch, one call per node: what a user of torch would have, from our own artefact."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

Attributes = dict[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Tensor]

# Inputs that say how, not what: shapes, axes, scales, limits. They stay in numpy, where no graph sees them.
_SETTINGS = {
    "Clip": (1, 2),
    "Pad": (1, 2, 3),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}


class UnknownOperatorError(Exception):
    """The network has a node that this file cannot run."""


class TorchNetwork(nn.Module):
    """An fp32 ONNX artefact as a torch module."""

    def __init__(self, artefact: Path) -> None:
        super().__init__()
        graph = onnx.load(artefact).graph
        settings = set(_setting_names(graph))
        self._weights: dict[str, str] = {}
        self._settings: dict[str, np.ndarray] = {}
        for name, value in _constants(graph):
            if name in settings:
                self._settings[name] = value
            else:
                self._weights[name] = f"weight_{len(self._weights)}"
                self.register_buffer(self._weights[name], torch.from_numpy(value.copy()))
        self._steps = [_step(node) for node in graph.node if node.op_type != "Constant"]
        self._input = next(tensor.name for tensor in graph.input if tensor.name not in self._weights)
        self._output = graph.output[0].name

    def forward(self, x: Tensor) -> Tensor:
        values: dict[str, Any] = {name: getattr(self, buffer) for name, buffer in self._weights.items()}
        values |= self._settings | {self._input: x, "": None}
        for operator, attributes, inputs, output in self._steps:
            values[output] = operator([values[name] for name in inputs], attributes)
        return values[self._output]


class HalfNetwork(nn.Module):
    """The same in fp16, with float32 input and output."""

    def __init__(self, artefact: Path) -> None:
        super().__init__()
        self.network = TorchNetwork(artefact).half()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.half()).float()


def _setting_names(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from (node.input[at] for at in _SETTINGS.get(node.op_type, ()) if at < len(node.input))


def _constants(graph: onnx.GraphProto) -> Iterator[tuple[str, np.ndarray]]:
    for tensor in graph.initializer:
        yield tensor.name, numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant":
            yield node.output[0], numpy_helper.to_array(_attributes(node)["value"])


def _step(node: onnx.NodeProto) -> tuple[Operator, Attributes, tuple[str, ...], str]:
    if node.op_type not in OPERATORS:
        raise UnknownOperatorError(f"{node.op_type} of node {node.name!r}")
    return OPERATORS[node.op_type], _attributes(node), tuple(node.input), node.output[0]


def _attributes(node: onnx.NodeProto) -> Attributes:
    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}


def _conv(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, weight, *bias = inputs
    axes = weight.ndim - 2
    x, padding = _pad_for(x, attributes.get("pads", [0] * 2 * axes))
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    return function(
        x,
        weight,
        bias[0] if bias else None,
        attributes.get("strides", [1] * axes),
        padding,
        attributes.get("dilations", [1] * axes),
        attributes.get("group", 1),
    )


def _max_pool(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    kernel = attributes["kernel_shape"]
    x, padding = _pad_for(inputs[0], attributes.get("pads", [0] * 2 * len(kernel)), -torch.inf)
    function = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[len(kernel) - 1]
    return function(x, kernel, attributes.get("strides", kernel), padding, ceil_mode=bool(attributes.get("ceil_mode")))


def _average_pool(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    kernel = attributes["kernel_shape"]
    if any(attributes.get("pads", ())):
        raise UnknownOperatorError("AveragePool with padding")
    function = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[len(kernel) - 1]
    return function(inputs[0], kernel, attributes.get("strides", kernel))


def _pad_for(x: Tensor, pads: Sequence[int], value: float = 0.0) -> tuple[Tensor, list[int]]:
    """Leave symmetric padding to the operator, do the other kind before it."""
    axes = len(pads) // 2
    before, after = list(pads[:axes]), list(pads[axes:])
    if before == after:
        return x, before
    both = list(chain.from_iterable(zip(reversed(before), reversed(after), strict=True)))
    return functional.pad(x, both, value=value), [0] * axes


def _resize(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, _, scales, *sizes = [*inputs, None][:4]
    mode, coordinates = attributes["mode"].decode(), attributes["coordinate_transformation_mode"].decode()
    settings: dict[str, Any] = {}
    if sizes and sizes[0] is not None:
        settings["size"] = [int(size) for size in sizes[0][2:]]
    else:
        settings["scale_factor"] = [float(scale) for scale in scales[2:]]
    if mode == "nearest" and coordinates == "asymmetric" and attributes["nearest_mode"] == b"floor":
        return functional.interpolate(x, **settings, mode="nearest")
    if mode == "linear" and coordinates in {"half_pixel", "pytorch_half_pixel", "align_corners"}:
        return functional.interpolate(x, **settings, mode="bilinear", align_corners=coordinates == "align_corners")
    raise UnknownOperatorError(f"Resize {mode} {coordinates}")


def _pad(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, pads, *rest = inputs
    if attributes.get("mode", b"constant") != b"constant":
        raise UnknownOperatorError("Pad that is not constant")
    axes = len(pads) // 2
    both = chain.from_iterable(zip(reversed(pads[:axes].tolist()), reversed(pads[axes:].tolist()), strict=True))
    return functional.pad(x, list(both), value=float(rest[0]) if rest and rest[0] is not None else 0.0)


def _clip(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, *limits = inputs
    low, high = [None if limit is None else float(limit) for limit in [*limits, None, None][:2]]
    return torch.clamp(x, low, high)


def _gemm(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    a, b, *c = inputs
    product = (a.mT if attributes.get("transA") else a) @ (b.mT if attributes.get("transB") else b)
    product = product * attributes.get("alpha", 1.0)
    return product + attributes.get("beta", 1.0) * c[0] if c else product


def _reduce(function: Callable[..., Tensor]) -> Operator:
    def run(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
        axes = inputs[1].tolist() if len(inputs) > 1 else attributes["axes"]
        return function(inputs[0], dim=tuple(axes), keepdim=bool(attributes.get("keepdims", 1)))

    return run


def _batch_norm(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, scale, bias, mean, variance = inputs
    return functional.batch_norm(x, mean, variance, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _reshape(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, shape = inputs
    return x.reshape([x.shape[axis] if size == 0 else size for axis, size in enumerate(shape.tolist())])


def _squeeze(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    return inputs[0].squeeze(tuple(inputs[1].tolist()))


def _unsqueeze(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x = inputs[0]
    for axis in sorted(inputs[1].tolist()):
        x = x.unsqueeze(axis)
    return x


def _global_average(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    return inputs[0].mean(dim=tuple(range(2, inputs[0].ndim)), keepdim=True)


OPERATORS: dict[str, Operator] = {
    "Add": lambda i, a: i[0] + i[1],
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda i, a: torch.cat(list(i), dim=a["axis"]),
    "Conv": _conv,
    "Div": lambda i, a: i[0] / i[1],
    "Flatten": lambda i, a: i[0].flatten(a.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average,
    "HardSwish": lambda i, a: functional.hardswish(i[0]),
    "Identity": lambda i, a: i[0],
    "MatMul": lambda i, a: i[0] @ i[1],
    "MaxPool": _max_pool,
    "Mul": lambda i, a: i[0] * i[1],
    "Pad": _pad,
    "ReduceMax": _reduce(torch.amax),
    "ReduceMean": _reduce(torch.mean),
    "Relu": lambda i, a: torch.relu(i[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": lambda i, a: torch.sigmoid(i[0]),
    "Softmax": lambda i, a: torch.softmax(i[0], dim=a.get("axis", -1)),
    "Squeeze": _squeeze,
    "Sub": lambda i, a: i[0] - i[1],
    "Transpose": lambda i, a: i[0].permute(a["perm"]),
    "Unsqueeze": _unsqueeze,
}
