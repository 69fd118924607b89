"""Numbers that networks give directly: the right frames together, averaged, with name and unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.estimate import ABSENT, choose_runs, estimate
from echo_scp.inference.interface import Sampling
from echo_scp.inference.manifest import Manifest
from echo_scp.model import Beat, ClipMeasurement, Ventricle
from tests.unit.fakes import FakeEngine, make_clip, make_manifest

FAST = np.arange(120) * 20.0  # 50 frames a second


def make_video_manifest(**sampling: object) -> Manifest:
    return make_manifest(
        "ejection_fraction",
        views=("A4C",),
        decision=None,
        input={
            "tensor": "clips",
            "size": 32,
            "channels": 3,
            "layout": "NCTHW",
            "scale": 1.0,
            "mean": 50.0,
            "std": 1.0,
            "fit": "stretch",
        },
        output={
            "tensor": "ef",
            "activation": "regression",
            "values": ({"name": "ejection_fraction", "unit": "%"},),
        },
        sampling={"frames": 4, "period": 2, "clips": 3, **sampling},
    )


def make_head_manifest(activation: str) -> Manifest:
    return make_manifest(
        "phenotype",
        views=("A4C",),
        decision=None,
        input={"tensor": "frames", "size": 32, "scale": 1.0, "mean": 0.0, "std": 1.0, "fit": "stretch"},
        output={
            "tensor": "answers",
            "activation": activation,
            "values": ({"name": "brightness", "unit": "1"}, {"name": "twice", "unit": "1"}),
        },
        sampling={"frames": 3, "interval_ms": 50.0, "clips": 1},
    )


def numbered_frames(count: int) -> np.ndarray:
    """Return frames of which each is as bright as its index."""
    return np.repeat(np.arange(count, dtype=np.uint8), 32 * 32).reshape(count, 32, 32)


def measured_at(*systoles: int) -> ClipMeasurement:
    def ventricle(index: int) -> Ventricle:
        return Ventricle(index, np.zeros((0, 2)), (0, 0), ((0, 0), (0, 0)), None, None, None, None)

    beats = tuple(Beat(ventricle(0), ventricle(index), 50.0, 50.0) for index in systoles)
    return ClipMeasurement(beats, 50.0, None, 50.0, None, None, 60.0, False, np.zeros(0))


def first_and_last(batch: np.ndarray) -> np.ndarray:
    """Answer with the sum of a clip's first and last frame, in grey values over the mean."""
    return batch[:, 0, [0, -1], 0, 0].sum(axis=1, keepdims=True)


def test_an_ejection_fraction_is_the_mean_over_evenly_placed_runs():
    """0 2 4 6, 7 9 11 13 and 13 15 17 19 of 20 frames."""
    engine = FakeEngine(make_video_manifest(), first_and_last)

    (found,) = estimate(make_clip(numbered_frames(20)), None, engine, batch_frames=16)

    assert [batch.shape[1:] for batch in engine.batches] == [(3, 4, 32, 32)]
    shown = np.concatenate(engine.batches)[:, 1, :, 5, 5] + 50
    assert shown.tolist() == [[0, 2, 4, 6], [6, 8, 10, 12], [13, 15, 17, 19]]
    assert found.value == pytest.approx(np.mean([6, 18, 32]) - 100)
    assert (found.name, found.unit, found.run_count, found.research) == ("ejection_fraction", "%", 3, False)
    assert found.engine == engine.identity


def test_runs_are_given_to_the_engine_a_few_at_a_time():
    """Memory is bounded by frames, not by clips."""
    engine = FakeEngine(make_video_manifest(), first_and_last)

    estimate(make_clip(numbered_frames(20)), None, engine, batch_frames=8)

    assert [len(batch) for batch in engine.batches] == [2, 1]


