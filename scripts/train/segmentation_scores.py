"""Dice on the pixels that the experts labelled: predictions go back through the letterbox first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from camus import LABELS, LabelledFrames, shown
from network import STRIDE
from numpy.typing import NDArray
from torch import nn

from echo_scp.inference.engine import Batch, Engine

NAMES = ("lv", "myocardium", "la")


@dataclass(frozen=True)
class Scores:
    """Dice per frame and structure, (N, 3)."""

    dice: NDArray[np.float64]
    patients: NDArray[np.str_]

    @property
    def mean_dice(self) -> float:
        return float(np.nanmean(self.dice))

    @property
    def line(self) -> str:
        return " ".join(f"{name} {value:.4f}" for name, value in zip(NAMES, np.nanmean(self.dice, axis=0), strict=True))

    def metrics(self, prefix: str, draws: int = 2000) -> dict[str, float]:
        """Return mean Dice with 95 % bootstrap intervals over patients."""
        rng = np.random.default_rng(0)
        names, index = np.unique(self.patients, return_inverse=True)
        per_patient = np.stack([np.nanmean(self.dice[index == k], axis=0) for k in range(len(names))])
        means = np.nanmean(per_patient[rng.integers(0, len(names), (draws, len(names)))], axis=1)
        low, high = np.nanpercentile(means, [2.5, 97.5], axis=0)
        found: dict[str, float] = {}
        for k, name in enumerate(NAMES):
            found[f"{prefix}_{name}_dice"] = round(float(np.nanmean(self.dice[:, k])), 4)
            found[f"{prefix}_{name}_dice_low95"] = round(float(low[k]), 4)
            found[f"{prefix}_{name}_dice_high95"] = round(float(high[k]), 4)
        return found | {f"{prefix}_frames": len(self.dice), f"{prefix}_patients": len(names)}


def score(model: nn.Module, frames: LabelledFrames) -> Scores:
    """Return the Dice of every frame in the file's own pixels."""

    @torch.no_grad()
    def run(batch: Batch) -> Batch:
        x = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
        return np.asarray(model(x).numpy())

    model.eval()
    return _score(run, frames, STRIDE)


def score_engine(engine: Engine, frames: LabelledFrames) -> Scores:
    """Return the Dice of every frame as the product's engine gives it."""
    return _score(engine.run, frames, engine.manifest.input.shortest)


def _score(run: Callable[[Batch], Batch], frames: LabelledFrames, step: int) -> Scores:
    rows = []
    for image, truth, box in zip(frames.images, frames.source_labels, frames.boxes, strict=True):
        logits = np.zeros((len(LABELS), *image.shape), dtype=np.float32)
        seen = shown(box, step)
        logits[:, *seen] = run(image[None, None, *seen].astype(np.float32) / 255)[0]
        predicted = box.labels(logits, (truth.shape[0], truth.shape[1]))
        rows.append([_dice(predicted == k, truth == k) for k in range(1, len(LABELS))])
    return Scores(np.array(rows), frames.patients)


def _dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    total = int(a.sum() + b.sum())
    return float("nan") if total == 0 else 2 * int((a & b).sum()) / total
