"""Contours steadied in time: less noise, the same heart."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.measure.outlines import Outlines
from echo_scp.measure.shape import measure_contours, scale_of
from echo_scp.measure.steady import steady, without_turned


def shapes_of(phantom):
    return Outlines.around_ventricle(phantom.segmentation()).shapes(phantom.clip().region.spacing)


def steadied(phantom, shapes, **options):
    scale = scale_of(phantom.clip().region.spacing)
    return steady(shapes, phantom.frame_times_ms, phantom.cycle_ms, scale, **options)


def test_steadying_keeps_a_smooth_motion(make_phantom):
    """Volumes of a clean clip stay within 3 mL, at the extremes too."""
    phantom = make_phantom(beats=1.5)

    volumes = [shape.disks / 1000 for shape in steadied(phantom, shapes_of(phantom))]

    assert volumes == pytest.approx(phantom.volumes_ml, abs=3.0)


def test_steadying_takes_most_of_the_noise(make_phantom):
    """Frames whose size errs at random by 8 % are mended by their neighbours."""
    phantom = make_phantom(beats=2)
    shapes = shapes_of(phantom)
    rng = np.random.default_rng(0)
    scale = scale_of(phantom.clip().region.spacing)
    noisy = tuple(_resized(shape, 1 + 0.08 / 3 * rng.standard_normal(), scale) for shape in shapes)

    def error(found):
        return np.std([shape.disks / 1000 for shape in found] - phantom.volumes_ml)

    assert error(steadied(phantom, noisy)) < 0.7 * error(noisy)


def _resized(shape, factor, scale):
    middle = shape.contour.mean(axis=0)
    return measure_contours((middle + factor * (shape.contour - middle))[None], scale)[0]


def test_missing_frame_gets_what_its_neighbours_stand_for(make_phantom):
    """A frame without outline has its volume between theirs."""
    phantom = make_phantom(beats=1.5)
    shapes = list(shapes_of(phantom))
    shapes[20] = None

    found = steadied(phantom, tuple(shapes))

    assert found[20].disks / 1000 == pytest.approx(phantom.volumes_ml[20], abs=3.0)


def test_sparse_frames_keep_their_own_contour(make_phantom):
    """At eight frames per cycle there is nothing to average."""
    phantom = make_phantom(frame_rate_hz=9, heart_rate_bpm=70)
    shapes = shapes_of(phantom)

    assert all(one is other for one, other in zip(steadied(phantom, shapes), shapes, strict=True))


def test_only_wanted_frames_are_steadied(make_phantom):
    """The others are None."""
    phantom = make_phantom(beats=1.5)

    found = steadied(phantom, shapes_of(phantom), wanted=[5])

    assert [index for index, shape in enumerate(found) if shape is not None] == [5]


def test_frame_whose_base_was_taken_for_the_apex_is_not_used(make_phantom):
    """Its long axis points the other way than that of the rest."""
    phantom = make_phantom(beats=1.2)
    shapes = list(shapes_of(phantom))
    upside_down = make_phantom(beats=1.2, turn_deg=180)
    shapes[7] = shapes_of(upside_down)[7]

    found = without_turned(tuple(shapes), scale_of(phantom.clip().region.spacing))

    assert [index for index, shape in enumerate(found) if shape is None] == [7]


def test_no_shapes_at_all_stay_none():
    """An engine that outlines nothing is no error here."""
    assert without_turned((None, None), (1.0, 1.0)) == (None, None)
