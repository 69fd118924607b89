"""Take the weights of an exported network back into the module that it was exported from."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn


@torch.no_grad()
def restore(model: nn.Module, artefact: Path) -> None:
    """Fill `model` from its ONNX artefact.

    The exporter folds a batch normalisation into the convolution before it: what is left of it is a shift. Such a
    network gives the same answers, and learns on as long as its batch normalisations stay in evaluation mode.
    Raises KeyError when the artefact is of another network.
    """
    graph = onnx.load(artefact).graph
    values = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    modules = dict(model.named_modules())
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        _, weight, bias = node.input
        name = weight.removesuffix(".weight")
        convolution = modules[name]
        convolution.weight.copy_(values[weight])
        if convolution.bias is not None:
            convolution.bias.copy_(values[bias])
            continue
        layers, place = name.rsplit(".", 1)
        normalisation = modules[f"{layers}.{int(place) + 1}"]
        normalisation.weight.fill_(1.0)
        normalisation.bias.copy_(values[bias])
        normalisation.running_mean.zero_()
        normalisation.running_var.fill_(1.0 - normalisation.eps)
