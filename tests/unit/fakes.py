"""Stand-ins for engines and clips, for the stages that need one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset

from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import Manifest
from echo_scp.model import Clip, EngineIdentity, Frames, Instance, PixelSpacing, Region

VIEW_LABELS = ("A4C", "A2C", "PLAX", "other")
SEGMENT_LABELS = ("background", "lv_cavity", "lv_myocardium", "left_atrium")


def make_manifest(task: str, size: int = 32, **changes: object) -> Manifest:
    """Return a valid manifest of no artefact."""
    values: dict[str, object] = {
        "schema": 1,
        "name": f"fake-{task}".replace("_", "-"),
        "version": "1.0.0",
        "task": task,
        "artefacts": {"fp32": {"file": "model.onnx", "sha256": "0" * 64}},
        "licence": "MIT",
        "views": ("A4C", "A2C") if task == "segmentation" else (),
        "input": {"tensor": "frames", "size": size, "mean": 0.0, "std": 1.0},
        "output": {"tensor": "logits", "labels": VIEW_LABELS if task == "view" else SEGMENT_LABELS},
        "decision": {"threshold": 0.6, "frames_per_clip": 4} if task == "view" else None,
        "training": {"data": "none", "script": "none", "seed": 0},
        "folder": Path("fake"),
    }
    return Manifest.model_validate(values | changes)


class FakeEngine:
    """Answers with `answer(batch)` and remembers the batches."""

    def __init__(self, manifest: Manifest, answer: Callable[[Batch], Batch], at_once: int = 1) -> None:
        self.manifest = manifest
        self.at_once = at_once
        self.batches: list[Batch] = []
        self._answer = answer

    @property
    def identity(self) -> EngineIdentity:
        return self.manifest.identity("fp32")

    def close(self) -> None:
        """Hold nothing."""

    def run(self, batch: Batch) -> Batch:
        self.batches.append(batch)
        return self._answer(batch)


def make_clip(frames: Frames, spacing: PixelSpacing | None = None, region: Region | None = None) -> Clip:
    """Return a clip of the whole picture at 40 frames per second."""
    count, height, width = frames.shape
    return Clip(
        instance=Instance(Dataset(), Path()),
        frames=frames,
        frame_times_ms=np.arange(count) * 25.0,
        region=region or Region(0, 0, width, height, spacing),
    )
