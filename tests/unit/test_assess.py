"""Every scale at every boundary."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.assess import assess
from echo_scp.model import BodySize, Sex, StudyMeasurement, View, VolumeMethod

MEN, WOMEN = "ASE/EACVI 2015, men", "ASE/EACVI 2015, women"
TRIAGE, FAILURE, BSE = "usal_echo triage", "universal HF definition 2021", "BSE 2020"


def assessed(ef_percent, sex=None):
    result = StudyMeasurement(ef_percent, None, None, View.A4C, VolumeMethod.DISKS_SINGLE_PLANE, 1, ("1.2",))
    return assess(result, sex)


def of_volumes(sex, **changes):
    """Return the grades by scale of a study with volumes."""
    result = StudyMeasurement(60.0, 100.0, 40.0, View.A4C, VolumeMethod.DISKS_BIPLANE, 1, ("1.2",))
    return {grade.scale: grade.grade for grade in assess(replace(result, **changes), sex).grades}


def grade(scale, ef_percent):
    return {grade.scale: grade.grade for grade in assessed(ef_percent).grades}[scale]


@pytest.mark.parametrize(
    ("scale", "cut", "below", "at"),
    [
        (MEN, 30, "severely abnormal", "moderately abnormal"),
        (MEN, 41, "moderately abnormal", "mildly abnormal"),
        (MEN, 52, "mildly abnormal", "normal"),
        (WOMEN, 30, "severely abnormal", "moderately abnormal"),
        (WOMEN, 41, "moderately abnormal", "mildly abnormal"),
        (WOMEN, 54, "mildly abnormal", "normal"),
        (TRIAGE, 40, "abnormal", "grey zone"),
        (TRIAGE, 60, "grey zone", "normal"),
        (FAILURE, 41, "HFrEF range", "HFmrEF range"),
        (FAILURE, 50, "HFmrEF range", "HFpEF range"),
        (BSE, 36, "severely impaired", "impaired"),
        (BSE, 50, "impaired", "borderline"),
        (BSE, 55, "borderline", "normal"),
    ],
)
def test_grade_changes_exactly_at_the_cut(scale, cut, below, at):
    """The cut itself has the better grade, the next number that can be told below it the worse."""
    assert grade(scale, cut - 0.1) == below
    assert grade(scale, float(cut)) == at


@pytest.mark.parametrize(("scale", "upper"), [(MEN, 72), (WOMEN, 74)])
def test_ef_above_the_normal_range_is_called_so(scale, upper):
    """The upper end is normal, the next number that can be told is not."""
    assert grade(scale, float(upper)) == "normal"
    assert grade(scale, upper + 0.1) == "above normal range"


@pytest.mark.parametrize("ef_percent", [nextafter(50, -inf), 49.96, 50.04])
def test_number_is_graded_as_it_is_told(ef_percent):
    """A report that says 50.0 % must not say below 50 % beside it."""
    assert assessed(ef_percent) == assessed(50.0)
    assert assessed(ef_percent) != assessed(49.9)


@pytest.mark.parametrize(
    ("ef_percent", "expected"),
    [(55, "normal"), (51.9, "borderline"), (40, "impaired"), (35.0, "severely impaired")],
)
def test_published_whole_percents_keep_their_grade(ef_percent, expected):
    """The whole percents of the BSE table."""
    assert grade(BSE, ef_percent) == expected


def test_heart_failure_range_has_no_hole_at_forty():
    """40 % and what lies between 40 and 41 % are both of the reduced range."""
    assert grade(FAILURE, 40.0) == grade(FAILURE, 40.5) == "HFrEF range"


@pytest.mark.parametrize(
    ("ef_percent", "expected"),
    [(50.0, ()), (49.9, (50,)), (45.0, (50,)), (44.9, (50, 45)), (40.0, (50, 45)), (39.9, (50, 45, 40)),
     (35.0, (50, 45, 40)), (34.9, (50, 45, 40, 35))],
)  # fmt: skip
def test_thresholds_are_strict(ef_percent, expected):
    """An EF of 35 % is not below 35 %."""
    assert assessed(ef_percent).thresholds_below == expected


@pytest.mark.parametrize(
    ("sex", "scales"),
    [(Sex.MALE, [MEN]), (Sex.FEMALE, [WOMEN]), (None, [MEN, WOMEN])],
)
def test_headline_scale_comes_first_and_unknown_sex_says_both(sex, scales):
    """ASE/EACVI leads; nobody's sex is assumed."""
    named = [grade.scale for grade in assessed(53.0, sex).grades]

    assert named == [*scales, TRIAGE, FAILURE, BSE]


