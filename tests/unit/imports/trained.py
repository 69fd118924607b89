"""Random networks whose normalisations look trained: fresh ones would hide a mistake in them."""

from __future__ import annotations

import torch
from torch import nn


def trained_like(network: nn.Module) -> nn.Module:
    """Give every batch normalisation statistics and an affine part that are not 0 and 1."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith(("running_mean", "bias")):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=random))
            elif name.endswith("running_var") or (name.endswith("weight") and tensor.dim() == 1):
                tensor.copy_(0.6 + 0.8 * torch.rand(tensor.shape, generator=random))
    return network.eval()
