"""EF and volumes out of another device's report: the best kind of number for each."""

from __future__ import annotations

import pytest
from pydicom import Dataset

from echo_scp.evaluate.case import Reference
from echo_scp.evaluate.structured_report import read_reference
from tests.unit.evaluate.reports import group, modifier, number, report

EF, EDV, ESV = ("18043-0", "LN"), ("18026-5", "LN"), ("18148-7", "LN")
METHOD, VIEW = ("370129005", "SCT"), ("111031", "DCM")
BIPLANE, SINGLE, TEICHHOLZ = ("125207", "DCM"), ("125208", "DCM"), ("125209", "DCM")
TWO_CHAMBER = ("399232001", "SCT")
MEAN = modifier(("121401", "DCM"), ("373098007", "SCT"))


def test_biplane_numbers_come_before_all_others():
    """A cart lists Teichholz, single plane and biplane side by side."""
    found = read_reference(
        report(
            group(modifier(METHOD, TEICHHOLZ), number(EF, "71", "%")),
            group(modifier(METHOD, SINGLE), number(EF, "60", "%")),
            group(
                number(EF, "55", "%", modifier(METHOD, BIPLANE)), number(EDV, "120", "mL", modifier(METHOD, BIPLANE))
            ),
        )
    )

    assert found == Reference(ef_percent=55, edv_ml=120)


def test_the_method_and_view_of_a_group_hold_for_its_numbers():
    """A single-plane four chamber number comes before a two chamber one."""
    view = modifier(VIEW, TWO_CHAMBER, "HAS ACQ CONTEXT")
    found = read_reference(
        report(
            group(modifier(METHOD, SINGLE), view, number(EF, "44", "%")),
            group(modifier(METHOD, SINGLE), number(EF, "58", "%")),
        )
    )

    assert found.ef_percent == 58


def test_concepts_that_name_their_method_need_no_modifier():
    """LOINC 79991-6 is biplane by name."""
    found = read_reference(report(group(number(("79993-2", "LN"), "50", "%"), number(("79991-6", "LN"), "53", "%"))))

    assert found.ef_percent == 53


def test_single_beats_are_averaged_unless_the_device_did():
    """Three beats give their mean; a stated mean comes before them, a chosen value before that."""
    beats = [number(EF, value, "%") for value in ("50", "56", "62")]
    chosen = number(EF, "57", "%", modifier(("121404", "DCM"), ("121410", "DCM"), "HAS PROPERTIES"))

    assert read_reference(report(group(*beats))).ef_percent == pytest.approx(56)
    assert read_reference(report(group(*beats, number(EF, "55", "%", MEAN)))).ef_percent == 55
    assert read_reference(report(group(*beats, number(EF, "55", "%", MEAN), chosen))).ef_percent == 57


def test_what_a_device_tells_about_its_beats_is_no_beat():
    """A standard deviation of 3 % beside two beats would make a mean of 40 %; the extremes count where they are all."""
    derived = [("386136009", "3"), ("56851009", "62"), ("255605001", "40")]
    told = [number(EF, value, "%", modifier(("121401", "DCM"), (code, "SCT"))) for code, value in derived]

    assert read_reference(report(group(number(EF, "56", "%"), number(EF, "60", "%"), *told))).ef_percent == 58
    assert read_reference(report(group(*told))).ef_percent == 51


@pytest.mark.parametrize(("unit", "value"), [("1", "0.55"), ("cm", "5"), ("%", "")])
def test_what_is_not_in_percent_is_not_an_ef(unit, value):
    """A number in another unit, or none, is left alone."""
    assert read_reference(report(group(number(EF, value, unit)))) == Reference()


def test_volumes_in_every_spelling_of_millilitre():
    """UCUM allows mL and ml; cm3 is the same."""
    found = read_reference(report(group(number(EDV, "110", "ml"), number(ESV, "45.5", "cm3"))))

    assert found == Reference(edv_ml=110, esv_ml=45.5)


def test_a_report_of_something_else_tells_nothing():
    """No content at all is no error."""
    assert read_reference(report(group(number(("8867-4", "LN"), "70", "/min")))) == Reference()


def test_several_reports_of_a_study_are_read_as_one():
    """Volumes may stand in another one; a corrected report takes the place of the one before."""
    wrong, volumes = report(group(number(EF, "85", "%"))), report(group(number(EDV, "110", "mL")))
    corrected = report(group(number(EF, "58", "%")))
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPInstanceUID = wrong.SOPInstanceUID
    series.ReferencedSOPSequence = [instance]
    study.ReferencedSeriesSequence = [series]
    corrected.PredecessorDocumentsSequence = [study]

    assert read_reference(corrected, volumes, wrong) == Reference(ef_percent=58, edv_ml=110)
