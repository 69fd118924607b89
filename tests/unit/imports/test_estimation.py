"""Constants that a checkpoint does not hold, estimated from clips of the site."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.decode import decode_clip
from echo_scp.errors import EngineError
from echo_scp.imports.estimation import mean_and_std
from echo_scp.inference.framing import framing
from echo_scp.inference.interface import InputTensor
from tests.unit.test_pipeline import write_cine

TENSOR = InputTensor(tensor="frames", size=56, channels=3, scale=1.0, mean=0.0, std=1.0, fit="crop", border=0.1)


def test_mean_and_deviation_are_those_of_what_the_network_would_see(tmp_path):
    """Every pixel of every frame of every clip, in grey values; what is no clip is passed over."""
    instances = [write_cine(tmp_path, 1), write_cine(tmp_path, 2), write_cine(tmp_path, 3, spatial_format=2)]
    (tmp_path / "notes.txt").write_text("no DICOM")
    seen = []
    for instance in instances[:2]:
        clip = decode_clip(instance, AnalysisConfig())
        seen.append(framing(clip.region, TENSOR, clip.frames.shape).batch(clip.frames)[:, 0])

    mean, std = mean_and_std([tmp_path], TENSOR)

    pixels = np.concatenate(seen).astype(np.float64)
    assert mean == pytest.approx(pixels.mean())
    assert std == pytest.approx(pixels.std())
    assert 5 < mean < 100


def test_the_estimate_is_in_the_units_of_the_network(tmp_path):
    """A network that counts white as 1 gets constants below 1."""
    write_cine(tmp_path, 1)

    grey = mean_and_std([tmp_path / "1.dcm"], TENSOR)
    share = mean_and_std([tmp_path / "1.dcm"], TENSOR.model_copy(update={"scale": 255.0}))

    assert share == pytest.approx(tuple(value / 255 for value in grey))


def test_without_a_single_clip_there_is_no_estimate(tmp_path):
    """The folder is named."""
    (tmp_path / "notes.txt").write_text("no DICOM")

    with pytest.raises(EngineError, match=f"{tmp_path}: expected DICOM clips"):
        mean_and_std([tmp_path], TENSOR)
