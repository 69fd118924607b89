"""The 18-layer video ResNets R3D, MC3 and R(2+1)D (Tran et al., arXiv 1711.11248)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Variant = Literal["r3d_18", "mc3_18", "r2plus1d_18"]
Convolution = Callable[[int, int, int, int], nn.Module]  # channels in, out, between, stride

_WIDTHS = (64, 128, 256, 512)


class VideoResNet(nn.Module):
    """Clips (N, 3, T, S, S) -> (N, outputs)."""

    def __init__(self, variant: Variant, outputs: int) -> None:
        super().__init__()
        self.stem = _factored_stem() if variant == "r2plus1d_18" else _plain_stem()
        channels = _WIDTHS[0]
        for index, width in enumerate(_WIDTHS, 1):
            convolution = _convolution(variant, index)
            stride = 1 if index == 1 else 2
            blocks = nn.Sequential(_Block(convolution, channels, width, stride), _Block(convolution, width, width, 1))
            self.add_module(f"layer{index}", blocks)
            channels = width
        self.fc = nn.Linear(channels, outputs)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.stem(clips)
        for index in range(1, len(_WIDTHS) + 1):
            x = self.get_submodule(f"layer{index}")(x)
        return self.fc(x.mean(dim=(2, 3, 4)))


class _Block(nn.Module):
    def __init__(self, convolution: Convolution, channels: int, width: int, stride: int) -> None:
        super().__init__()
        # As many weights as a full 3x3x3 convolution would have.
        between = channels * width * 27 // (channels * 9 + 3 * width)
        self.conv1 = nn.Sequential(convolution(channels, width, between, stride), nn.BatchNorm3d(width), nn.ReLU())
        self.conv2 = nn.Sequential(convolution(width, width, between, 1), nn.BatchNorm3d(width))
        self.downsample: nn.Module | None = None
        if channels != width:
            strides = (1 if convolution is _spatial else stride, stride, stride)
            shortcut = nn.Conv3d(channels, width, 1, stride=strides, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm3d(width))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return torch.relu(self.conv2(self.conv1(x)) + shortcut)


def _convolution(variant: Variant, layer: int) -> Convolution:
    if variant == "r2plus1d_18":
        return _factored
    return _spatial if variant == "mc3_18" and layer > 1 else _full


def _full(channels: int, width: int, between: int, stride: int) -> nn.Module:
    del between  # only the factored convolution has a layer between
    return nn.Conv3d(channels, width, 3, stride=stride, padding=1, bias=False)


def _spatial(channels: int, width: int, between: int, stride: int) -> nn.Module:
    del between
    return nn.Conv3d(channels, width, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False)


def _factored(channels: int, width: int, between: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(channels, between, (1, 3, 3), stride=(1, stride, stride), padding=(0, 1, 1), bias=False),
        nn.BatchNorm3d(between),
        nn.ReLU(),
        nn.Conv3d(between, width, (3, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0), bias=False),
    )


def _plain_stem() -> nn.Module:
    conv = nn.Conv3d(3, _WIDTHS[0], (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
    return nn.Sequential(conv, nn.BatchNorm3d(_WIDTHS[0]), nn.ReLU())


def _factored_stem() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(3, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False),
        nn.BatchNorm3d(45),
        nn.ReLU(),
        nn.Conv3d(45, _WIDTHS[0], (3, 1, 1), padding=(1, 0, 0), bias=False),
        nn.BatchNorm3d(_WIDTHS[0]),
        nn.ReLU(),
    )
