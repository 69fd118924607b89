"""The seed's road over clips: every frame to RGB by pydicom, through DeepLabV3-ResNet50 in ONNX Runtime, one by one.

Nothing is classified, measured, drawn or written: what it takes is a lower bound of what the seed's programs take.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydicom import dcmread

SIZE = 112
MEAN, STD = np.float32([32.7, 32.9, 33.3]), np.float32([49.5, 49.6, 50.3])  # of the order of EchoNet-Dynamic's


@dataclass(frozen=True)
class SeedTime:
    """What the road took for some frames."""

    frames: int
    decode_s: float
    network_s: float
    cpu_s: float

    @property
    def s_per_frame(self) -> float:
        return (self.decode_s + self.network_s) / self.frames

    @property
    def cpu_s_per_frame(self) -> float:
        return self.cpu_s / self.frames


def run_seed_road(clips: Sequence[Path], network: Path) -> SeedTime:
    """Take clips the seed's way, with ONNX Runtime's defaults: all cores."""
    session = ort.InferenceSession(network, providers=["CPUExecutionProvider"])
    session.run(None, {"frames": np.zeros((1, 3, SIZE, SIZE), dtype=np.float32)})
    frames, decode_s, network_s, cpu = 0, 0.0, 0.0, time.process_time()
    for path in clips:
        start = time.perf_counter()
        colours = dcmread(path).pixel_array  # pydicom 3 converts YBR to RGB by itself
        decoded = time.perf_counter()
        for colour in colours:
            _outline(session, colour)
        frames += len(colours)
        decode_s += decoded - start
        network_s += time.perf_counter() - decoded
    return SeedTime(frames, decode_s, network_s, time.process_time() - cpu)


def _outline(session: ort.InferenceSession, colour: NDArray[np.uint8]) -> NDArray[np.bool_]:
    small = cv2.resize(colour, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    normal = ((small - MEAN) / STD).transpose(2, 0, 1)[None]
    (logits,) = session.run(None, {"frames": np.ascontiguousarray(normal, dtype=np.float32)})
    return logits[0, 0] > 0
