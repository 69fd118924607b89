"""Clip -> View with confidence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from echo_scp.inference.answers import label_logits
from echo_scp.inference.engine import Engine
from echo_scp.inference.framing import framing
from echo_scp.model import Clip, View, ViewEstimate


def classify(clip: Clip, engine: Engine) -> ViewEstimate:
    """Return the clip's view: the mean of the frame probabilities over frames spread evenly over the clip.

    Under the engine's threshold the answer is View.OTHER, with the probability of the best other label kept in
    `probabilities`: a wrong view measured is worse than a clip not measured.
    """
    manifest = engine.manifest
    if manifest.decision is None:
        raise ValueError(f"{manifest.name} is not a view engine")
    chosen = spread(len(clip.frames), manifest.decision.frames_per_clip)
    box = framing(clip.region, manifest.input, clip.frames.shape)
    logits = label_logits(manifest, engine.run(box.batch(clip.frames[chosen])))
    probabilities = softmax(logits.astype(np.float64), axis=1).mean(axis=0)
    if not np.isfinite(probabilities).all():  # a network that overflowed, or divided by the spread of a black frame
        return ViewEstimate(View.OTHER, 0.0, tuple((view, 0.0) for view in manifest.output.views))
    labels = np.array(manifest.output.labels)
    # A network may tell kinds of one view apart: the likeliest kind decides, all of them count.
    labelled = tuple((view, float(probabilities[labels == view].sum())) for view in manifest.output.views)
    view = View(labels[probabilities.argmax()])
    confidence = dict(labelled)[view]
    if confidence < manifest.decision.threshold:
        view = View.OTHER
        confidence = dict(labelled).get(View.OTHER, 0.0)
    return ViewEstimate(view, confidence, labelled)


def spread(count: int, wanted: int) -> NDArray[np.intp]:
    """Return at most `wanted` frame indices, evenly spread over `count` frames."""
    return np.unique(np.linspace(0, count - 1, min(wanted, count)).round().astype(np.intp))
