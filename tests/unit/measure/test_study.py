"""The headline of a study: which clips it rests on, and its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.config import MeasureConfig
from echo_scp.measure import measure_study
from echo_scp.model import (
    Atrium,
    BodySize,
    Clip,
    Flag,
    NotAssessed,
    Note,
    Reason,
    Region,
    Reproduction,
    StudyMeasurement,
    View,
    VolumeMethod,
)
from tests.unit.measure.planes import make_analysis, make_estimate

BODY = BodySize(1.7, 70.0, 1.8, "DuBois")
ATRIUM = Atrium(0, np.zeros((4, 2)), (0.0, 0.0), ((0.0, 0.0), (1.0, 0.0)), 50.0, 1700.0, 49.0)


def flags(result):
    return {note.flag for note in result.notes}


def test_two_planes_that_fit_are_biplane():
    """Volumes of both, EF between the planes', and every number that follows from them."""
    four = make_analysis(1, View.A4C, (60.0, 60.0), length_mm=88.0, left_atrium=ATRIUM)
    two = make_analysis(2, View.A2C, (50.0,), length_mm=84.0, left_atrium=ATRIUM)

    result = measure_study([four, two], body=BODY)

    assert result.method is VolumeMethod.DISKS_BIPLANE
    assert result.ef_percent == pytest.approx(100 * (1 - (0.4 * 0.5) ** 0.5), abs=0.01)
    assert result.sop_instance_uids == ("1.2.1", "1.2.2")
    assert (result.beat_count, result.heart_rate_bpm, result.length_mm) == (3, 70.0, 88.0)
    assert result.stroke_volume_ml == pytest.approx(result.edv_ml - result.esv_ml)
    assert result.cardiac_output_l_min == pytest.approx(0.07 * result.stroke_volume_ml)
    assert result.edv_index_ml_m2 == pytest.approx(result.edv_ml / 1.8)
    assert result.la_method is VolumeMethod.AREA_LENGTH_BIPLANE
    assert result.la_index_ml_m2 == pytest.approx(result.la_volume_ml / 1.8)
    assert result.ef_interval.low < result.ef_percent < result.ef_interval.high
    assert result.choice == (
        "Biplane from instance 1 (A4C, quality 1.00) and instance 2 (A2C, quality 1.00), the best pair: "
        "LV lengths 88 and 84 mm, heart rates 70 and 70/min."
    )


def test_clips_are_named_with_their_series():
    """Some machines begin every clip's series with instance 1."""
    four, two = make_analysis(1, View.A4C, (60.0,)), make_analysis(2, View.A2C, (60.0,))
    for number, clip in enumerate((four, two), start=4):
        clip.instance.header.SeriesNumber, clip.instance.header.InstanceNumber = number, 1

    assert measure_study([four, two]).choice.startswith("Biplane from series 4, instance 1 (A4C")


def test_best_pair_is_chosen():
    """Quality first, then lengths and rates that agree."""
    clips = [
        make_analysis(1, View.A4C, quality=0.6),
        make_analysis(2, View.A4C, quality=0.9),
        make_analysis(3, View.A2C, length_mm=80.0),
        make_analysis(4, View.A2C, length_mm=86.0),
        make_analysis(5, View.A2C, heart_rate_bpm=82.0),
    ]

    result = measure_study(clips)

    assert result.sop_instance_uids == ("1.2.2", "1.2.4")
    assert "3 other measured clips not used" in result.choice


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"length_mm": 77.0}, "differ in length by 10 % (86 and 77 mm)"),
        ({"heart_rate_bpm": 100.0}, "differ in heart rate (70 and 100/min)"),
        ({"length_mm": None}, "not both calibrated"),
        ({"quality": 0.2}, "no pair of clips reaches a quality of 0.3"),
    ],
)
def test_two_planes_that_do_not_fit_are_not_combined(change, words):
    """The A4C stands alone, and the sentence says why."""
    result = measure_study([make_analysis(1, View.A4C), make_analysis(2, View.A2C, **change)])

    assert result.method is VolumeMethod.DISKS_SINGLE_PLANE
    assert result.sop_instance_uids == ("1.2.1",)
    assert words in result.choice


def test_lengths_that_differ_by_a_tenth_still_fit():
    """The guideline's limit itself is allowed."""
    clips = [make_analysis(1, View.A4C, length_mm=90.0), make_analysis(2, View.A2C, length_mm=81.0)]

    assert measure_study(clips).method is VolumeMethod.DISKS_BIPLANE