def test_beat_by_beat_looks_around_each_systole():
    """Also at the ends of the clip, where the run is shifted and not dropped."""
    engine = FakeEngine(make_video_manifest(mode="beat"), first_and_last)

    (found,) = estimate(make_clip(numbered_frames(20)), measured_at(1, 10, 19), engine, batch_frames=16)

    shown = np.concatenate(engine.batches)[:, 0, :, 0, 0] + 50
    assert shown.tolist() == [[0, 2, 4, 6], [7, 9, 11, 13], [13, 15, 17, 19]]
    assert found.run_count == 3


@pytest.mark.parametrize("measurement", [None, measured_at()])
def test_beat_by_beat_without_a_known_beat_says_nothing(measurement):
    """A run somewhere would be another number under the same name."""
    engine = FakeEngine(make_video_manifest(mode="beat"), first_and_last)

    assert estimate(make_clip(numbered_frames(20)), measurement, engine, batch_frames=16) == ()
    assert engine.batches == []


def test_frames_that_a_short_clip_does_not_have_are_zeros_to_the_network():
    """After normalisation, as in training: they are as grey as the mean, not black."""
    engine = FakeEngine(make_video_manifest(), first_and_last)

    (found,) = estimate(make_clip(numbered_frames(5)), None, engine, batch_frames=16)

    (batch,) = engine.batches
    assert batch[0, 0, :, 0, 0].tolist() == [-50, -48, -46, 0]
    assert found.run_count == 1


SHARES = tuple(float(np.mean(1 / (1 + np.exp(-factor * np.array([0.0, 4.0, 8.0]))))) for factor in (1, 2))


@pytest.mark.parametrize(("activation", "expected"), [("regression", (4.0, 8.0)), ("sigmoid", SHARES)])
def test_a_head_of_single_frames_is_averaged_over_them(activation, expected):
    """Frames 0, 4 and 8 of a clip with 12.5 ms between frames: 50 ms apart. Logits become probabilities first."""
    head = make_head_manifest(activation)
    engine = FakeEngine(head, lambda batch: batch[:, 0, 0, 0][:, None] * np.array([1, 2], dtype=np.float32))
    clip = replace(make_clip(numbered_frames(9)), frame_times_ms=np.arange(9) * 12.5)

    brightness, twice = estimate(clip, None, engine, batch_frames=2)

    assert (brightness.value, twice.value) == pytest.approx(expected, abs=1e-3)
    assert [len(batch) for batch in engine.batches] == [2, 1]
    assert brightness.research
    assert twice.name == "twice"


@given(
    count=st.integers(1, 200),
    frames=st.integers(1, 40),
    period=st.integers(1, 5),
    clips=st.integers(1, 12),
    systoles=st.lists(st.integers(0, 199), max_size=5),
    mode=st.sampled_from(["clip", "beat"]),
)
def test_runs_never_leave_the_clip_and_are_whole_where_they_can_be(count, frames, period, clips, systoles, mode):
    """Whatever the length of the clip and the place of the beats."""
    sampling = Sampling(frames=frames, period=period, clips=clips, mode=mode)
    inside = [index for index in systoles if index < count]

    runs = choose_runs(np.arange(count) * 20.0, sampling, inside)

    length = (frames - 1) * period + 1
    assert runs.shape[1] == frames
    assert ((runs >= 0) | (runs == ABSENT)).all()
    assert (runs < count).all()
    assert (runs[:, 0] >= 0).all()
    assert len(np.unique(runs, axis=0)) == len(runs)
    if count >= length:
        assert (np.diff(runs, axis=1) == period).all()
    if mode == "beat":
        assert len(runs) <= len(inside)
        if count >= length:
            assert all(((runs[:, 0] <= systole) & (systole <= runs[:, -1])).any() for systole in inside)
    else:
        assert 1 <= len(runs) <= clips


def test_frames_by_time_follow_the_frame_rate():
    """20 frames 100 ms apart are every fifth frame at 50 a second and every third at 30."""
    sampling = Sampling(frames=3, interval_ms=100.0, clips=1)

    assert choose_runs(FAST, sampling, ()).tolist() == [[0, 5, 10]]
    assert choose_runs(np.arange(90) * 1000 / 30, sampling, ()).tolist() == [[0, 3, 6]]
