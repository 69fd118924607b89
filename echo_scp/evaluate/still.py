"""Frames without a DICOM header -> a Clip that the stages take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import generate_uid

from echo_scp.model import Clip, Frames, Instance, PixelSpacing, Region

UID_PREFIX = "1.2.826.0.1.3680043.8.498."


def clip_of(frames: Frames, name: str, path: Path, spacing: PixelSpacing | None, frame_time_ms: float) -> Clip:
    """Return a clip whose 2D region is the whole picture; the same name gives the same SOP Instance UID."""
    header = Dataset()
    header.SOPInstanceUID = generate_uid(UID_PREFIX, entropy_srcs=[name])
    count, rows, columns = frames.shape
    return Clip(
        instance=Instance(header, path),
        frames=frames,
        frame_times_ms=np.arange(count, dtype=np.float64) * frame_time_ms,
        region=Region(0, 0, columns, rows, spacing),
    )