def test_shorter_plane_is_called_foreshortened():
    """A reader learns which one misses the apex."""
    clips = [make_analysis(1, View.A4C, length_mm=72.0), make_analysis(2, View.A2C, length_mm=88.0)]

    result = measure_study(clips)

    assert [note.detail for note in result.notes if note.flag is Flag.FORESHORTENED] == [
        "instance 1 (A4C): the LV is 18 % shorter than in the other plane"
    ]


def test_single_plane_is_the_mean_over_all_beats():
    """Three beats of 60 % and one of 40 % are 55 %: a beat counts once, whichever clip it is in."""
    result = measure_study([make_analysis(1, efs=(60.0, 60.0, 60.0)), make_analysis(2, efs=(40.0,))])

    assert result.ef_percent == pytest.approx(55)
    assert result.esv_ml == pytest.approx(0.45 * result.edv_ml)
    assert (result.view, result.beat_count, result.sop_instance_uids) == (View.A4C, 4, ("1.2.1", "1.2.2"))
    assert "because no A2C clip was measured" in result.choice


def test_poor_clip_beside_a_good_one_is_left_out():
    """Three quarters of the best quality are asked for."""
    clips = [make_analysis(1, efs=(60.0,)), make_analysis(2, efs=(30.0,), quality=0.7)]

    result = measure_study(clips)

    assert (result.ef_percent, result.sop_instance_uids) == (60.0, ("1.2.1",))


def test_view_of_doubt_counts_less():
    """Trust is quality times the probability of the view."""
    clips = [make_analysis(1, efs=(30.0,), confidence=0.6), make_analysis(2, efs=(60.0,), confidence=0.95)]

    assert measure_study(clips).ef_percent == 60.0


def test_a2c_stands_in_when_no_a4c_was_measured():
    """An A4C that was refused leaves the A2C."""
    refused = make_analysis(1, reason=Reason.UNSTABLE_SEGMENTATION)

    result = measure_study([refused, make_analysis(2, View.A2C, (50.0,))])

    assert (result.view, result.ef_percent) == (View.A2C, pytest.approx(50.0))


def test_good_a2c_is_better_than_a_poor_a4c():
    """Preference ends where an outline is not credible."""
    result = measure_study([make_analysis(1, View.A4C, quality=0.1), make_analysis(2, View.A2C, (50.0,))])

    assert result.view is View.A2C


def test_volumes_rest_on_calibrated_beats():
    """An uncalibrated clip gives its EF; without any calibrated clip there is no volume."""
    uncalibrated, calibrated = make_analysis(1, length_mm=None), make_analysis(2, length_mm=90.0)

    assert measure_study([uncalibrated, calibrated]).edv_ml == pytest.approx(calibrated.measurement.edv_ml)
    alone = measure_study([uncalibrated])
    assert (alone.edv_ml, alone.esv_ml, alone.stroke_volume_ml, alone.ef_percent) == (None, None, None, 60.0)


@pytest.mark.parametrize("flag", [Flag.HEART_RATE_ESTIMATED, Flag.HEART_RATE_DISAGREES])
def test_no_cardiac_output_without_a_heart_rate_that_is_sure(flag):
    """A rate read off the outlines, or one that they contradict, is not multiplied with anything."""
    result = measure_study([make_analysis(notes=(Note(flag, ""),))], body=BODY)

    assert result.heart_rate_bpm is None
    assert (result.cardiac_output_l_min, result.cardiac_index_l_min_m2) == (None, None)
    assert result.stroke_index_ml_m2 is not None


def test_nothing_is_indexed_without_a_body():
    """A refused height is a note."""
    refused = Note(Flag.BODY_SIZE_REFUSED, "170")

    result = measure_study([make_analysis()], body=refused)

    assert result.body is None
    assert result.edv_index_ml_m2 is None
    assert refused in result.notes


def test_atrium_in_one_plane_only_is_single_plane():
    """And says so."""
    clips = [make_analysis(1, View.A4C, left_atrium=ATRIUM), make_analysis(2, View.A2C)]

    result = measure_study(clips)

    assert (result.la_volume_ml, result.la_method) == (49.0, VolumeMethod.AREA_LENGTH_SINGLE_PLANE)


