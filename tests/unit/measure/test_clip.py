"""Whole clips of the phantom: label maps in, EF and volumes out, or the reason why not."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from echo_scp.config import MeasureConfig
from echo_scp.measure import doubted, measure_clip
from echo_scp.measure.clip import _range_notes
from echo_scp.measure.geometry import disks_volume, signed_area
from echo_scp.measure.outliers import without_outliers
from echo_scp.model import ClipMeasurement, Flag, NotAssessed, PixelSpacing, Reason, Segmentation

LV, MYOCARDIUM, ATRIUM = 1, 2, 3

# Pixels of 0.8 mm; the truth is the EF between the largest and the smallest LV that a frame was taken of.
EF_TOLERANCE = 2.0
VOLUME_TOLERANCE = 0.03


def measured(phantom):
    return measure_clip(phantom.clip(), phantom.segmentation())


def edited(phantom, edit):
    """Measure the phantom after `edit` has changed its label maps in place."""
    segmentation = phantom.segmentation()
    edit(segmentation.label_maps)
    return measure_clip(phantom.clip(), segmentation)


def flags(measurement):
    return {note.flag for note in measurement.notes}


def refusal(result):
    assert isinstance(result, NotAssessed), result
    return result.reason


def test_ef_and_volumes_of_a_calibrated_clip(make_phantom):
    """Three beats at an EF of 60 % and 100 mL, with everything a reader needs."""
    result = measured(make_phantom())

    assert isinstance(result, ClipMeasurement)
    assert result.ef_percent == pytest.approx(60, abs=EF_TOLERANCE)
    assert result.ef_area_length_percent == pytest.approx(60, abs=EF_TOLERANCE)
    assert result.edv_ml == pytest.approx(100, rel=VOLUME_TOLERANCE)
    assert result.esv_ml == pytest.approx(40, rel=VOLUME_TOLERANCE)
    assert len(result.beats) == 3
    assert result.ef_sd_percent < 1.0
    assert result.heart_rate_bpm == 70
    assert result.notes == ()


def test_mean_is_over_the_beats(make_phantom):
    """The clip's EF is the mean of its beats', its SD the sample's."""
    result = measured(make_phantom(frame_rate_hz=22))

    efs = [beat.ef_percent for beat in result.beats]
    assert result.ef_percent == pytest.approx(np.mean(efs))
    assert result.ef_sd_percent == pytest.approx(np.std(efs, ddof=1))


@pytest.mark.parametrize("ef_percent", [10, 25, 40, 55, 75])
@pytest.mark.parametrize(("heart_rate_bpm", "frame_rate_hz"), [(40, 15), (60, 120), (90, 30), (160, 15), (160, 60)])
def test_ef_is_right_at_any_rate(make_phantom, ef_percent, heart_rate_bpm, frame_rate_hz):
    """Slow and racing hearts, sparse and dense frames; the racing heart beats faster than the 0.4 s rule."""
    phantom = make_phantom(ef_percent=ef_percent, heart_rate_bpm=heart_rate_bpm, frame_rate_hz=frame_rate_hz, beats=2.6)

    result = measured(phantom)

    assert result.ef_percent == pytest.approx(phantom.visible_ef_percent, abs=EF_TOLERANCE)
    assert len(result.beats) == 2


@pytest.mark.parametrize("beats", [1, 2, 5, 10])
def test_every_whole_beat_counts(make_phantom, beats):
    """A clip that begins at ED has as many beats as it has cycles."""
    assert len(measured(make_phantom(beats=beats, first_phase=0.0, frame_rate_hz=25)).beats) == beats


def test_one_beat_has_no_sd_and_says_so(make_phantom):
    """The spread of a single beat is None, not 0."""
    result = measured(make_phantom(beats=1, first_phase=0.0))

    assert result.ef_sd_percent is None
    assert flags(result) == {Flag.SINGLE_BEAT}


