"""Who is no adult, from what headers tell."""

from __future__ import annotations

import pytest

from echo_scp.measure.age import note_child
from echo_scp.model import Flag
from tests.unit.measure.headers import make_instance

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR:UserWarning")  # pydicom, of what a machine wrote


@pytest.mark.parametrize("age", ["017Y", "215M", "100W", "900D", "000D"])
def test_an_age_below_eighteen_years_is_noted(age):
    """In any of the units of an age string."""
    note = note_child([make_instance(PatientAge=age)])

    assert note is not None
    assert note.flag is Flag.NOT_AN_ADULT
    assert age not in note.detail


@pytest.mark.parametrize("age", ["018Y", "085Y", "216M", "", "17"])
def test_an_adult_and_an_age_that_is_none_are_not(age):
    """18 years are enough; what is not written as an age says nothing."""
    assert note_child([make_instance(PatientAge=age)]) is None


@pytest.mark.parametrize(
    ("birth", "study", "is_child"),
    [
        ("20081122", "20261121", True),
        ("20081121", "20261121", False),
        ("19600229", "20260228", False),
        ("20270101", "20261121", False),
        ("20081399", "20261121", False),
        ("", "20261121", False),
        ("20200101", "", False),
    ],
    ids=["a day before", "the birthday", "leap day", "born later", "no date", "no birth date", "no study date"],
)
def test_without_an_age_the_dates_tell(birth, study, is_child):
    """Full years from birth to the study; dates that cannot be say nothing."""
    note = note_child([make_instance(PatientBirthDate=birth, StudyDate=study)])

    assert (note is not None) == is_child


def test_the_age_is_believed_before_the_dates():
    """It is what the machine shows; a birth date may be a stand-in."""
    assert note_child([make_instance(PatientAge="040Y", PatientBirthDate="20200101", StudyDate="20261121")]) is None


def test_one_instance_is_enough():
    """A doubt about who it is of is no reason to grade."""
    assert note_child([make_instance(PatientAge="040Y"), make_instance(PatientAge="004Y")]) is not None
    assert note_child([]) is None
