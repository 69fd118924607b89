"""Quality and its flags, each finding alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echo_scp.config import MeasureConfig
from echo_scp.measure import measure_clip
from echo_scp.measure.quality import TROUBLED, Findings, apex_motion_percent, quality_notes, score
from echo_scp.model import Beat, Flag, Quality, QualityPart
from tests.unit.measure.planes import uncalibrated_ventricle

CONFIG = MeasureConfig()
CLEAN = Findings(0.0, 0.0, 0.0, 0.0, 3.0, 40.0, apex_down=False)


def flags(findings):
    return {note.flag for note in quality_notes(findings, score(findings, CONFIG), CONFIG)}


def test_clean_clip_has_full_quality_and_no_flag():
    """Nothing to complain of."""
    assert score(CLEAN, CONFIG).score == 1.0
    assert score(CLEAN, CONFIG).weakest is None
    assert flags(CLEAN) == set()


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"fragment_percent": 6.0}, Flag.FRAGMENTED_OUTLINE),
        ({"sector_edge_percent": 11.0}, Flag.OUTLINE_AT_SECTOR_EDGE),
        ({"apex_motion_percent": 13.0}, Flag.FORESHORTENED),
        ({"apex_down": True}, Flag.APEX_DOWN),
        ({"jitter_percent": 7.5}, Flag.LOW_QUALITY),
    ],
)
def test_each_finding_raises_its_flag(change, flag):
    """And no other."""
    assert flags(replace(CLEAN, **change)) == {flag}


@pytest.mark.parametrize(
    "change",
    [
        {"unused_frames_percent": 5.0},
        {"jitter_percent": 4.0},
        {"fragment_percent": 5.0},
        {"sector_edge_percent": 10.0},
        {"apex_motion_percent": 14.0},
        {"frames_per_cycle": 10.0},
    ],
)
def test_each_finding_costs_quality(change):
    """More of it, less trust."""
    worse = {name: value / 2 if name == "frames_per_cycle" else 1.5 * value for name, value in change.items()}

    assert 1.0 > score(replace(CLEAN, **change), CONFIG).score > score(replace(CLEAN, **worse), CONFIG).score > 0


def test_finding_that_does_not_forbid_a_number_costs_half_at_most():
    """An apex that moves a lot makes a number doubtful, not absent."""
    assert score(replace(CLEAN, apex_motion_percent=90.0), CONFIG).score == TROUBLED


def test_score_is_the_product_and_the_weakest_part_is_named():
    """A reader of a low quality sees why."""
    quality = Quality((QualityPart("one", 0.5), QualityPart("other", 0.8)))

    assert quality.score == pytest.approx(0.4)
    assert quality.weakest.name == "one"


@pytest.mark.parametrize(("column_mm", "row_mm"), [(1.0, 1.0), (0.5, 1.0), (1.0, 0.4)])
def test_apex_motion_is_the_same_in_pixels_of_any_shape(column_mm, row_mm):
    """An LV of (30, 80) mm whose apex moves 10 mm sideways: along the axis that is 300 / 7300 of its length."""
    scale = np.array([column_mm, row_mm])
    ends = [
        replace(uncalibrated_ventricle(), apex=tuple(apex / scale), annulus=((20, 80) / scale, (40, 80) / scale))
        for apex in (np.array([0.0, 0.0]), np.array([10.0, 0.0]))
    ]

    assert apex_motion_percent(Beat(*ends, 60.0, 60.0), (column_mm, row_mm)) == pytest.approx(100 * 300 / 7300)


def test_clip_of_an_apex_that_comes_down_is_foreshortened(make_phantom):
    """The phantom drawn so that its annulus rests and its tip moves by a quarter of its length."""
    phantom = make_phantom(beats=1.5)
    shifted = phantom.segmentation()
    for labels, volume in zip(shifted.label_maps, phantom.volumes_ml, strict=True):
        rise_mm = phantom.length_mm * (1 - np.cbrt(volume / phantom.edv_ml))
        labels[:] = np.roll(labels, round(rise_mm / phantom.row_mm), axis=0)

    assert Flag.FORESHORTENED in {note.flag for note in measure_clip(phantom.clip(), shifted).notes}


def test_clip_on_its_head_is_recognised(make_phantom):
    """The number is the same, and a reader is told."""
    upright, turned = (make_phantom(beats=1.5, turn_deg=turn) for turn in (0, 180))
    results = [measure_clip(phantom.clip(), phantom.segmentation()) for phantom in (upright, turned)]

    assert results[1].ef_percent == pytest.approx(results[0].ef_percent, abs=0.5)
    assert [Flag.APEX_DOWN in {note.flag for note in result.notes} for result in results] == [False, True]


def test_outline_in_pieces_is_flagged(make_phantom):
    """A speck of a tenth of the LV beside it on every frame."""
    phantom = make_phantom(beats=1.5)
    segmentation = phantom.segmentation()
    segmentation.label_maps[:, 5:25, 5:25] = 1

    result = measure_clip(phantom.clip(), segmentation)

    assert Flag.FRAGMENTED_OUTLINE in {note.flag for note in result.notes}
    assert result.quality.score < 0.9
