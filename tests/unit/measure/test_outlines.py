"""Masks of a clip: the crop around the LV and the vote of three frames."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.outlines import Outlines
from echo_scp.model import Segmentation, Structure


def make_outlines(frames=5, **changes):
    """A block of 20 x 30 pixels on every frame; `changes` sets the columns of single frames: f2=slice(0, 0)."""
    label_maps = np.zeros((frames, 100, 120), dtype=np.uint8)
    for index in range(frames):
        label_maps[index, 40:60, changes.get(f"f{index}", slice(50, 80))] = 1
    return Outlines.around_ventricle(Segmentation(label_maps, (Structure.LV_CAVITY,)))


def test_crop_holds_the_ventricle_of_every_frame_and_a_margin():
    """The origin says where the crop lies in the picture."""
    outlines = make_outlines(f1=slice(60, 90))

    column, row = outlines.origin
    assert (column, row) == (50 - 8, 40 - 8)
    assert outlines.cavity.shape == (5, 20 + 16, 40 + 16)
    assert outlines.pixel_counts() == pytest.approx([600] * 5)


def test_vote_mends_a_frame_that_differs_from_both_neighbours():
    """Half of the block is missing on frame index 2 and comes back."""
    outlines = make_outlines(f2=slice(50, 65))

    assert outlines.steadied().pixel_counts() == pytest.approx([600] * 5)


def test_vote_keeps_a_change_that_lasts():
    """A block that is narrower from frame index 2 on stays so."""
    outlines = make_outlines(f2=slice(50, 65), f3=slice(50, 65), f4=slice(50, 65))

    assert outlines.steadied().pixel_counts() == pytest.approx([600, 600, 300, 300, 300])


def test_vote_does_not_invent_an_empty_frame():
    """A frame without LV has none after the vote either."""
    assert make_outlines(f2=slice(0, 0)).steadied().pixel_counts()[2] == 0


def test_clip_without_ventricle_has_empty_masks():
    """Nothing to crop to: every count is zero."""
    outlines = Outlines.around_ventricle(Segmentation(np.zeros((3, 10, 10), dtype=np.uint8), ()))

    assert outlines.pixel_counts().tolist() == [0, 0, 0]