def test_disagreeing_scales_stand_side_by_side():
    """55 % in a man is normal by ASE/EACVI and grey zone by usal_echo: both are shown."""
    words = {grade.scale: grade.grade for grade in assessed(55.0, Sex.MALE).grades}

    assert (words[MEN], words[TRIAGE]) == ("normal", "grey zone")


@pytest.mark.parametrize("ef_percent", [nan, inf, -inf])
def test_what_is_not_a_number_is_not_graded(ef_percent):
    """NaN would compare as normal; it is an error instead."""
    with pytest.raises(ValueError, match="EF must be a number"):
        assessed(ef_percent)


@given(ef_percent=st.floats(-100, 200), sex=st.sampled_from([None, *Sex]))
def test_every_ef_has_one_grade_per_scale(ef_percent, sex):
    """No value falls between two bands."""
    grades = assessed(ef_percent, sex).grades

    assert len({grade.scale for grade in grades}) == len(grades)
    assert all(grade.grade for grade in grades)


@pytest.mark.parametrize(
    ("quantity", "sex", "lowest", "highest"),
    [
        ("edv_ml", Sex.MALE, 62, 150),
        ("edv_ml", Sex.FEMALE, 46, 106),
        ("esv_ml", Sex.MALE, 21, 61),
        ("esv_ml", Sex.FEMALE, 14, 42),
    ],
)
def test_volume_is_graded_at_both_ends_of_its_range(quantity, sex, lowest, highest):
    """The ends are normal, the next number that can be told is not."""
    scale = f"LV {quantity[:3].upper()}, ASE/EACVI 2015, {'men' if sex is Sex.MALE else 'women'}"

    words = [
        of_volumes(sex, **{quantity: value})[scale]
        for value in (lowest - 0.1, float(lowest), float(highest), highest + 0.1)
    ]
    assert words == ["below normal range", "normal", "normal", "above normal range"]


@pytest.mark.parametrize(
    ("scale", "quantity", "sex", "lowest", "highest"),
    [
        ("LV EDV index, ASE/EACVI 2015, men", "edv_ml", Sex.MALE, 34, 74),
        ("LV EDV index, ASE/EACVI 2015, women", "edv_ml", Sex.FEMALE, 29, 61),
        ("LV ESV index, ASE/EACVI 2015, men", "esv_ml", Sex.MALE, 11, 31),
        ("LV ESV index, ASE/EACVI 2015, women", "esv_ml", Sex.FEMALE, 8, 24),
    ],
)
def test_index_is_graded_at_both_ends_of_its_range(scale, quantity, sex, lowest, highest):
    """At a body surface of 2 m2."""
    body = BodySize(1.8, 80.0, 2.0, "DuBois")

    words = [
        of_volumes(sex, body=body, **{quantity: 2 * value})[scale]
        for value in (lowest - 0.1, lowest, highest, highest + 0.1)
    ]
    assert words == ["below normal range", "normal", "normal", "above normal range"]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (15.9, "below normal range"),
        (16, "normal"),
        (34.9, "normal"),
        (35, "mildly enlarged"),
        (41.9, "mildly enlarged"),
        (42, "moderately enlarged"),
        (48, "moderately enlarged"),
        (48.1, "severely enlarged"),
    ],
)
def test_atrium_is_graded_by_its_index(index, expected):
    """One scale for both sexes."""
    body = BodySize(1.8, 80.0, 2.0, "DuBois")

    assert of_volumes(None, la_volume_ml=2 * index, body=body)["LA volume index, ASE/EACVI 2015"] == expected


def test_volumes_of_unknown_sex_are_graded_for_both():
    """110 mL in diastole is large for a woman only."""
    words = of_volumes(None, edv_ml=110.0)

    assert words["LV EDV, ASE/EACVI 2015, men"] == "normal"
    assert words["LV EDV, ASE/EACVI 2015, women"] == "above normal range"


def test_what_was_not_measured_is_not_graded():
    """No calibration, no body, no LA: the EF's scales alone."""
    assert len(of_volumes(Sex.MALE, edv_ml=None, esv_ml=None)) == 4
    assert len(of_volumes(Sex.MALE)) == 6
