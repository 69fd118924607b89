"""VGG-16 (Simonyan and Zisserman, arXiv 1409.1556), layers named as in the view classifier of Zhang et al. 2018."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

STAGES = (2, 2, 3, 3, 3)  # convolutions before each halving


class Vgg(nn.Module):
    """Frames (N, 3, S, S), S a multiple of 32 -> logits (N, classes).

    `widths` are the channels of the stages, `hidden` the units of the two layers before the last.
    """

    def __init__(self, widths: Sequence[int], hidden: int, classes: int, size: int) -> None:
        super().__init__()
        channels = 3
        for stage, (width, count) in enumerate(zip(widths, STAGES, strict=True), 1):
            for index in range(1, count + 1):
                self.add_module(f"conv{stage}_{index}", nn.Conv2d(channels, width, 3, padding=1))
                channels = width
        side = size // 2 ** len(STAGES)
        self.fc6 = nn.Linear(channels * side * side, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, classes)

    def forward(self, frames: Tensor) -> Tensor:
        x = frames
        for stage, count in enumerate(STAGES, 1):
            for index in range(1, count + 1):
                x = torch.relu(self.get_submodule(f"conv{stage}_{index}")(x))
            x = nn.functional.max_pool2d(x, 2)
        x = torch.relu(self.fc6(x.flatten(1)))
        return self.fc8(torch.relu(self.fc7(x)))
