"""The two networks: a small U-Net, and a classifier on the U-Net's encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS = (16, 32, 64, 96, 128)


class Block(nn.Sequential):
    """Two 3x3 convolutions with batch normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class Encoder(nn.Module):
    """(N, 1, S, S) -> features at S, S/2, S/4, S/8, S/16."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (1, *CHANNELS[:-1])
        self.blocks = nn.ModuleList(Block(i, o) for i, o in zip(inputs, CHANNELS, strict=True))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for level, block in enumerate(self.blocks):
            x = block(x if level == 0 else functional.max_pool2d(x, 2))
            features.append(x)
        return features


class UNet(nn.Module):
    """(N, 1, S, S) grey -> (N, labels, S, S) logits; S a multiple of 16."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        pairs = zip(CHANNELS[1:], CHANNELS[:-1], strict=True)
        self.decoder = nn.ModuleList(Block(below + here, here) for below, here in pairs)
        self.head = nn.Conv2d(CHANNELS[0], labels, 1)

    def forward(self, x: Tensor) -> Tensor:
        features = self.encoder(x)
        x = features[-1]
        for level in reversed(range(len(self.decoder))):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.decoder[level](torch.cat([x, features[level]], dim=1))
        return self.head(x)


class ViewNet(nn.Module):
    """(N, 1, S, S) grey -> (N, labels) logits divided by a calibrated temperature."""

    def __init__(self, labels: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.deep = nn.Sequential(nn.MaxPool2d(2), Block(CHANNELS[-1], 160))
        self.head = nn.Sequential(
            nn.Linear(160 * 2 + CHANNELS[-1], 96), nn.ReLU(), nn.Dropout(dropout), nn.Linear(96, labels)
        )
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        last = self.encoder(x)[-1]
        deep = self.deep(last)
        pooled = torch.cat([deep.mean((2, 3)), deep.amax((2, 3)), last.mean((2, 3))], dim=1)
        return self.head(pooled) / self.temperature
