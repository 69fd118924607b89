"""The coded concepts are the ones of PS3.16."""

from __future__ import annotations

import pytest
from pydicom.sr import _concepts_dict
from pydicom.sr.coding import Code

from echo_scp.model import Structure, View, VolumeMethod
from echo_scp.report import codes

A4C_DISKS = codes.volume_codes(View.A4C, VolumeMethod.DISKS_SINGLE_PLANE)
A2C_DISKS = codes.volume_codes(View.A2C, VolumeMethod.DISKS_SINGLE_PLANE)
A4C_AREA_LENGTH = codes.volume_codes(View.A4C, VolumeMethod.AREA_LENGTH_SINGLE_PLANE)
EXPECTED = {
    "procedure": (codes.ECHOCARDIOGRAPHY, "40701008", "SCT"),
    "text report": (codes.ADULT_ECHO_REPORT, "125200", "DCM"),
    "device": (codes.DEVICE, "121007", "DCM"),
    "algorithm family": (codes.ARTIFICIAL_INTELLIGENCE, "123110", "DCM"),
    "segment category": (codes.ANATOMICAL_STRUCTURE, "91723000", "SCT"),
    "left ventricle": (codes.LEFT_VENTRICLE, "87878005", "SCT"),
    "cavity": (codes.STRUCTURES[Structure.LV_CAVITY], "87878005", "SCT"),
    "myocardium": (codes.STRUCTURES[Structure.LV_MYOCARDIUM], "49848007", "SCT"),
    "atrium": (codes.STRUCTURES[Structure.LEFT_ATRIUM], "82471001", "SCT"),
    "right ventricle": (codes.STRUCTURES[Structure.RIGHT_VENTRICLE], "53085002", "SCT"),
    "septum": (codes.STRUCTURES[Structure.INTERVENTRICULAR_SEPTUM], "589001", "SCT"),
    "aortic root": (codes.STRUCTURES[Structure.AORTIC_ROOT], "8128003", "SCT"),
    "summary": (codes.SUMMARY, "121111", "DCM"),
    "comment": (codes.COMMENT, "121106", "DCM"),
    "impression": (codes.IMPRESSION, "121073", "DCM"),
    "image view": (codes.IMAGE_VIEW, "111031", "DCM"),
    "mean": (codes.MEAN, "373098007", "SCT"),
    "heart rate": (codes.HEART_RATE, "8867-4", "LN"),
    "percent": (codes.PERCENT, "%", "UCUM"),
    "square centimetre": (codes.SQUARE_CENTIMETRE, "cm2", "UCUM"),
    "centimetre": (codes.CENTIMETRE, "cm", "UCUM"),
    "per minute": (codes.PER_MINUTE, "/min", "UCUM"),
    "A4C": (codes.VIEWS[View.A4C], "399214001", "SCT"),
    "A2C": (codes.VIEWS[View.A2C], "399232001", "SCT"),
    "A3C": (codes.VIEWS[View.A3C], "399339008", "SCT"),
    "A5C": (codes.VIEWS[View.A5C], "398994001", "SCT"),
    "PLAX": (codes.VIEWS[View.PLAX], "399139001", "SCT"),
    "PSAX": (codes.VIEWS[View.PSAX], "399306005", "SCT"),
    "subcostal": (codes.VIEWS[View.SUBCOSTAL], "399310008", "SCT"),
    "disks": (codes.METHODS[VolumeMethod.DISKS_SINGLE_PLANE], "125208", "DCM"),
    "area-length": (codes.METHODS[VolumeMethod.AREA_LENGTH_SINGLE_PLANE], "125205", "DCM"),
    "EF A4C": (A4C_DISKS.ef, "79993-2", "LN"),
    "EDV A4C": (A4C_DISKS.edv, "79999-9", "LN"),
    "ESV A4C": (A4C_DISKS.esv, "80004-5", "LN"),
    "EF A2C": (A2C_DISKS.ef, "79992-4", "LN"),
    "EDV A2C": (A2C_DISKS.edv, "79998-1", "LN"),
    "ESV A2C": (A2C_DISKS.esv, "80003-7", "LN"),
    "EF": (A4C_AREA_LENGTH.ef, "18043-0", "LN"),
    "EDV": (A4C_AREA_LENGTH.edv, "18026-5", "LN"),
    "ESV": (A4C_AREA_LENGTH.esv, "18148-7", "LN"),
    "ED": (codes.END_DIASTOLE.cycle_point, "416190007", "SCT"),
    "ES": (codes.END_SYSTOLE.cycle_point, "416430001", "SCT"),
    "ED area": (codes.END_DIASTOLE.area, "399109006", "SCT"),
    "ES area": (codes.END_SYSTOLE.area, "399030000", "SCT"),
    "ED length": (codes.END_DIASTOLE.length, "18077-8", "LN"),
    "ES length": (codes.END_SYSTOLE.length, "18076-0", "LN"),
    "cycle point": (codes.CARDIAC_CYCLE_POINT, "272518008", "SCT"),
}


@pytest.mark.parametrize(("code", "value", "scheme"), EXPECTED.values(), ids=EXPECTED.keys())
def test_a_concept_has_the_code_of_the_standard(code: Code, value: str, scheme: str) -> None:
    """The value is the one written down, and pydicom's dictionary of PS3.16 has it."""
    assert (code.value, code.scheme_designator) == (value, scheme)
    assert any(value in meanings for meanings in _concepts_dict.concepts[scheme].values())


def test_millilitre_is_written_as_ucum_writes_it() -> None:
    """No context group of the dictionary has it, so the unit stands here by itself."""
    assert Code("mL", "UCUM", "mL") == codes.MILLILITRE


def test_a_view_without_its_own_codes_reports_under_the_generic_ones() -> None:
    """A method of disks in another view must not pass for one of the apical four chamber view."""
    assert codes.volume_codes(View.A3C, VolumeMethod.DISKS_SINGLE_PLANE) == A4C_AREA_LENGTH


def test_every_structure_and_method_has_a_code() -> None:
    """A structure an engine may outline can always be written."""
    assert set(codes.STRUCTURES) == set(Structure)
    assert set(codes.METHODS) == set(VolumeMethod)
    assert set(codes.VIEWS) == set(View) - {View.OTHER}
