"""The quick choice per pixel is the slow one's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_scp.inference.enlarge import most_likely


def enlarge(logits, columns, rows):
    """Enlarge all channels (K, H, W) in one go; return (rows, columns, K)."""
    last = np.ascontiguousarray(logits.transpose(1, 2, 0))
    return cv2.resize(last, (columns, rows), interpolation=cv2.INTER_LINEAR).reshape(rows, columns, -1)


@given(
    st.integers(2, 5), st.integers(2, 60), st.integers(2, 60), st.integers(1, 300), st.integers(1, 300), st.integers()
)
@settings(max_examples=60, deadline=None)
def test_the_labels_are_those_of_argmax(channels, height, width, columns, rows, seed):
    """For any network, picture and content, larger or smaller; what rounding makes equal may go either way."""
    rng = np.random.default_rng(abs(seed))
    small = rng.standard_normal((channels, max(2, height // 8), max(2, width // 8))).astype(np.float32)
    logits = np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_CUBIC) for plane in small])

    labels = most_likely(logits, columns, rows)

    assert labels.shape == (rows, columns)
    assert labels.dtype == np.uint8
    enlarged = enlarge(logits, columns, rows)
    chosen = np.take_along_axis(enlarged, labels[..., None].astype(np.intp), axis=-1)[..., 0]
    assert (enlarged.max(axis=-1) - chosen).max() <= 1e-5


def test_of_equal_channels_the_first_counts():
    """As argmax has it: the background where nothing speaks."""
    assert not most_likely(np.ones((4, 6, 6), dtype=np.float32), 12, 12).any()


@pytest.mark.parametrize(("logit", "label"), [(0.5, 1), (0.0, 0), (-0.5, 0)])
def test_a_single_channel_counts_where_it_is_positive(logit, label):
    """The background's logit is 0."""
    assert (most_likely(np.full((1, 4, 4), logit, dtype=np.float32), 8, 8) == label).all()