@settings(deadline=None, max_examples=25)
@given(
    ef_percent=st.floats(12, 75),
    turn_deg=st.floats(0, 360),
    spacing_mm=st.tuples(st.floats(0.6, 1.2), st.floats(0.6, 1.2)),
    mirrored=st.booleans(),
    first_phase=st.floats(-0.45, -0.1),
)
def test_ef_is_right_whichever_way_the_heart_lies(
    make_phantom, ef_percent, turn_deg, spacing_mm, mirrored, first_phase
):
    """Turned, mirrored, shifted in time and drawn with oblong pixels, the EF stays what it is."""
    row_mm, column_mm = spacing_mm
    phantom = make_phantom(
        ef_percent=ef_percent,
        turn_deg=turn_deg,
        row_mm=row_mm,
        column_mm=column_mm,
        mirrored=mirrored,
        first_phase=first_phase,
        beats=1.6,
        frame_rate_hz=25,
    )

    result = measured(phantom)

    assert result.ef_percent == pytest.approx(phantom.visible_ef_percent, abs=1.5 * EF_TOLERANCE)


@settings(deadline=None, max_examples=20)
@given(factor=st.floats(0.1, 10))
def test_spacing_moves_volumes_and_not_the_ef(make_phantom, factor):
    """EF is a ratio: twice the spacing is eight times the volume and the same EF."""
    phantom = make_phantom(beats=1.5, frame_rate_hz=20)
    segmentation, clip = phantom.segmentation(), phantom.clip()
    spacing = PixelSpacing(0.8 * factor, 0.8 * factor)

    one = measure_clip(clip, segmentation)
    other = measure_clip(replace(clip, region=replace(clip.region, spacing=spacing)), segmentation)

    assert other.ef_percent == pytest.approx(one.ef_percent)
    assert other.edv_ml == pytest.approx(one.edv_ml * factor**3)


def test_uncalibrated_clip_has_an_ef_and_no_volumes(make_phantom):
    """Without spacing: the same EF, None for every volume, and the curve in percent."""
    result, calibrated = measured(make_phantom(calibrated=False)), measured(make_phantom())

    assert result.ef_percent == pytest.approx(calibrated.ef_percent)
    assert (result.edv_ml, result.esv_ml, result.beats[0].end_diastole.length_mm) == (None, None, None)
    assert not result.calibrated
    assert result.volume_curve.max() == pytest.approx(100)
    assert result.volume_curve.min() == pytest.approx(40, abs=EF_TOLERANCE)


def test_volume_curve_follows_the_true_volume(make_phantom):
    """Every frame is within 3 mL of the phantom's volume."""
    phantom = make_phantom()

    assert measured(phantom).volume_curve == pytest.approx(phantom.volumes_ml, abs=3.0)


def test_contours_are_in_the_pixels_of_the_picture(make_phantom):
    """The ED contour lies where the LV was drawn, though only a crop was looked at."""
    phantom = make_phantom()
    result = measured(phantom)

    end_diastole = result.beats[0].end_diastole
    rows, columns = np.nonzero(phantom.label_maps()[end_diastole.frame_index] == LV)
    assert end_diastole.contour[:, 0].min() == pytest.approx(columns.min(), abs=1)
    assert end_diastole.contour[:, 1].max() == pytest.approx(rows.max() + 1, abs=1)
    assert end_diastole.apex[1] == pytest.approx(rows.min(), abs=1)


def test_missing_heart_rate_is_estimated_and_flagged(make_phantom):
    """The rate comes from the curve and the note says so."""
    result = measured(make_phantom(told_heart_rate_bpm=None))

    assert result.heart_rate_bpm == pytest.approx(70, rel=0.03)
    assert flags(result) == {Flag.HEART_RATE_ESTIMATED}


@pytest.mark.parametrize("told", [30.0, 35.0, 150.0])
def test_wrong_heart_rate_of_the_machine_costs_no_clip(make_phantom, told):
    """Three clear beats are measured though the machine's rate would leave none, and the flag says so."""
    result = measured(make_phantom(told_heart_rate_bpm=told, beats=2.2))

    assert result.ef_percent == pytest.approx(60, abs=EF_TOLERANCE)
    assert result.heart_rate_bpm == pytest.approx(70, rel=0.03)
    assert flags(result) == {Flag.HEART_RATE_DISAGREES}


def test_heart_rate_that_the_machines_own_r_waves_contradict_is_flagged(make_phantom):
    """Reported is the rate of the R waves, and no cardiac output rests on it."""
    result = measured(make_phantom(heart_rate_bpm=60, told_heart_rate_bpm=120.0, r_waves=True, beats=3.5))

    assert result.heart_rate_bpm == pytest.approx(60)
    assert flags(result) == {Flag.HEART_RATE_DISAGREES}


