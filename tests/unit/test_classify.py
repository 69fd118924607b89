"""A view is an average over the clip, and "other" when unsure."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.classify import classify, spread
from echo_scp.model import View
from tests.unit.fakes import FakeEngine, make_clip, make_manifest


def clip_of(count: int):
    return make_clip(np.zeros((count, 40, 50), dtype=np.uint8))


def engine_saying(*rows: tuple[float, ...]) -> FakeEngine:
    """Return an engine whose frame k has the probabilities rows[k]."""
    return FakeEngine(make_manifest("view"), lambda batch: np.log(np.array(rows[: len(batch)], dtype=np.float32)))


def test_the_view_is_the_mean_of_the_frames():
    """One frame that errs does not decide."""
    sure, wrong = (0.91, 0.03, 0.03, 0.03), (0.1, 0.8, 0.05, 0.05)

    estimate = classify(clip_of(20), engine_saying(sure, sure, wrong, sure))

    assert estimate.view is View.A4C
    assert estimate.confidence == pytest.approx((3 * 0.91 + 0.1) / 4, abs=1e-5)


def test_an_unsure_answer_is_other():
    """Below the engine's threshold no view is claimed; what it thought is kept."""
    estimate = classify(clip_of(20), engine_saying(*[(0.5, 0.3, 0.1, 0.1)] * 4))

    assert estimate.view is View.OTHER
    assert estimate.confidence == pytest.approx(0.1, abs=1e-5)
    assert dict(estimate.probabilities)[View.A4C] == pytest.approx(0.5, abs=1e-5)


def test_frames_are_spread_over_the_whole_clip():
    """First and last are among them; a short clip gives what it has."""
    assert spread(100, 4).tolist() == [0, 33, 66, 99]
    assert spread(3, 10).tolist() == [0, 1, 2]


def test_kinds_of_one_view_count_together_and_the_likeliest_kind_decides():
    """As usal_echo decides among Zhang's 23 kinds, of which three are A4C."""
    labels = ("A4C", "A4C", "A2C", "other")
    output = {"tensor": "logits", "labels": labels}
    engine = FakeEngine(
        make_manifest("view", output=output),
        lambda batch: np.log(np.array([(0.35, 0.3, 0.34, 0.01)] * len(batch), dtype=np.float32)),
    )

    estimate = classify(clip_of(20), engine)

    assert estimate.view is View.A4C
    assert estimate.probabilities == (
        (View.A4C, pytest.approx(0.65, abs=1e-5)),
        (View.A2C, pytest.approx(0.34, abs=1e-5)),
        (View.OTHER, pytest.approx(0.01, abs=1e-5)),
    )


def test_probabilities_are_taken_as_they_come():
    """A network that ends in a softmax is not normalised twice."""
    output = {"tensor": "p", "activation": "probabilities", "labels": ("A4C", "A2C", "PLAX", "other")}
    engine = FakeEngine(
        make_manifest("view", output=output),
        lambda batch: np.array([(0.7, 0.2, 0.1, 0.0)] * len(batch), dtype=np.float32),
    )

    assert classify(clip_of(20), engine).confidence == pytest.approx(0.7, abs=1e-5)


def test_an_engine_that_answers_no_number_names_no_view():
    """Not the first of its labels, with a confidence that is no number either."""
    sure, nothing = (0.91, 0.03, 0.03, 0.03), (np.nan,) * 4

    estimate = classify(clip_of(20), engine_saying(sure, sure, nothing, sure))

    assert (estimate.view, estimate.confidence) == (View.OTHER, 0.0)
    assert dict(estimate.probabilities)[View.A4C] == 0.0