@pytest.mark.parametrize("shown", [View.A4C, View.A2C])
def test_atrium_of_one_plane_names_the_plane_it_was_seen_in(shown):
    """The LV's result is biplane; the LA's is of the plane that shows it, a biplane one of neither."""
    seen = {view: ATRIUM if view is shown else None for view in (View.A4C, View.A2C)}
    clips = [make_analysis(number, view, left_atrium=atrium) for number, (view, atrium) in enumerate(seen.items())]
    both = [make_analysis(number, view, left_atrium=ATRIUM) for number, view in enumerate(seen)]

    assert measure_study(clips).la_view is shown
    assert measure_study(both).la_view is None


def test_irregular_rhythm_asks_for_five_beats():
    """Four beats: the flag says how many there were; five are enough."""
    irregular = (Note(Flag.IRREGULAR_RHYTHM, "vary"),)

    one, few, enough = (measure_study([make_analysis(efs=(55.0,) * count, notes=irregular)]) for count in (1, 4, 5))

    assert flags(few) == {Flag.IRREGULAR_RHYTHM, Flag.FEW_BEATS}
    assert [result.notes[1].detail.split(";")[0] for result in (one, few)] == ["1 beat was there", "4 beats were there"]
    assert flags(enough) == {Flag.IRREGULAR_RHYTHM}


def test_irregular_rhythm_takes_the_beats_of_further_clips():
    """Two clips of one beat each are few: the others that fit them count too, and the sentence says so."""
    irregular = (Note(Flag.IRREGULAR_RHYTHM, "vary"),)
    clips = [
        make_analysis(1, View.A4C, notes=irregular),
        make_analysis(2, View.A2C, notes=irregular),
        make_analysis(3, View.A4C, (50.0, 55.0), quality=0.9),
        make_analysis(4, View.A2C, (52.0,), quality=0.8),
        make_analysis(5, View.A2C, (52.0,), length_mm=60.0),
    ]

    result = measure_study(clips)

    assert result.sop_instance_uids == ("1.2.1", "1.2.2", "1.2.3", "1.2.4")
    assert (result.beat_count, flags(result)) == (5, {Flag.IRREGULAR_RHYTHM})
    assert "with the beats of instance 3 (A4C, quality 0.90), instance 4 (A2C, quality 0.80)" in result.choice
    assert "1 other measured clip not used" in result.choice


PEAK = "Stage Name (0008,2120) is Peak"


def at_stage(stage, analysis):
    clip = Clip(analysis.instance, np.zeros((0, 1, 1), np.uint8), np.zeros(0), Region(0, 0, 1, 1, None), stage=stage)
    return replace(analysis, clip=clip)


def test_rest_and_stress_never_share_a_number():
    """The result is that of the rest, though the better plane and the better clips are of the peak."""
    rest = at_stage("", make_analysis(1, View.A4C, (60.0,), quality=0.7))
    peak = at_stage(PEAK, make_analysis(2, View.A4C, (80.0,)))
    other = at_stage(PEAK, make_analysis(3, View.A2C, (80.0,)))

    result = measure_study([peak, rest, other])

    assert result.sop_instance_uids == ("1.2.1",)
    assert result.ef_percent == pytest.approx(60.0)
    assert result.choice.endswith("Stress protocol: 2 measured clips of other stages stand by themselves.")
    assert measure_study([peak, rest]).choice.endswith(": 1 measured clip of another stage stands by itself.")
    assert Flag.STRESS_STAGE not in flags(result)


def test_without_a_clip_at_rest_the_first_stage_counts_and_is_named():
    """A number of the peak is not mistaken for one at rest."""
    clips = [
        at_stage(PEAK, make_analysis(1, View.A4C, (80.0,))),
        at_stage("Stage Number (0008,2122) is 4", make_analysis(2, View.A4C, (70.0,))),
        at_stage(PEAK, make_analysis(3, View.A2C, (80.0,))),
    ]

    result = measure_study(clips)

    assert result.sop_instance_uids == ("1.2.1", "1.2.3")
    assert "Stress protocol: of the stage whose Stage Name (0008,2120) is Peak; 1 measured clip of" in result.choice
    assert Flag.STRESS_STAGE in flags(result)


def test_a_published_headline_names_its_stage_too():
    """By usal_echo's rules an EF of the peak would pass for one at rest."""
    numbers = Reproduction(60.0, 120.0, 48.0, 50.0, 4)
    peak = at_stage(PEAK, with_reproduction(make_analysis(), numbers))

    result = measure_study([peak], MeasureConfig(aggregation="usal"))

    assert "Stress protocol: of the stage whose Stage Name (0008,2120) is Peak" in result.choice


