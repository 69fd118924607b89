"""What both trainings share: batches made ahead of time, and averaged weights."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]  # (N, 1, S, S) grey 0..1 and the labels


def ahead(source: Iterator[Batch]) -> Iterator[Batch]:
    """Make the next batch in a thread while the caller learns from this one; the order stays."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, source, None)
            yield batch


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the model's; running statistics are averaged too."""
    ours, theirs = average.state_dict(), model.state_dict()
    for name, value in ours.items():
        if value.dtype.is_floating_point:
            value.lerp_(theirs[name], 1 - decay)
        else:
            value.copy_(theirs[name])