def test_atrium_is_measured_at_end_systole(make_phantom):
    """The phantom's LA: 8 A^2 / (3 pi L) of 942 mm2 and 30 mm are 25 mL, on the frame of each end-systole."""
    result = measured(make_phantom(beats=2))

    assert result.la_volume_ml == pytest.approx(25.1, rel=0.06)
    assert [beat.left_atrium.frame_index for beat in result.beats] == [
        beat.end_systole.frame_index for beat in result.beats
    ]


def test_atrium_that_is_cut_off_gives_no_volume_and_a_flag(make_phantom):
    """What lies outside the picture is not in the volume; the LV is measured all the same."""
    result = measured(make_phantom(beats=2, ef_percent=20, size_mm=98))

    assert result.la_volume_ml is None
    assert Flag.ATRIUM_CUT_OFF in flags(result)
    assert result.ef_percent == pytest.approx(20, abs=EF_TOLERANCE)


def test_interval_holds_the_ef_and_grows_with_doubt(make_phantom):
    """An expected Dice of 0.85 makes it wider, one of 0.95 does not make it narrower."""
    plain = measured(make_phantom(beats=2))

    poor, good = (doubted(plain, trust, MeasureConfig()) for trust in (0.85, 0.95))

    assert plain.ef_interval.low < 60 < plain.ef_interval.high
    assert poor.ef_interval.low < plain.ef_interval.low
    assert poor.segmentation_sd_percent == pytest.approx(12.0)
    assert good.ef_interval == plain.ef_interval


@pytest.mark.parametrize("ef_percent", [12, 20])
def test_noise_does_not_make_an_ef(make_phantom, ef_percent):
    """Sizes that err at random by 4 % per frame raise a low EF by less than two points, in the mean of five clips."""
    errors = []
    for seed in range(5):
        phantom = make_phantom(ef_percent=ef_percent, beats=3.3, row_mm=1.0, column_mm=1.0)
        noise = 1 + 0.04 * np.random.default_rng(seed).standard_normal(len(phantom.volumes_ml))
        labels = np.stack([phantom.draw(volume) for volume in phantom.volumes_ml * noise])
        result = measure_clip(phantom.clip(), Segmentation(labels, phantom.segmentation().structures))
        errors.append(result.ef_percent - phantom.visible_ef_percent)

    assert abs(np.mean(errors)) < 2.0


def test_contour_is_the_one_that_the_numbers_are_of(make_phantom):
    """Area and disks can be recomputed from the reported contour and spacing."""
    phantom = make_phantom(row_mm=0.6, column_mm=0.9, beats=1.5)
    diastole = measured(phantom).beats[0].end_diastole
    plane = diastole.contour * (0.9, 0.6)

    assert abs(signed_area(plane)) == pytest.approx(diastole.area_mm2)
    middle = np.mean(diastole.annulus, axis=0) * (0.9, 0.6)
    assert disks_volume(plane, diastole.apex * np.array([0.9, 0.6]), middle) == pytest.approx(1000 * diastole.disks_ml)
    assert len(diastole.diameters_mm) == 20


@settings(deadline=None, max_examples=10)
@given(shift=st.integers(0, 12), mirrored=st.booleans(), turn_deg=st.floats(-10, 10))
def test_ef_and_volume_bear_a_mirror_a_small_turn_and_a_shift_in_time(make_phantom, shift, mirrored, turn_deg):
    """Frames cut off before the first beat, a mirror and ten degrees move the EF by less than a point."""
    still = make_phantom(beats=2.4, frame_rate_hz=25, first_phase=-0.6)
    moved = make_phantom(beats=2.4, frame_rate_hz=25, first_phase=-0.6, mirrored=mirrored, turn_deg=turn_deg)
    clip, segmentation = moved.clip(), moved.segmentation()
    later = replace(clip, frame_times_ms=clip.frame_times_ms[shift:] - clip.frame_times_ms[shift])

    result = measure_clip(later, Segmentation(segmentation.label_maps[shift:], segmentation.structures))

    assert result.ef_percent == pytest.approx(measured(still).ef_percent, abs=1.0)
    assert result.edv_ml == pytest.approx(measured(still).edv_ml, rel=0.02)


def notes_of(*efs):
    """Return the mean EF and what is said of the range, of beats with these EFs."""
    found = tuple(SimpleNamespace(ef_percent=ef) for ef in efs)
    beats = without_outliers(found, MeasureConfig())
    notes = _range_notes(found, beats, MeasureConfig())
    return np.mean([beat.ef_percent for beat in beats]), [(note.flag, note.detail) for note in notes]


