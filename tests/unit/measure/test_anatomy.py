"""Outlines that no apical view shows are refused with the value that failed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_scp.measure import refuse_other_views
from echo_scp.model import NotAssessed, Reason, Segmentation, Structure
from echo_scp.phantom.heart import Heart
from echo_scp.phantom.scene import Rhythm, Scanner, render

LV, MYOCARDIUM, ATRIUM = 1, 2, 3


def judged(phantom, edit=lambda labels: None):
    """Look at the phantom after `edit` has changed its label maps in place."""
    segmentation = phantom.segmentation()
    edit(segmentation.label_maps)
    return refuse_other_views(phantom.clip(), segmentation)


def refusal(result):
    assert isinstance(result, NotAssessed), result
    assert result.reason is Reason.NOT_APICAL
    return result.detail


@settings(deadline=None, max_examples=20)
@given(
    ef_percent=st.floats(10, 75),
    edv_ml=st.floats(45, 350),
    turn_deg=st.floats(-45, 45),
    spacing_mm=st.tuples(st.floats(0.6, 1.2), st.floats(0.6, 1.2)),
    mirrored=st.booleans(),
)
def test_an_apical_heart_passes(make_phantom, ef_percent, edv_ml, turn_deg, spacing_mm, mirrored):
    """Small and large, tilted, mirrored, in oblong pixels."""
    phantom = make_phantom(
        ef_percent=ef_percent,
        edv_ml=edv_ml,
        length_mm=84 * (edv_ml / 100) ** (1 / 3),
        turn_deg=turn_deg,
        row_mm=spacing_mm[0],
        column_mm=spacing_mm[1],
        mirrored=mirrored,
        beats=1.2,
        frame_rate_hz=15,
        size_mm=240.0,
    )

    assert judged(phantom) is None


@pytest.mark.parametrize("view", ["A4C", "A2C"])
def test_the_drawn_phantom_passes(make_phantom, view):
    """The other phantom, with its truncated ellipsoid and its own atrium."""
    scanner = Scanner(rows=200, columns=260)
    cine = render(Heart(view), scanner, Rhythm(frame_count=12, frame_rate_hz=15))
    phantom = make_phantom(row_mm=scanner.mm_per_px, column_mm=scanner.mm_per_px)

    segmentation = Segmentation(cine.label_maps, phantom.segmentation().structures)
    assert refuse_other_views(phantom.clip(), segmentation) is None


@pytest.mark.parametrize("turn_deg", [90, 180, 270])
def test_the_apex_must_point_to_the_probe(make_phantom, turn_deg):
    """A long axis that lies across the beam, as in PLAX, or upside down, is not apical."""
    assert "degrees away from the probe" in refusal(judged(make_phantom(turn_deg=turn_deg)))


def test_a_round_ventricle_in_a_closed_ring_is_a_short_axis(make_phantom):
    """PSAX: no longer than wide, wall all around."""

    def ring(labels):
        rows, columns = np.ogrid[: labels.shape[1], : labels.shape[2]]
        distance = np.hypot(rows - 90, columns - 90)
        labels[:] = np.where(distance < 40, LV, np.where(distance < 52, MYOCARDIUM, 0))

    assert "as long as wide" in refusal(judged(make_phantom(), ring))


def test_an_annulus_closed_by_wall_is_refused(make_phantom):
    """Wall where the atrium should be: nothing flows in."""

    def close(labels):
        labels[labels == ATRIUM] = MYOCARDIUM

    assert "closes" in refusal(judged(make_phantom(), close))


def test_a_ventricle_in_pieces_is_refused(make_phantom):
    """Two equal halves are not one cavity."""

    def tear(labels):
        middle = labels.shape[2] // 2
        labels[:, :, middle - 6 : middle + 6] = 0

    assert "largest part" in refusal(judged(make_phantom(), tear))


def test_a_ventricle_without_wall_is_refused(make_phantom):
    """What a network outlines in a dark patch has no myocardium around it."""
    assert "wall surrounds 0 %" in refusal(judged(make_phantom(wall=False)))


def test_an_engine_without_wall_is_not_held_to_it(make_phantom):
    """What an engine has no label for is not asked."""
    phantom = make_phantom()
    alone = Segmentation(np.where(phantom.label_maps() == LV, LV, 0).astype(np.uint8), (Structure.LV_CAVITY,))

    assert refuse_other_views(phantom.clip(), alone) is None


def test_an_atrium_in_the_wrong_place_is_refused(make_phantom):
    """Beside the LV, at a distance of its own length."""

    def move(labels):
        labels[labels == ATRIUM] = 0
        labels[:, 100:130, 160:185] = ATRIUM

    assert "the atrium lies" in refusal(judged(make_phantom(), move))


def test_a_picture_that_ends_at_the_annulus_needs_no_atrium(make_phantom):
    """Many clips are zoomed onto the LV."""
    assert judged(make_phantom(atrium=False)) is None


@pytest.mark.parametrize(("factor", "what"), [(0.3, "mm long"), (2.0, "mm long")])
def test_a_calibrated_heart_has_human_size(make_phantom, factor, what):
    """25 mm or 170 mm: the spacing is wrong, or it is no adult's heart."""
    phantom = make_phantom()
    clip, spacing = phantom.clip(), 0.8 * factor
    changed = replace(
        clip, region=replace(clip.region, spacing=replace(clip.region.spacing, row_mm=spacing, column_mm=spacing))
    )

    assert what in refusal(refuse_other_views(changed, phantom.segmentation()))


def test_without_spacing_size_is_not_asked(make_phantom):
    """Proportions hold in pixels too."""
    assert judged(make_phantom(calibrated=False)) is None


def test_a_long_axis_that_turns_is_refused(make_phantom):
    """Every other frame leans the other way."""
    left, right = make_phantom(turn_deg=-35), make_phantom(turn_deg=35)
    labels = left.label_maps()
    labels[::2] = right.label_maps()[::2]

    result = refuse_other_views(left.clip(), Segmentation(labels, left.segmentation().structures))

    assert "long axis turns" in refusal(result)


def test_few_wrong_frames_do_not_refuse_a_clip(make_phantom):
    """The median over the clip counts."""

    def tear(labels):
        middle = labels.shape[2] // 2
        labels[:30, :, middle - 6 : middle + 6] = 0

    assert judged(make_phantom(), tear) is None


def test_without_a_ventricle_there_is_nothing_to_say(make_phantom):
    """That is for the measurement to refuse, with its own reason."""
    assert judged(make_phantom(), lambda labels: labels.fill(0)) is None