def test_an_ordinary_study_says_nothing_of_stages():
    """Nor does one whose clips all say that they are at rest."""
    assert "Stress" not in measure_study([at_stage("", make_analysis(1))]).choice


def test_regular_rhythm_rests_on_the_best_pair_alone():
    """More of the same is not better."""
    clips = [make_analysis(1, View.A4C), make_analysis(2, View.A2C), make_analysis(3, View.A4C, quality=0.9)]

    assert measure_study(clips).sop_instance_uids == ("1.2.1", "1.2.2")


def test_spread_between_beats_is_within_clips():
    """Two clips that differ and do not vary have no spread between beats."""
    result = measure_study([make_analysis(1, efs=(60.0, 60.0)), make_analysis(2, efs=(50.0, 50.0))])

    assert result.ef_sd_percent == pytest.approx(0, abs=1e-9)
    assert measure_study([make_analysis(efs=(60.0,))]).ef_sd_percent is None


def test_test_time_variation_widens_the_interval():
    """An engine that contradicts itself by 12 points is believed that."""
    plain, doubted = (measure_study([make_analysis(segmentation_sd_percent=sd)]).ef_interval for sd in (None, 12.0))

    assert doubted.high - doubted.low > 1.3 * (plain.high - plain.low)


@pytest.mark.parametrize(("regressed", "flagged"), [(50.5, False), (49.5, True), (69.5, False), (71.0, True)])
def test_regression_stands_beside_and_disagreement_is_flagged(regressed, flagged):
    """More than ten points apart."""
    result = measure_study([make_analysis(regressed=regressed)])

    assert (result.ef_percent, result.regressed_ef_percent) == (60.0, regressed)
    assert (Flag.EF_DISAGREES in flags(result)) is flagged


def test_only_the_first_network_stands_beside_and_no_research_network_does():
    """Two networks are not averaged; a research network's EF is not stated as a finding."""
    research = replace(make_estimate(10.0, "phenotypes"), research=True)
    estimates = (research, make_estimate(58.0, "first"), make_estimate(20.0, "second"))

    result = measure_study([replace(make_analysis(), estimates=estimates)])

    assert result.regressed_ef_percent == 58.0


def test_ef_out_of_range_is_flagged_by_its_mean():
    """One beat of 5 % beside two of 20 % is no EF out of range."""
    assert Flag.EF_OUT_OF_RANGE not in flags(measure_study([make_analysis(efs=(5.0, 20.0, 20.0))]))
    assert Flag.EF_OUT_OF_RANGE in flags(measure_study([make_analysis(efs=(5.0, 8.0))]))


def test_usal_takes_percentiles_over_clips_and_leaves_out_the_occluded():
    """EDV p50, ESV p25, EF p75, LA p25; an LA below 0.3 of the LV was not seen whole."""
    numbers = [Reproduction(ef, edv, esv, la, 4) for ef, edv, esv, la in
               ((50, 100, 50, 40), (60, 120, 48, 50), (70, 140, 42, 60), (90, 200, 20, 30))]  # fmt: skip
    clips = [with_reproduction(make_analysis(index), one) for index, one in enumerate(numbers)]

    result = measure_study(clips, MeasureConfig(aggregation="usal"))

    assert (result.edv_ml, result.esv_ml, result.ef_percent, result.la_volume_ml) == (120, 45, 65, 45)
    assert result.sop_instance_uids == ("1.2.0", "1.2.1", "1.2.2")
    assert (result.method, result.aggregation) == (VolumeMethod.AREA_LENGTH_SINGLE_PLANE, "usal")
    assert result.ef_interval is None


def with_reproduction(analysis, reproduction):
    return replace(analysis, measurement=replace(analysis.measurement, reproduction=reproduction))


def test_published_headline_has_the_heart_rate_of_its_own_clips():
    """A cardiac output joins a stroke volume with the rate of the same clips, not of the A2C that went unused."""
    numbers = Reproduction(60.0, 120.0, 48.0, 50.0, 4)
    four = with_reproduction(make_analysis(1, heart_rate_bpm=60.0), numbers)
    two = make_analysis(2, View.A2C, heart_rate_bpm=70.0, notes=(Note(Flag.IRREGULAR_RHYTHM, "vary"),))

    result = measure_study([four, two], MeasureConfig(aggregation="usal"))

    assert result.sop_instance_uids == ("1.2.1",)
    assert result.heart_rate_bpm == 60.0
    assert Flag.IRREGULAR_RHYTHM not in flags(result)


