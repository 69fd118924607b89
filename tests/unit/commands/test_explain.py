"""What of a clip an engine sees together when its answer is explained."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.commands.explain import explain, frames_seen
from echo_scp.errors import EngineError
from echo_scp.inference import runtime
from tests.unit.fakes import FakeEngine, make_clip, make_manifest
from tests.unit.test_pipeline import write_cine

OUTPUT = {"tensor": "ef", "activation": "regression", "values": ({"name": "ejection_fraction", "unit": "%"},)}


def make_numbered_clip(count):
    """Each frame holds its number, from 1."""
    return make_clip(np.repeat(np.arange(1, count + 1, dtype=np.uint8), 64).reshape(count, 8, 8))


def make_ef_manifest():
    return make_manifest(
        "ejection_fraction",
        name="ef",
        views=("A4C",),
        input={"tensor": "frames", "size": 32, "mean": 0.0, "std": 1.0, "layout": "NCTHW"},
        output=OUTPUT,
        sampling={"frames": 5, "period": 2},
    )


@pytest.mark.parametrize(("asked", "expected"), [(0, 11), (1, 1), (20, 20)])
def test_an_engine_of_single_frames_sees_the_frame_that_is_asked_for(asked, expected):
    """0 is the middle of the clip."""
    frames, number = frames_seen(make_numbered_clip(20), make_manifest("view"), asked)

    assert frames[:, 0, 0].tolist() == [expected]
    assert number == expected


@pytest.mark.parametrize(("asked", "expected"), [(10, [6, 8, 10, 12, 14]), (1, [1, 3, 5, 7, 9])])
def test_an_engine_that_sees_time_sees_the_frames_around(asked, expected):
    """Shifted at the ends of the clip; the frame in the middle is the one that is drawn."""
    frames, number = frames_seen(make_numbered_clip(20), make_ef_manifest(), asked)

    assert frames[:, 0, 0].tolist() == expected
    assert number == expected[2]


def test_a_clip_that_is_too_short_is_told():
    """Black frames in the place of those that are missing would be explained too."""
    with pytest.raises(EngineError, match="ef sees 5 frames together; the clip is shorter"):
        frames_seen(make_numbered_clip(6), make_ef_manifest(), 0)


def test_a_frame_that_is_not_there_is_told():
    """With how many there are."""
    with pytest.raises(EngineError, match="has 20 frames, no frame 21"):
        frames_seen(make_numbered_clip(20), make_manifest("view"), 21)


@pytest.mark.parametrize("on_its_head", [False, True])
def test_a_picture_on_its_head_is_explained_as_the_networks_see_it(tmp_path, monkeypatch, on_its_head):
    """The analysis shows it to them upright; what is explained is that answer."""
    opened = []

    def open_engine(manifest, config):
        opened.append(FakeEngine(manifest, lambda batch: np.zeros((len(batch), *manifest.output_shape), np.float32)))
        return opened[-1]

    monkeypatch.setattr(runtime, "open_engine", open_engine)
    monkeypatch.chdir(tmp_path)
    write_cine(tmp_path, 1, on_its_head=on_its_head)

    explain("view", tmp_path / "1.dcm", out=tmp_path / "why.png")

    lit = opened[0].batches[0][0, 0] > 0.2
    assert lit[: len(lit) // 2].sum() < lit[len(lit) // 2 :].sum()
    assert (tmp_path / "why.png").is_file()