def test_beat_out_of_range_near_the_others_stays_in_the_mean():
    """A failing heart's weakest beat is one of its beats."""
    assert notes_of(9.0, 25.0, 26.0) == (20.0, [(Flag.BEAT_OUT_OF_RANGE, "EF of 9.0 % in 1 of 3 beats, in the mean")])


def test_beat_far_off_all_others_is_left_out():
    """No heart beats 55, 57, and 4 % in between: outlines failed in one beat, and cost that beat alone."""
    expected = [(Flag.BEAT_OUT_OF_RANGE, "EF of 4.0 % in 1 of 3 beats, left out of the mean")]

    assert notes_of(55.0, 4.0, 57.0) == (56.0, expected)


def test_one_beat_against_one_stays():
    """Which of the two failed is not known: their mean, or a flag on it."""
    assert notes_of(55.0, 4.0) == (29.5, [(Flag.BEAT_OUT_OF_RANGE, "EF of 4.0 % in 1 of 2 beats, in the mean")])


def test_ef_out_of_range_is_kept_and_flagged(make_phantom):
    """An EF of 8 % is unusual, not unsaid."""
    result = measured(make_phantom(ef_percent=8))

    assert result.ef_percent == pytest.approx(8, abs=EF_TOLERANCE)
    assert flags(result) == {Flag.EF_OUT_OF_RANGE}