def test_usal_without_a_credible_window_is_not_assessed():
    """Its limits may leave nothing."""
    clip = with_reproduction(make_analysis(), Reproduction(None, None, None, None, 0))

    result = measure_study([clip], MeasureConfig(aggregation="usal"))

    assert isinstance(result, NotAssessed)
    assert "usal_echo" in result.detail


def test_echonet_dynamic_is_the_mean_over_clips_by_its_network():
    """The outlines' EF where there is no network, the network's where there is one."""
    numbers = (Reproduction(50.0, 100.0, 50.0, None, 2), Reproduction(60.0, 110.0, 44.0, None, 3))
    clips = [with_reproduction(make_analysis(index), one) for index, one in enumerate(numbers)]
    config = MeasureConfig(aggregation="echonet-dynamic")

    outlined = measure_study(clips, config)
    regressed = measure_study([replace(clips[0], estimates=(make_estimate(40.0),)), clips[1]], config)

    assert (outlined.ef_percent, outlined.edv_ml, outlined.beat_count) == (55.0, 105.0, 5)
    assert (regressed.ef_percent, regressed.method) == (40.0, VolumeMethod.REGRESSION)
    assert Flag.EF_DISAGREES in flags(regressed)


def test_refusal_sums_up_the_reasons():
    """The most frequent reason comes first."""
    reasons = (Reason.COLOUR_DOPPLER, Reason.VIEW_NOT_MEASURED, Reason.VIEW_NOT_MEASURED)

    result = measure_study([make_analysis(reason=reason) for reason in reasons])

    assert result == NotAssessed(
        Reason.NO_ELIGIBLE_CLIP, "no clip could be measured: 2 x view_not_measured, 1 x colour_doppler"
    )


@given(reasons=st.lists(st.sampled_from(Reason), max_size=4))
def test_refused_clips_do_not_move_a_number(reasons):
    """What is not assessed adds nothing to what is."""
    clip = make_analysis(0)
    refused = [make_analysis(number, reason=reason, regressed=10.0) for number, reason in enumerate(reasons, start=1)]

    assert measure_study([clip, *refused]) == measure_study([clip])


def test_study_without_clips_is_not_assessed():
    """No clips at all is said in words."""
    assert measure_study([]) == NotAssessed(Reason.NO_ELIGIBLE_CLIP, "no clip could be measured: there are no clips")


@given(
    reasons=st.lists(st.sampled_from(Reason), min_size=1, max_size=6),
    aggregation=st.sampled_from(["beats", "usal", "echonet-dynamic"]),
)
def test_not_assessed_is_absorbing(reasons, aggregation):
    """Refused clips alone never make a number, whatever a network says of them."""
    clips = [make_analysis(number, reason=reason, regressed=55.0) for number, reason in enumerate(reasons)]

    result = measure_study(clips, MeasureConfig(aggregation=aggregation), BODY)

    assert isinstance(result, NotAssessed)


efs = st.floats(5, 85)


@given(beats=st.lists(efs, min_size=1, max_size=12), added=efs)
def test_added_beat_moves_the_mean_by_its_weight(beats, added):
    """One more beat moves the headline by its distance divided by the number of beats."""
    before, after = (measure_study([make_analysis(efs=tuple(values))]) for values in (beats, [*beats, added]))

    assert isinstance(after, StudyMeasurement)
    assert abs(after.ef_percent - before.ef_percent) <= abs(added - before.ef_percent) / (len(beats) + 1) + 1e-9


@given(four=st.lists(efs, min_size=1, max_size=6), two=st.lists(efs, min_size=1, max_size=6), added=efs)
def test_added_beat_moves_a_biplane_mean_by_its_weight(four, two, added):
    """The beat alone against the other plane says what it stands for."""
    plane = make_analysis(2, View.A2C, tuple(two))
    before, after, alone = (
        measure_study([make_analysis(1, View.A4C, tuple(values)), plane]).ef_percent
        for values in (four, [*four, added], [added])
    )

    assert after - before == pytest.approx((alone - before) / (len(four) + 1), abs=1e-6)
