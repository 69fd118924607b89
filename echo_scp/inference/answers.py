"""Bring what networks give into one form: a logit per label, labels on the second axis."""

from __future__ import annotations

import numpy as np

from echo_scp.inference.engine import Batch
from echo_scp.inference.manifest import Manifest

_LEAST_PROBABILITY = 1e-7


def label_logits(manifest: Manifest, answers: Batch) -> Batch:
    """Return (N, K, ...) for the answers of a view or segmentation engine with K labels, whatever form it gives."""
    if manifest.task == "segmentation" and manifest.input.layout == "NHWC":
        answers = np.moveaxis(answers, -1, 1)
    activation = manifest.output.activation
    if activation == "sigmoid":  # one channel; the background's logit is 0
        return np.concatenate([np.zeros_like(answers), answers], axis=1)
    if activation == "probabilities":
        return np.asarray(np.log(np.maximum(answers, _LEAST_PROBABILITY)), dtype=np.float32)
    return answers