def test_irregular_rhythm_is_flagged(make_phantom):
    """R waves 700 to 1000 ms apart vary by more than a tenth."""
    phantom = make_phantom(beats=4)
    clip = replace(phantom.clip(), r_wave_times_ms=(200.0, 900.0, 1900.0, 2750.0))

    assert Flag.IRREGULAR_RHYTHM in flags(measure_clip(clip, phantom.segmentation()))


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_single_ragged_frame_does_not_set_ed_or_es(make_phantom, offset):
    """An outline that leaks into the atrium, or loses half the LV, costs no more than the next frame's EF."""
    for frame_rate_hz in (20, 40):  # without and with the vote of three frames
        phantom = make_phantom(frame_rate_hz=frame_rate_hz, beats=2)
        clean = measured(phantom)
        leaking, torn = clean.beats[0].end_diastole.frame_index, clean.beats[0].end_systole.frame_index

        def spoil(labels, leaking=leaking + offset, torn=torn + offset):
            labels[leaking][labels[leaking] == ATRIUM] = LV
            labels[torn, :, labels.shape[2] // 2 :][labels[torn, :, labels.shape[2] // 2 :] == LV] = 0

        assert edited(phantom, spoil).ef_percent == pytest.approx(clean.ef_percent, abs=2.0)


def test_neighbours_mend_an_outline_drawn_too_tight(make_phantom):
    """Where frames are dense, an ES outline with a tenth too little volume does not raise the EF."""
    phantom = make_phantom(frame_rate_hz=60, beats=1.5)
    clean = measured(phantom)
    index = clean.beats[0].end_systole.frame_index

    def tighten(labels):
        labels[index] = phantom.draw(0.9 * phantom.volumes_ml[index])

    assert edited(phantom, tighten).ef_percent == pytest.approx(clean.ef_percent, abs=1.0)


def test_few_empty_frames_are_interpolated_over(make_phantom):
    """Three empty frames of a hundred change nothing, and the curve has no hole."""
    phantom = make_phantom()

    def empty(labels):
        labels[[5, 30, 31]] = 0

    result = edited(phantom, empty)
    assert result.ef_percent == pytest.approx(60, abs=EF_TOLERANCE)
    assert np.isfinite(result.volume_curve).all()


def test_clip_without_ventricle_is_not_assessed(make_phantom):
    """Nothing outlined, on every frame or on a fifth of them."""

    def empty(labels):
        labels[::5] = 0

    assert refusal(edited(make_phantom(), lambda labels: labels.fill(0))) is Reason.NO_VENTRICLE
    assert refusal(edited(make_phantom(), empty)) is Reason.NO_VENTRICLE


def test_engine_that_outlines_no_ventricle_is_not_assessed(make_phantom):
    """A segmentation without an LV among its structures has no LV."""
    phantom = make_phantom(beats=1.2)
    labels = phantom.label_maps()

    assert refusal(measure_clip(phantom.clip(), Segmentation(labels, ()))) is Reason.NO_VENTRICLE


def test_speck_is_no_ventricle(make_phantom):
    """An LV of half a percent of the region is something else."""
    assert refusal(measured(make_phantom(edv_ml=2, length_mm=16))) is Reason.NO_VENTRICLE


def test_clip_shorter_than_a_beat_is_not_assessed(make_phantom):
    """Three quarters of a beat, or a single frame."""
    phantom = make_phantom(beats=0.75, first_phase=0.0)
    clip, segmentation = phantom.clip(), phantom.segmentation()
    still = replace(clip, frames=clip.frames[:1], frame_times_ms=clip.frame_times_ms[:1])

    assert refusal(measure_clip(clip, segmentation)) is Reason.SHORTER_THAN_A_BEAT
    one = Segmentation(segmentation.label_maps[:1], segmentation.structures)
    assert refusal(measure_clip(still, one)) is Reason.SHORTER_THAN_A_BEAT


def test_still_ventricle_shows_no_beat(make_phantom):
    """An area that changes by 1 % is no heartbeat."""
    assert refusal(measured(make_phantom(ef_percent=1))) is Reason.NO_BEAT


def test_frames_too_far_apart_show_no_beat(make_phantom):
    """At three frames per beat, ED and ES lie between the frames."""
    assert refusal(measured(make_phantom(heart_rate_bpm=100, frame_rate_hz=5, beats=8))) is Reason.NO_BEAT


def test_leaping_outline_is_unstable(make_phantom):
    """Every third frame loses half of the LV."""

    def tear(labels):
        torn = labels[::3, :, : labels.shape[2] // 2]
        torn[torn == LV] = 0

    assert refusal(edited(make_phantom(), tear)) is Reason.UNSTABLE_SEGMENTATION


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_measured(make_phantom, seed):
    """A still heart whose outline flickers at random gives a reason, not an EF."""
    phantom = make_phantom(heart_rate_bpm=60, frame_rate_hz=25, beats=4)
    volumes = 80 * (1 + 0.06 * np.random.default_rng(seed).standard_normal(len(phantom.frame_times_ms)))
    labels = np.stack([phantom.draw(volume) for volume in volumes])

    result = measure_clip(phantom.clip(), Segmentation(labels, phantom.segmentation().structures))

    assert refusal(result) is Reason.UNSTABLE_SEGMENTATION


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_frames_are_not_measured(make_phantom, seed):
    """Frames in any order have extremes too, and some rate between them; they are no heartbeat."""
    phantom = make_phantom(frame_rate_hz=30, beats=1.2, told_heart_rate_bpm=None)
    segmentation = phantom.segmentation()
    order = np.random.default_rng(seed).permutation(len(segmentation.label_maps))

    result = measure_clip(phantom.clip(), replace(segmentation, label_maps=segmentation.label_maps[order]))

    assert isinstance(result, NotAssessed), result.ef_percent


def test_reversed_frames_have_the_same_extremes(make_phantom):
    """Played backwards, a cine keeps its largest and smallest LV: its EF does not change in silence."""
    phantom = make_phantom(beats=3.2)
    segmentation = phantom.segmentation()
    backwards = replace(segmentation, label_maps=segmentation.label_maps[::-1])

    result = measure_clip(phantom.clip(), backwards)

    assert result.ef_percent == pytest.approx(60, abs=EF_TOLERANCE)


@settings(deadline=None, max_examples=15)
@given(frames=st.sets(st.integers(0, 31), max_size=32), seed=st.integers(0, 1000))
def test_no_nan_ever_leaves_as_a_number(make_phantom, frames, seed):
    """Whatever frames are lost or filled with rubbish: a reason, or finite numbers only."""
    phantom = make_phantom(beats=1.5, frame_rate_hz=18)
    rng = np.random.default_rng(seed)

    def spoil(labels):
        for index in frames & set(range(len(labels))):
            labels[index] = 0 if rng.random() < 0.5 else rng.integers(0, 4, labels.shape[1:])

    result = edited(phantom, spoil)

    assume(isinstance(result, ClipMeasurement))
    numbers = [result.ef_percent, result.edv_ml, result.esv_ml, result.heart_rate_bpm, result.ef_area_length_percent]
    assert np.isfinite(numbers).all()
    assert np.isfinite(result.volume_curve).all()
