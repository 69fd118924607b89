"""Take the weights of an exported network back into the module that it was exported from."""

from __future__ import annotations

from collections.abc import Iterable
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


@torch.no_grad()
def normalise_again(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the batch normalisations of a restored model back the statistics of their inputs; its answers stay.

    From then on it learns with them in training mode as if it had never been exported.
    """
    seen: dict[nn.BatchNorm2d, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def look(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        moments = inputs[0].mean((0, 2, 3)), inputs[0].square().mean((0, 2, 3))
        seen.setdefault(module, []).append(moments)

    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    model.eval()
    for batch in batches:
        model(batch)
    for hook in hooks:
        hook.remove()
    for layer, moments in seen.items():
        mean, square = (torch.stack(values).mean(0) for values in zip(*moments, strict=True))
        variance = square - mean**2
        gain = layer.weight / (layer.running_var + layer.eps).sqrt()
        layer.bias.add_(gain * (mean - layer.running_mean))
        layer.weight.copy_(gain * (variance + layer.eps).sqrt())
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
