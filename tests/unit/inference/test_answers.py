"""Networks give logits, probabilities or one sigmoid channel, channels first or last: one form comes out."""

from __future__ import annotations

import numpy as np

from echo_scp.inference.answers import label_logits
from tests.unit.fakes import make_manifest


def make_output(activation, labels=("background", "lv_cavity")):
    return {"tensor": "out", "activation": activation, "labels": labels}


def test_logits_stay_as_they_are():
    """The shipped engines."""
    answers = np.random.default_rng(0).random((2, 4), dtype=np.float32)

    assert np.array_equal(label_logits(make_manifest("view"), answers), answers)


def test_probabilities_become_their_logarithm():
    """Also one of 0."""
    manifest = make_manifest("view", output=make_output("probabilities", ("A4C", "other")))

    logits = label_logits(manifest, np.array([[1.0, 0.0]], dtype=np.float32))

    assert logits[0, 0] == 0
    assert -30 < logits[0, 1] < -10


def test_a_single_channel_is_the_structure_against_the_background():
    """Positive where the structure is."""
    manifest = make_manifest("segmentation", output=make_output("sigmoid"))

    logits = label_logits(manifest, np.array([[[[-2.0, 3.0]]]], dtype=np.float32))

    assert logits.argmax(axis=1).tolist() == [[[0, 1]]]


def test_channels_that_come_last_are_put_second():
    """(N, H, W, K) of a TensorFlow network."""
    values = {"tensor": "frames", "size": 32, "mean": 0.0, "std": 1.0, "layout": "NHWC"}
    manifest = make_manifest("segmentation", input=values)

    assert label_logits(manifest, np.zeros((5, 32, 32, 4), dtype=np.float32)).shape == (5, 4, 32, 32)
