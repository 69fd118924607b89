"""DeepLabV3 on a dilated ResNet-50, at an eighth of the input's resolution (Chen et al., arXiv 1706.05587)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRIDE = 8
RATES = (12, 24, 36)
_WIDTH = 256
_STAGES = ((64, 3, 1, 1), (128, 4, 2, 1), (256, 6, 1, 2), (512, 3, 1, 4))  # width, blocks, stride, dilation
_EXPANSION = 4


class DeepLab(nn.Module):
    """Frames (N, 3, S, S) -> logits (N, classes, S, S)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = _ResNet50()
        self.classifier = nn.Sequential(
            _Pyramid(_STAGES[-1][0] * _EXPANSION),
            nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1, bias=False),
            nn.BatchNorm2d(_WIDTH),
            nn.ReLU(),
            nn.Conv2d(_WIDTH, classes, 1),
        )

    def forward(self, frames: Tensor) -> Tensor:
        logits = self.classifier(self.backbone(frames))
        return nn.functional.interpolate(logits, size=frames.shape[-2:], mode="bilinear", align_corners=False)


def drop_dead_taps(network: DeepLab, size: int) -> int:
    """Replace convolutions that see only their centre in squares of `size` by 1x1 ones; return how many. Exact.

    On a feature map no wider than the dilation every other tap lies in the zeros around it.
    """
    width = -(-size // STRIDE)
    dead = [branch for branch, rate in zip(network.classifier[0].convs[1:4], RATES, strict=True) if rate >= width]
    for branch in dead:
        seen = nn.Conv2d(branch[0].in_channels, branch[0].out_channels, 1, bias=False)
        seen.weight = nn.Parameter(branch[0].weight[:, :, 1:2, 1:2].detach().clone())
        branch[0] = seen
    return len(dead)


class _ResNet50(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        channels, dilation = 64, 1
        for index, (width, blocks, stride, stage_dilation) in enumerate(_STAGES, 1):
            # The first block of a stage still has the dilation of the stage before.
            first = _Bottleneck(channels, width, stride, dilation)
            channels, dilation = width * _EXPANSION, stage_dilation
            rest = [_Bottleneck(channels, width, 1, dilation) for _ in range(blocks - 1)]
            self.add_module(f"layer{index}", nn.Sequential(first, *rest))

    def forward(self, frames: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(frames)))
        x = nn.functional.max_pool2d(x, 3, stride=2, padding=1)
        for index in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{index}")(x)
        return x


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        out = width * _EXPANSION
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        return torch.relu(self.bn3(self.conv3(y)) + shortcut)


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        branches = [_branch(channels, 1, 1), *(_branch(channels, 3, rate) for rate in RATES)]
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_branch(channels, 1, 1))
        self.convs = nn.ModuleList([*branches, pooled])
        self.project = nn.Sequential(*_branch(len(self.convs) * _WIDTH, 1, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        *maps, pooled = [branch(x) for branch in self.convs]
        return self.project(torch.cat([*maps, pooled.expand_as(maps[0])], dim=1))


def _branch(channels: int, kernel: int, rate: int) -> nn.Sequential:
    padding = rate if kernel > 1 else 0
    conv = nn.Conv2d(channels, _WIDTH, kernel, padding=padding, dilation=rate, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(_WIDTH), nn.ReLU())
