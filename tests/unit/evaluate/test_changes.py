"""Changes of pixels: labels and calibration must follow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.evaluate.case import LabelledFrame, LoadedClip, Phase
from echo_scp.evaluate.changes import ROBUSTNESS, Change, Kind
from echo_scp.evaluate.frames_file import STRUCTURES
from echo_scp.evaluate.overlap import dice
from echo_scp.evaluate.still import clip_of
from echo_scp.evaluate.volumes import measure_frames, single_plane
from echo_scp.model import PixelSpacing
from tests.unit.evaluate.builders import heart_labels, picture_of

SQUARE = PixelSpacing(1, 1)


def loaded(spacing=SQUARE) -> LoadedClip:
    maps = heart_labels(), heart_labels(width=33)
    clip = clip_of(np.stack([picture_of(labels) for labels in maps]), "clip", Path("x"), spacing, 40.0)
    phases = zip(Phase, range(2), maps, strict=True)
    return LoadedClip(clip, tuple(LabelledFrame(phase, index, labels, STRUCTURES) for phase, index, labels in phases))


@pytest.mark.parametrize("degrees", [-15, 5, 90])
@pytest.mark.parametrize("spacing", [PixelSpacing(1, 1), PixelSpacing(0.8, 1.1)])
def test_a_turned_heart_keeps_its_volume(degrees, spacing):
    """In millimetres, whatever the shape of a pixel; frames and labels turn together."""
    before, after = loaded(spacing), Change(Kind.ROTATION, degrees).apply(loaded(spacing), "clip")

    volumes = [
        single_plane(
            measure_frames(None, (one.label_map, other.label_map), STRUCTURES, spacing, MeasureConfig())
        ).numbers.edv_ml
        for one, other in (before.labelled, after.labelled)
    ]

    assert volumes[1] == pytest.approx(volumes[0], rel=0.02)
    seen = after.clip.frames[0] > 30
    assert dice(seen, after.labelled[0].label_map > 0) > 0.98
    if degrees != 5:
        assert dice(before.labelled[0].label_map == 1, after.labelled[0].label_map == 1) < 0.95


def test_pixels_are_dropped_by_their_share_and_the_same_each_time():
    """Half of the lit pixels become black; the labels stay; another clip loses other pixels."""
    change, clip = Change(Kind.DROPPED, 50), loaded()
    lit = clip.clip.frames > 0

    once, again, other = (change.apply(clip, name).clip.frames for name in ("a", "a", "b"))

    assert (once[lit] == 0).mean() == pytest.approx(0.5, abs=0.02)
    assert (once == again).all()
    assert (once != other).any()
    assert change.apply(clip, "a").labelled == clip.labelled


def test_gain_shifts_what_is_not_black():
    """12 dB of 60 are a fifth of 255; white stays white, black stays black."""
    frames = np.array([[[0, 100, 250]]], dtype=np.uint8)
    clip = LoadedClip(clip_of(frames, "clip", Path("x"), None, 40.0), ())

    assert Change(Kind.GAIN, 12).apply(clip, "clip").clip.frames.ravel().tolist() == [0, 151, 255]
    assert Change(Kind.GAIN, -24).apply(clip, "clip").clip.frames.ravel().tolist() == [0, 0, 148]


def test_a_crop_takes_half_of_its_share_off_each_side():
    """The region shrinks; what was traced outside is not counted."""
    clip = Change(Kind.CROP, 50).apply(loaded(), "clip")

    region = clip.clip.region
    assert (region.x0, region.y0, region.x1, region.y1) == (32, 32, 96, 96)
    assert not clip.labelled[0].label_map[:32].any()
    assert not clip.clip.frames[:, 96:].any()


def test_a_mirror_swaps_left_and_right_with_region_and_labels():
    """Twice, and everything is as it was."""
    before = loaded()
    before = replace(before, clip=replace(before.clip, region=replace(before.clip.region, x0=10)))
    mirror = Change(Kind.MIRROR)

    once = mirror.apply(before, "clip")
    twice = mirror.apply(once, "clip")

    assert (once.clip.region.x0, once.clip.region.x1) == (0, 118)
    assert (once.clip.frames[0][:, 20] == before.clip.frames[0][:, -21]).all()
    assert (once.labelled[0].label_map[:, 20] == before.labelled[0].label_map[:, -21]).all()
    assert twice.clip.region == before.clip.region
    assert (twice.clip.frames == before.clip.frames).all()


def test_every_change_has_a_name_of_its_own():
    """Names are keys of stored results; the first is no change."""
    names = [change.name for change in ROBUSTNESS]

    assert len(set(names)) == len(names)
    assert names[0] == "unchanged"
    assert {"dropped pixels 50 %", "gain -6 dB", "rotation +5 degrees", "crop 10 %", "mirrored"} <= set(names)


def test_frames_without_labels_can_be_changed():
    """Truth may be numbers alone."""
    bare = LoadedClip(loaded().clip, (LabelledFrame(Phase.END_DIASTOLE, 0),))

    for change in ROBUSTNESS:
        assert change.apply(bare, "clip").labelled[0].label_map is None
