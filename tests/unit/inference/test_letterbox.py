"""The letterbox keeps shapes true and can be undone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.inference.letterbox import Letterbox
from echo_scp.inference.manifest import InputTensor
from echo_scp.model import PixelSpacing, Region

TENSOR = InputTensor(tensor="frames", size=64, mean=0.0, std=1.0)


@given(
    height=st.integers(20, 300),
    width=st.integers(20, 300),
    row_mm=st.floats(0.1, 1.0),
    column_mm=st.floats(0.1, 1.0),
)
def test_the_longer_side_in_millimetres_fills_the_square(height, width, row_mm, column_mm):
    """Whatever the spacing, one millimetre is as long across as it is down."""
    box = Letterbox.fit(Region(0, 0, width, height, PixelSpacing(row_mm, column_mm)), 64)

    assert max(box.width, box.height) == 64
    tall, wide = height * row_mm, width * column_mm
    assert box.height == pytest.approx(max(1, 64 * tall / max(tall, wide)), abs=0.51)


def test_without_calibration_pixels_are_square():
    """Twice as wide as high stays twice as wide as high."""
    box = Letterbox.fit(Region(10, 10, 210, 110, None), 64)

    assert (box.width, box.height) == (64, 32)


def test_a_circle_in_millimetres_is_a_circle_for_the_network():
    """Pixels half as high as wide show a circle as an upright ellipse; the network sees the circle again."""
    frame = np.zeros((200, 100), dtype=np.uint8)
    cv2.ellipse(frame, (50, 100), (30, 60), 0, 0, 360, 255, -1)
    box = Letterbox.fit(Region(0, 0, 100, 200, PixelSpacing(0.5, 1.0)), 64)

    (seen,) = box.batch(frame[None], TENSOR)[0]

    rows, columns = np.nonzero(seen > 0.5)
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=2)


def test_labels_come_back_to_the_pixels_that_they_were_drawn_on():
    """A disk in an off-centre region of an anisotropic picture returns with Dice over 0.98."""
    truth = np.zeros((150, 260), dtype=np.uint8)
    cv2.ellipse(truth, (150, 80), (50, 35), 20, 0, 360, 1, -1)
    box = Letterbox.fit(Region(60, 20, 240, 140, PixelSpacing(0.4, 0.3)), 128)
    tensor = TENSOR.model_copy(update={"size": 128})
    drawn = box.batch((truth * 255)[None], tensor)[0, 0]

    labels = box.labels(np.stack([1 - drawn, drawn]), (150, 260))

    overlap = 2 * ((labels == 1) & (truth == 1)).sum() / (labels.sum() + truth.sum())
    assert overlap > 0.98


def test_nothing_is_labelled_outside_the_region():
    """The banner can hold no ventricle."""
    box = Letterbox.fit(Region(30, 10, 60, 50, None), 64)

    labels = box.labels(np.stack([np.zeros((64, 64)), np.ones((64, 64))]).astype(np.float32), (80, 80))

    assert labels.sum() == 30 * 40
    assert labels[10:50, 30:60].all()


def test_grey_values_are_normalised_by_the_manifest():
    """(grey / 255 - mean) / std, and the padding is black before that."""
    tensor = TENSOR.model_copy(update={"mean": 0.5, "std": 0.25})
    box = Letterbox.fit(Region(0, 0, 64, 32, None), 64)

    batch = box.batch(np.full((1, 32, 64), 255, dtype=np.uint8), tensor)

    assert batch.shape == (1, 1, 64, 64)
    assert batch[0, 0, 32, 32] == pytest.approx(2.0)
    assert batch[0, 0, 0, 0] == pytest.approx(-2.0)
