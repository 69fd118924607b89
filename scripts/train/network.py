"""The two networks on EfficientNet-Lite0's features: a U-Net, and a classifier."""

from __future__ import annotations

import torch
from lite import FEATURE_CHANNELS, Decoder, LiteEncoder
from torch import Tensor, nn

STRIDE = 32  # of the coarsest features: sides are multiples of it


class UNet(nn.Module):
    """(N, 1, H, W) grey -> (N, labels, H, W) logits; H and W multiples of STRIDE."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.encoder = LiteEncoder()
        self.decoder = Decoder(labels)

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))


class ViewNet(nn.Module):
    """(N, 1, S, S) grey -> (N, labels) logits divided by a calibrated temperature."""

    def __init__(self, labels: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.encoder = LiteEncoder()
        pooled = 2 * FEATURE_CHANNELS[-1] + FEATURE_CHANNELS[-2]
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(pooled, labels))
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        *_, middle, last = self.encoder(x)
        pooled = torch.cat([last.mean((2, 3)), last.amax((2, 3)), middle.mean((2, 3))], dim=1)
        return self.head(pooled) / self.temperature
