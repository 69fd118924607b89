"""Clip -> label maps per frame."""

from __future__ import annotations

import numpy as np

from echo_scp.inference.engine import Engine
from echo_scp.inference.framing import framing
from echo_scp.model import Clip, Segmentation


def segment(clip: Clip, engine: Engine, batch_frames: int) -> Segmentation:
    """Outline the engine's structures on every frame, `batch_frames` at a time."""
    manifest = engine.manifest
    box = framing(clip.region, manifest.input, clip.frames.shape)
    label_maps = np.zeros(clip.frames.shape, dtype=np.uint8)
    shape = (clip.frames.shape[1], clip.frames.shape[2])
    values = np.array(manifest.output.label_values, dtype=np.uint8)
    for start in range(0, len(clip.frames), batch_frames):
        logits = engine.run(box.batch(clip.frames[start : start + batch_frames]))
        for offset, frame_logits in enumerate(logits):
            label_maps[start + offset] = values[box.labels(frame_logits, shape)]
    return Segmentation(label_maps, manifest.output.structures)
