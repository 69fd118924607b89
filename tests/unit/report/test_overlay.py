"""The summary picture shows the ventricle and its numbers, and nothing from outside the 2D region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from echo_scp.model import ClipAnalysis
from echo_scp.report import canvas, draw_summary
from echo_scp.report.overlay import CURVE_BOX, END_DIASTOLE, END_SYSTOLE
from tests.unit.report.builders import make_clip_analysis, make_refused_analysis


def make_picture_analysis(**changes: object) -> ClipAnalysis:
    return make_clip_analysis(picture=True, shape=(240, 320), **changes)


def shows(picture: np.ndarray, box: canvas.Box, colour: canvas.Colour) -> bool:
    return bool((picture[box.y0 : box.y1, box.x0 : box.x1] == colour).all(axis=-1).any())


def test_each_phase_is_outlined_in_its_own_panel_and_marked_on_the_curve() -> None:
    """End-diastole on the left, end-systole on the right, both on the curve."""
    picture = draw_summary(make_picture_analysis())

    assert picture.dtype == np.uint8
    assert picture.shape == (960, 1280, 3)
    assert shows(picture, END_DIASTOLE.box, canvas.ED_COLOUR)
    assert not shows(picture, END_DIASTOLE.box, canvas.ES_COLOUR)
    assert shows(picture, END_SYSTOLE.box, canvas.ES_COLOUR)
    assert not shows(picture, END_SYSTOLE.box, canvas.ED_COLOUR)
    assert shows(picture, CURVE_BOX, canvas.ED_COLOUR)
    assert shows(picture, CURVE_BOX, canvas.ES_COLOUR)


def test_what_lies_outside_the_region_changes_no_pixel() -> None:
    """The banner may hold the patient's name."""
    analysis = make_picture_analysis()
    hidden = analysis.clip.frames.copy()
    hidden[:, : analysis.clip.region.y0] = 0

    without = replace(analysis, clip=replace(analysis.clip, frames=hidden))

    assert hidden.sum() != analysis.clip.frames.sum()
    assert np.array_equal(draw_summary(without), draw_summary(analysis))


def test_the_outline_lies_where_the_ventricle_is() -> None:
    """A white ellipse on black is enclosed by its contour wherever the region begins."""
    analysis = make_picture_analysis()
    clip, ventricle = analysis.clip, analysis.measurement.beats[0].end_diastole
    frames = np.where(analysis.segmentation.label_maps == 1, 255, 0).astype(np.uint8)
    region = replace(clip.region, x0=40, y0=10, x1=300, y1=230)

    picture = draw_summary(replace(analysis, clip=replace(clip, frames=frames, region=region)))

    box = END_DIASTOLE.box
    panel = picture[box.y0 + 45 : box.y1, box.x0 : box.x1].astype(int)
    white, outline = (panel > 250).all(axis=-1), (panel == canvas.ED_COLOUR).all(axis=-1)
    for axis in (0, 1):
        inside, around = np.flatnonzero(white.any(axis=axis)), np.flatnonzero(outline.any(axis=axis))
        assert abs(inside[0] - around[0]) <= 4
        assert abs(inside[-1] - around[-1]) <= 4
    assert ventricle.frame_index == 0


def test_research_use_is_written_until_configured_otherwise() -> None:
    """The line at the foot is there, and gone when the site says so."""
    footer = canvas.Box(0, CURVE_BOX.y1, 1280, 960)

    assert shows(draw_summary(make_picture_analysis()), footer, canvas.WARNING)
    assert not shows(draw_summary(make_picture_analysis(), research_use=False), footer, canvas.WARNING)


def test_an_uncalibrated_clip_is_marked_as_such() -> None:
    """The header warns where the volumes would be."""
    header = canvas.Box(640, 0, 1280, 90)

    assert shows(draw_summary(make_picture_analysis(calibrated=False)), header, canvas.WARNING)
    assert not shows(draw_summary(make_picture_analysis()), header, canvas.WARNING)


def test_frames_without_a_volume_leave_a_gap_in_the_curve() -> None:
    """NaN is not drawn, and stops nothing."""
    analysis = make_picture_analysis()
    curve = analysis.measurement.volume_curve.copy()
    curve[6:9] = np.nan
    gappy = replace(analysis, measurement=replace(analysis.measurement, volume_curve=curve))

    whole, parted = draw_summary(analysis), draw_summary(gappy)

    def line_pixels(picture: np.ndarray) -> int:
        return int((picture[CURVE_BOX.y0 : CURVE_BOX.y1] == canvas.TEXT).all(axis=-1).sum())

    assert line_pixels(parted) < line_pixels(whole)


def test_a_clip_without_measurement_is_refused() -> None:
    """There is nothing to show."""
    with pytest.raises(ValueError, match="was not measured"):
        draw_summary(make_refused_analysis())
