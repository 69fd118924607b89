"""Clip -> label maps per frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from echo_scp.inference.engine import Engine
from echo_scp.inference.framing import framing
from echo_scp.model import Clip, Segmentation

Logits = NDArray[np.float32]  # (K, H, W)


def segment(clip: Clip, engine: Engine, batch_frames: int) -> Segmentation:
    """Outline the engine's structures on every frame, `batch_frames` at a time."""
    return segment_keeping((), clip, engine, batch_frames)[0]


def segment_keeping(
    frame_indices: Collection[int], clip: Clip, engine: Engine, batch_frames: int
) -> tuple[Segmentation, Mapping[int, Logits]]:
    """Outline as `segment` does; return what the engine answered for some frames too, by frame index."""
    manifest = engine.manifest
    box = framing(clip.region, manifest.input, clip.frames.shape)
    label_maps = np.empty(clip.frames.shape, dtype=np.uint8)
    shape = (clip.frames.shape[1], clip.frames.shape[2])
    values = np.array(manifest.output.label_values, dtype=np.uint8)
    numbered = np.array_equal(values, np.arange(len(values)))  # mostly so, and a look-up takes as long as a channel
    kept: dict[int, Logits] = {}
    for start in range(0, len(clip.frames), batch_frames):
        logits = engine.run(box.batch(clip.frames[start : start + batch_frames]))
        for index, frame_logits in enumerate(logits, start):
            channels = box.labels(frame_logits, shape)
            label_maps[index] = channels if numbered else values[channels]
            if index in frame_indices:
                kept[index] = frame_logits.copy()  # not the whole batch
    return Segmentation(label_maps, manifest.output.structures), kept
