"""The phantom's pictures: true labels measure what the heart says."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.model import View
from echo_scp.phantom.heart import SYSTOLE, Heart
from echo_scp.phantom.scene import LEFT_ATRIUM, LV_CAVITY, LV_MYOCARDIUM, Cine, Rhythm, Scanner, render

SCANNER = Scanner(rows=320, columns=420, depth_mm=160, seed=5)
ED_AND_ES = Rhythm(heart_rate_bpm=60, frame_rate_hz=1 / SYSTOLE, frame_count=2)


def draw(scanner: Scanner = SCANNER, rhythm: Rhythm = ED_AND_ES, **changes) -> Cine:
    return render(Heart(**changes), scanner, rhythm)


def disks_ml(labels: np.ndarray, mm_per_px: float, disks: int = 20) -> float:
    """Sum 20 disks over the rows of an upright LV mask."""
    rows = np.flatnonzero((labels == LV_CAVITY).any(axis=1))
    widths_mm = (labels[rows[0] : rows[-1] + 1] == LV_CAVITY).sum(axis=1) * mm_per_px
    middles = (np.arange(disks) + 0.5) / disks * len(widths_mm) - 0.5
    diameters = np.interp(middles, np.arange(len(widths_mm)), widths_mm)
    return float(np.pi / 4 * (diameters**2).sum() * len(widths_mm) * mm_per_px / disks / 1000)


@pytest.mark.parametrize("view", [View.A4C, View.A2C])
@pytest.mark.parametrize("ef_percent", [20.0, 45.0, 70.0])
def test_twenty_disks_on_the_true_mask_give_the_true_volumes_and_ef(view, ef_percent):
    """Volumes to 4 %, EF to 2 points: what is left is the pixel grid."""
    cine = draw(view=view, ef_percent=ef_percent, edv_ml=120)
    edv_ml, esv_ml = (disks_ml(labels, SCANNER.mm_per_px) for labels in cine.label_maps)

    assert edv_ml == pytest.approx(120, rel=0.04)
    assert esv_ml == pytest.approx(120 * (1 - ef_percent / 100), rel=0.04)
    assert 100 * (1 - esv_ml / edv_ml) == pytest.approx(ef_percent, abs=2)


def test_the_same_seed_draws_the_same_pixels_and_another_seed_does_not():
    """Speckle is the only thing that a seed changes."""
    first, second = draw(), draw()
    other = draw(Scanner(rows=320, columns=420, depth_mm=160, seed=6))

    assert (first.frames == second.frames).all()
    assert (first.frames != other.frames).any()
    assert (first.label_maps == other.label_maps).all()


def test_speckle_decorrelates_by_the_share_asked_for():
    """At the same instant of the next beat nothing has moved: what differs is new speckle, and labels stay."""
    beats = Rhythm(heart_rate_bpm=60, frame_rate_hz=1, frame_count=2)

    likeness = []
    for share in (0.0, 0.2, 0.8):
        cine = draw(Scanner(rows=160, columns=210, depth_mm=160, seed=5, decorrelation=share), beats)
        likeness.append(float(np.corrcoef(cine.frames[0].ravel(), cine.frames[1].ravel())[0, 1]))
        assert (cine.label_maps[0] == cine.label_maps[1]).all()

    assert likeness[0] == pytest.approx(1.0)
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[2] < likeness[1] - 0.02


def test_labels_lie_inside_the_sector_and_hold_every_structure():
    """Nothing is labelled where the beam does not reach."""
    cine = draw()
    outside = np.s_[:, :40, :40]

    assert set(np.unique(cine.label_maps)) == {0, LV_CAVITY, LV_MYOCARDIUM, LEFT_ATRIUM}
    assert (cine.label_maps[outside] == 0).all()
    assert (cine.frames[outside] == 0).all()


def test_blood_is_darker_than_muscle():
    """The contrast that every method needs."""
    cine = draw()
    blood, muscle = (cine.frames[cine.label_maps == label].mean() for label in (LV_CAVITY, LV_MYOCARDIUM))

    assert muscle > 1.5 * blood


def test_a_mirrored_heart_is_the_mirror_image():
    """The labels of a mirrored acquisition are flipped left to right."""
    usual, mirrored = draw(tilt_deg=10), draw(tilt_deg=10, mirrored=True)

    assert (usual.label_maps == mirrored.label_maps[:, :, ::-1]).mean() > 0.999
