"""Segmentation returns label maps on the clip's own pixels."""

from __future__ import annotations

import numpy as np

from echo_scp.model import Structure
from echo_scp.segment import segment
from tests.unit.fakes import FakeEngine, make_clip, make_manifest


def bright_is_ventricle(batch):
    """Return logits that call bright pixels LV cavity and dark ones background."""
    logits = np.zeros((len(batch), 4, *batch.shape[2:]), dtype=np.float32)
    logits[:, 1] = batch[:, 0] - 0.5
    return logits


def make_moving_square():
    frames = np.zeros((7, 60, 80), dtype=np.uint8)
    for index, frame in enumerate(frames):
        frame[10:40, 10 + 5 * index : 40 + 5 * index] = 255
    return frames


def test_each_frame_has_its_own_mask():
    """A square that moves is found where it is on every frame."""
    frames = make_moving_square()

    masks = segment(make_clip(frames), FakeEngine(make_manifest("segmentation", 80), bright_is_ventricle), 3).masks(
        Structure.LV_CAVITY
    )

    assert masks.shape == frames.shape
    assert (masks == (frames == 255)).mean() > 0.99


def test_memory_is_bounded_by_the_batch():
    """No call gets more frames than configured; the last gets the rest."""
    engine = FakeEngine(make_manifest("segmentation", 80), bright_is_ventricle)

    segment(make_clip(make_moving_square()), engine, batch_frames=3)

    assert [len(batch) for batch in engine.batches] == [3, 3, 1]


def test_the_structures_are_the_manifests_labels():
    """Value k means structure k - 1."""
    engine = FakeEngine(make_manifest("segmentation", 80), bright_is_ventricle)

    segmentation = segment(make_clip(make_moving_square()), engine, batch_frames=16)

    assert segmentation.structures == (Structure.LV_CAVITY, Structure.LV_MYOCARDIUM, Structure.LEFT_ATRIUM)
    assert not segmentation.masks(Structure.LEFT_ATRIUM).any()


def test_channels_come_under_the_number_of_their_structure():
    """What a network may say and nobody asks for is background, and the channels behind it are numbered without it."""
    labels = {"tensor": "logits", "labels": ("background", "ignore", "lv_cavity", "left_atrium")}
    ignoring = FakeEngine(make_manifest("segmentation", 80, output=labels), bright_is_ventricle)

    def third_channel(batch):
        return bright_is_ventricle(batch)[:, [0, 2, 1, 3]]

    outlining = FakeEngine(make_manifest("segmentation", 80, output=labels), third_channel)
    clip = make_clip(make_moving_square())

    assert not segment(clip, ignoring, batch_frames=16).label_maps.any()
    assert (segment(clip, outlining, batch_frames=16).masks(Structure.LV_CAVITY) == (clip.frames == 255)).mean() > 0.99
