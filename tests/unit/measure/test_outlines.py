"""Masks of a clip: the crop around the LV and the vote of three frames."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.outlines import Outlines
from echo_scp.measure.shape import find_shape
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


@pytest.mark.parametrize(
    ("parts", "share"),
    [
        ([], 0.0),
        ([(slice(20, 60), slice(20, 60))], 0.0),
        ([(slice(20, 60), slice(20, 60)), (slice(60, 70), slice(60, 70))], 0.0),
        ([(slice(20, 60), slice(20, 60)), (slice(70, 80), slice(80, 90))], 100 / 1700),
    ],
    ids=["nothing", "one part", "touching at a corner", "two parts"],
)
def test_share_of_what_lies_apart(parts, share):
    """Pixels outside the largest part; a corner joins."""
    assert fragment_share(*parts) == pytest.approx(share)


def test_part_inside_the_hole_of_another_lies_apart_too():
    """An islet that the largest part surrounds does not touch it."""
    label_maps = np.ones((1, 100, 100), dtype=np.uint8)
    label_maps[0, 20:80, 20:80] = 0
    label_maps[0, 40:60, 40:60] = 1

    (share,) = Outlines.around_ventricle(Segmentation(label_maps, (Structure.LV_CAVITY,))).fragment_shares()

    assert share == pytest.approx(400 / 6800)


def fragment_share(*parts):
    label_maps = np.zeros((1, 100, 120), dtype=np.uint8)
    for rows, columns in parts:
        label_maps[0, rows, columns] = 1
    (share,) = Outlines.around_ventricle(Segmentation(label_maps, (Structure.LV_CAVITY,))).fragment_shares()
    return share


def test_frames_measured_together_are_those_measured_alone(make_phantom):
    """What all frames of a clip share is work, not numbers: they agree to 1 in 10^9; an empty one has no shape."""
    phantom = make_phantom(beats=1)
    segmentation = phantom.segmentation()
    segmentation.label_maps[7] = 0
    spacing = phantom.clip().region.spacing

    together = Outlines.around_ventricle(segmentation).shapes(spacing)

    structures = (Structure.LV_CAVITY, Structure.LEFT_ATRIUM, Structure.LV_MYOCARDIUM)
    alone = [find_shape(*masks, spacing) for masks in zip(*map(segmentation.masks, structures), strict=True)]
    assert [shape is None for shape in together] == [index == 7 for index in range(len(together))]
    for one, other in zip(together, alone, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.contour == pytest.approx(other.contour, rel=1e-9)
            assert one.diameters == pytest.approx(other.diameters, rel=1e-9)
            assert (one.disks, one.area_length) == pytest.approx((other.disks, other.area_length), rel=1e-9)
