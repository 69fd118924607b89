"""Where the beam reaches, and outlines at its edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydicom import Dataset

from echo_scp.measure.outline import ANNULUS
from echo_scp.measure.sector import SectorEdge, find_sector
from echo_scp.model import Instance, Region
from tests.unit.fakes import make_clip

SHAPE = (200, 240)


def make_frames(seed=0):
    """Speckle in a sector of 70 degrees from the top centre, dark where the blood is, with a mark in the corner."""
    rows, columns = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    angle, depth = np.arctan2(columns - 120, rows + 1), np.hypot(columns - 120, rows)
    sector = (np.abs(angle) < np.radians(35)) & (depth < 190)
    frames = np.random.default_rng(seed).integers(0, 120, (20, *SHAPE)).astype(np.uint8)
    frames[:, ~sector] = 0
    frames[:, (np.hypot(columns - 150, rows - 90) < 35)] = 0  # blood up to the edge
    frames[:, 5:12, 5:30] = 200
    return frames, sector


def test_sector_is_found_from_its_speckle():
    """Dark blood at the edge belongs to it, a caption in the corner does not."""
    frames, truth = make_frames()

    found = find_sector(make_clip(frames), SHAPE)

    assert np.mean(found != truth) < 0.02
    assert not found[8, 20]
    assert found[90, 150]


def test_region_bounds_the_sector():
    """What lies outside the 2D region is not looked at."""
    frames, _ = make_frames()
    clip = make_clip(frames, region=Region(0, 0, 240, 100, None))

    assert not find_sector(clip, SHAPE)[100:].any()


def test_without_pixels_the_region_is_the_sector():
    """Frames that were let go, or all black."""
    clip = make_clip(np.zeros((20, *SHAPE), dtype=np.uint8))

    assert find_sector(clip, SHAPE).all()
    assert find_sector(replace(clip, frames=clip.frames[:0], instance=Instance(Dataset(), None)), SHAPE).all()


@pytest.mark.parametrize(("centre", "share"), [((120, 110), 0.0), ((215, 110), 0.5)])
def test_share_of_the_wall_at_the_edge(centre, share):
    """A circle in the middle touches nothing; half of one that is cut by the picture's side lies there."""
    angle = np.linspace(0, 2 * np.pi, 256, endpoint=False)
    contour = np.column_stack([centre[0] + 40 * np.sin(angle), centre[1] + 40 * np.cos(angle)])
    contour[:, 0] = np.minimum(contour[:, 0], 239.0)
    edge = SectorEdge(np.ones(SHAPE, dtype=bool))

    wall = contour[: ANNULUS[1] + 1, 0]
    assert edge.share(contour) == pytest.approx(np.mean(wall >= 238) if share else 0.0, abs=0.05)
