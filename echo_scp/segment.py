"""Clip -> label maps per frame."""

from __future__ import annotations

import numpy as np

from echo_scp.inference.engine import Engine
from echo_scp.inference.letterbox import Letterbox
from echo_scp.model import Clip, Segmentation, Structure


def segment(clip: Clip, engine: Engine, batch_frames: int) -> Segmentation:
    """Outline the engine's structures on every frame, `batch_frames` at a time."""
    manifest = engine.manifest
    box = Letterbox.fit(clip.region, manifest.input.size)
    label_maps = np.zeros(clip.frames.shape, dtype=np.uint8)
    shape = (clip.frames.shape[1], clip.frames.shape[2])
    for start in range(0, len(clip.frames), batch_frames):
        logits = engine.run(box.batch(clip.frames[start : start + batch_frames], manifest.input))
        for offset, frame_logits in enumerate(logits):
            label_maps[start + offset] = box.labels(frame_logits, shape)
    return Segmentation(label_maps, tuple(Structure(label) for label in manifest.output.labels[1:]))
