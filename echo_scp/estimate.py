"""Clip -> numbers that a network gives directly: an ejection fraction, or what research engines read from a clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.framing import framing
from echo_scp.inference.interface import Sampling
from echo_scp.inference.manifest import Manifest
from echo_scp.model import Clip, ClipMeasurement, Curve, Estimate

ABSENT = -1  # a frame that the clip does not have
Runs = NDArray[np.intp]  # (N, frames): frame indices that a network sees together


def estimate(
    clip: Clip, measurement: ClipMeasurement | None, engine: Engine, batch_frames: int
) -> tuple[Estimate, ...]:
    """Return the engine's values, averaged over runs of frames of the clip; () where it needs beats and none is known.

    At most about `batch_frames` frames are given to the engine at once.
    """
    manifest = engine.manifest
    if manifest.sampling is None:
        raise ValueError(f"{manifest.name} gives no values")
    systoles = () if measurement is None else tuple(beat.end_systole.frame_index for beat in measurement.beats)
    runs = choose_runs(clip.frame_times_ms, manifest.sampling, systoles)
    if not len(runs):
        return ()
    answers = _answer_clips if manifest.input.layout == "NCTHW" else _answer_frames
    means = answers(clip, runs, engine, batch_frames).mean(axis=0)
    return tuple(
        Estimate(value.name, float(mean), value.unit, engine.identity, manifest.task == "phenotype", len(runs))
        for value, mean in zip(manifest.output.values, means, strict=True)
    )


def choose_runs(frame_times_ms: Curve, sampling: Sampling, systoles: Sequence[int]) -> Runs:
    """Return the runs of a clip with these frame times; ABSENT where it is too short.

    Mode "clip": evenly placed. Mode "beat": one around each end-systole, shifted at the ends of the clip so that none
    is lost and none is cut.
    """
    count = len(frame_times_ms)
    offsets = _offsets(frame_times_ms, sampling)
    last = max(0, count - 1 - int(offsets[-1]))
    if sampling.mode == "beat":
        starts = np.clip(np.array(systoles, dtype=np.intp) - (int(offsets[-1]) + 1) // 2, 0, last)
    else:
        starts = np.linspace(0, last, min(sampling.clips, last + 1)).round().astype(np.intp)
    runs = np.unique(starts)[:, None] + offsets
    return np.asarray(np.where(runs < count, runs, ABSENT), dtype=np.intp)


def _offsets(frame_times_ms: Curve, sampling: Sampling) -> NDArray[np.intp]:
    """Return how many frames after the first of a run each of its frames lies."""
    steps = np.arange(sampling.frames)
    if sampling.period is not None:
        return steps * sampling.period
    interval = float(np.median(np.diff(frame_times_ms))) if len(frame_times_ms) > 1 else float("inf")
    return np.round(steps * (sampling.interval_ms or 0) / interval).astype(np.intp)


def _answer_clips(clip: Clip, runs: Runs, engine: Engine, batch_frames: int) -> Batch:
    """Return (N, values) of a network that sees a run at once. Absent frames are zeros, the mean of what it knows."""
    frame = framing(clip.region, engine.manifest.input, clip.frames.shape)
    together = max(1, batch_frames // runs.shape[1])
    answers = []
    for start in range(0, len(runs), together):
        chosen = runs[start : start + together]
        batch = frame.batch(clip.frames[chosen.ravel()])
        batch[chosen.ravel() == ABSENT] = 0
        seen = batch.reshape(*chosen.shape, *batch.shape[1:]).swapaxes(1, 2)
        answers.append(engine.run(np.ascontiguousarray(seen)))
    return _activated(engine.manifest, np.concatenate(answers))


def _answer_frames(clip: Clip, runs: Runs, engine: Engine, batch_frames: int) -> Batch:
    """Return (N, values) of a network that sees single frames: the means over those that each run has."""
    frame = framing(clip.region, engine.manifest.input, clip.frames.shape)
    shown = np.unique(runs[runs != ABSENT])
    parts = [
        engine.run(frame.batch(clip.frames[shown[start : start + batch_frames]]))
        for start in range(0, len(shown), batch_frames)
    ]
    answers = _activated(engine.manifest, np.concatenate(parts))
    means = [answers[np.searchsorted(shown, run[run != ABSENT])].mean(axis=0) for run in runs]
    return np.stack(means)


def _activated(manifest: Manifest, answers: Batch) -> Batch:
    return np.asarray(expit(answers), dtype=np.float32) if manifest.output.activation == "sigmoid" else answers
