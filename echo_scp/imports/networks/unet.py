"""The U-Net of Zhang et al. 2018 (Circulation 138:1623), layers named as in their checkpoints."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DEPTH = 6  # stages; each halves the resolution and doubles the channels
ENCODER = tuple(f"conv{stage}_{index}" for stage in range(1, DEPTH + 1) for index in (1, 2))
UPWARDS = tuple(range(DEPTH + 1, 2 * DEPTH))
DECODER = tuple(f"conv{stage}_{index}" for stage in UPWARDS for index in (1, 2))
UPSAMPLINGS = tuple(f"up{stage}" for stage in UPWARDS)
LAST = f"conv{2 * DEPTH}_2"


class UNet(nn.Module):
    """Frames (N, 1, S, S), S a multiple of 32 -> logits (N, classes, S, S); `width` channels at full resolution."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        channels = 1
        for stage in range(1, DEPTH + 1):
            out = width * 2 ** (stage - 1)
            self.add_module(f"conv{stage}_1", nn.Conv2d(channels, out, 3, padding=1))
            self.add_module(f"conv{stage}_2", nn.Conv2d(out, out, 3, padding=1))
            channels = out
        for stage in UPWARDS:
            out = channels // 2
            self.add_module(f"up{stage}", nn.ConvTranspose2d(channels, out, 2, stride=2))
            self.add_module(f"conv{stage}_1", nn.Conv2d(2 * out, out, 3, padding=1))
            self.add_module(f"conv{stage}_2", nn.Conv2d(out, out, 3, padding=1))
            channels = out
        self.add_module(LAST, nn.Conv2d(channels, classes, 1))

    def forward(self, frames: Tensor) -> Tensor:
        x, skipped = frames, []
        for stage in range(1, DEPTH + 1):
            if stage > 1:
                x = nn.functional.max_pool2d(x, 2)
            x = self._twice(stage, x)
            skipped.append(x)
        skipped.pop()
        for stage in UPWARDS:
            x = torch.cat([torch.relu(self.get_submodule(f"up{stage}")(x)), skipped.pop()], dim=1)
            x = self._twice(stage, x)
        return self.get_submodule(LAST)(x)

    def _twice(self, stage: int, x: Tensor) -> Tensor:
        for index in (1, 2):
            x = torch.relu(self.get_submodule(f"conv{stage}_{index}")(x))
        return x
