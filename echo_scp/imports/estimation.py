"""Estimate the constants of an input from clips of the site, where a checkpoint does not hold them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip
from echo_scp.errors import EngineError, InstanceError
from echo_scp.inference.framing import framing
from echo_scp.inference.interface import InputTensor
from echo_scp.model import Clip, Instance


def mean_and_std(paths: Sequence[Path], tensor: InputTensor) -> tuple[float, float]:
    """Return mean and standard deviation of the grey values that the network would see, in units of `tensor.scale`.

    Over every pixel of every frame, as EchoNet-Dynamic computes them. Raises EngineError when no clip can be decoded.
    """
    histogram = np.zeros(256, dtype=np.int64)
    for clip in _clips(paths):
        squares = framing(clip.region, tensor, clip.frames.shape).fitted(clip.frames)
        histogram += np.bincount(squares.ravel(), minlength=256)
    if not histogram.any():
        raise EngineError(f"{', '.join(map(str, paths))}: expected DICOM clips that can be decoded, found none")
    grey = np.arange(256) / tensor.scale
    mean = float((histogram * grey).sum() / histogram.sum())
    variance = float((histogram * (grey - mean) ** 2).sum() / histogram.sum())
    return mean, float(np.sqrt(variance))


def _clips(paths: Sequence[Path]) -> Iterator[Clip]:
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else (path,):
            if not file.is_file():
                continue
            try:
                header = dcmread(file, stop_before_pixels=True)
                yield decode_clip(Instance(header, file), AnalysisConfig())
            except (InvalidDicomError, InstanceError):
                continue  # a report, or a clip without a picture, says nothing of the constants
