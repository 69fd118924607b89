"""Write DeepLabV3-ResNet50 as EchoNet-Dynamic uses it, with random weights: 3 x 112 x 112 in, one channel out.

The architecture is that of torchvision without auxiliary head: output stride 8, ASPP rates 12, 24 and 36. Batch
normalisation is folded into the convolutions, as every runtime does on loading.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = 112
OPSET, IR = 17, 8
STAGES = ((3, 64, 1, 1), (4, 128, 2, 1), (6, 256, 1, 2), (3, 512, 1, 4))  # blocks, width, stride, dilation
RATES = (12, 24, 36)


class Graph:
    """Collects nodes and random weights."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(seed)

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def constant(self, values: np.ndarray) -> str:
        name = f"constant{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(
        self, x: str, sizes: tuple[int, int], kernel: int, stride: int = 1, dilation: int = 1, *, relu: bool = True
    ) -> str:
        inputs, outputs = sizes
        scale = (2 / (inputs * kernel * kernel)) ** 0.5
        weight = (self._rng.standard_normal((outputs, inputs, kernel, kernel)) * scale).astype(np.float32)
        padding = dilation * (kernel // 2)
        y = self.add(
            "Conv",
            x,
            self.constant(weight),
            self.constant(np.zeros(outputs, dtype=np.float32)),
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            dilations=[dilation, dilation],
            pads=[padding] * 4,
        )
        return self.add("Relu", y) if relu else y

    def enlarge(self, x: str, size: int) -> str:
        sizes = self.constant(np.array([1, 256 if size < SIZE else 1, size, size], dtype=np.int64))
        return self.add("Resize", x, "", "", sizes, mode="linear", coordinate_transformation_mode="half_pixel")


def write_network(path: Path, seed: int = 0) -> Path:
    """Write the network for batches of one frame, unless it is there."""
    if not path.is_file():
        graph = Graph(seed)
        logits = graph.enlarge(_head(graph, _backbone(graph, "frames")), SIZE)
        made = helper.make_graph(
            [*graph.nodes, helper.make_node("Identity", [logits], ["logits"])],
            "deeplabv3_resnet50",
            [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 1, SIZE, SIZE])],
            graph.weights,
        )
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        onnx.checker.check_model(model, full_check=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
    return path


def _backbone(graph: Graph, x: str) -> str:
    x = graph.conv(x, (3, 64), 7, stride=2)
    x = graph.add("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels, before = 64, 1
    for blocks, width, stride, dilation in STAGES:
        for block in range(blocks):
            first = block == 0
            x = _bottleneck(graph, x, (channels, width), stride if first else 1, before if first else dilation)
            channels = 4 * width
        before = dilation
    return x


def _bottleneck(graph: Graph, x: str, sizes: tuple[int, int], stride: int, dilation: int) -> str:
    channels, width = sizes
    y = graph.conv(x, (channels, width), 1)
    y = graph.conv(y, (width, width), 3, stride=stride, dilation=dilation)
    y = graph.conv(y, (width, 4 * width), 1, relu=False)
    if channels != 4 * width:
        x = graph.conv(x, (channels, 4 * width), 1, stride=stride, relu=False)
    return graph.add("Relu", graph.add("Add", x, y))


def _head(graph: Graph, x: str) -> str:
    pooled = graph.conv(graph.add("GlobalAveragePool", x), (2048, 256), 1)
    branches = [graph.conv(x, (2048, 256), 1), *(graph.conv(x, (2048, 256), 3, dilation=rate) for rate in RATES)]
    x = graph.add("Concat", *branches, graph.enlarge(pooled, SIZE // 8), axis=1)
    x = graph.conv(graph.conv(x, (5 * 256, 256), 1), (256, 256), 3)
    return graph.conv(x, (256, 1), 1, relu=False)
