"""Every coded concept that a result uses; taken from pydicom's dictionary of PS3.16 where it has the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from echo_scp.model import Structure, View, VolumeMethod

ECHOCARDIOGRAPHY = codes.SCT.Echocardiography
ADULT_ECHO_REPORT = codes.DCM.AdultEchocardiographyProcedureReport
DEVICE = codes.DCM.Device
ENGLISH = Code("en-US", "RFC5646", "English (United States)")  # PS3.16 CID 5000
ARTIFICIAL_INTELLIGENCE = codes.DCM.ArtificialIntelligence
ANATOMICAL_STRUCTURE = codes.SCT.AnatomicalStructure
LEFT_VENTRICLE = codes.SCT.LeftVentricle

QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")  # TID 1500 row 12
SUMMARY = codes.DCM.Summary
COMMENT = codes.DCM.Comment
IMPRESSION = codes.DCM.Impression
IMAGE_VIEW = codes.DCM.ImageView
CARDIAC_CYCLE_POINT = Code("272518008", "SCT", "Cardiac Cycle Point")
MEAN = codes.SCT.Mean
HEART_RATE = codes.LN.HeartRate

PERCENT = codes.UCUM.Percent
SQUARE_CENTIMETRE = codes.UCUM.SquareCentimeter
CENTIMETRE = codes.UCUM.Centimeter
PER_MINUTE = codes.UCUM.PerMinute
MILLILITRE = Code("mL", "UCUM", "mL")

STRUCTURES: Mapping[Structure, Code] = MappingProxyType(
    {
        Structure.LV_CAVITY: codes.SCT.LeftVentricle,
        Structure.LV_MYOCARDIUM: codes.SCT.LeftVentricleMyocardium,
        Structure.LEFT_ATRIUM: codes.SCT.LeftAtrium,
        Structure.RIGHT_VENTRICLE: codes.SCT.RightVentricle,
        Structure.INTERVENTRICULAR_SEPTUM: codes.SCT.InterventricularSeptum,
        Structure.AORTIC_ROOT: codes.SCT.AorticRoot,
    }
)
"""Segmented property types (PS3.16 CID 7151 and 12305)."""

VIEWS: Mapping[View, Code] = MappingProxyType(
    {
        View.A4C: codes.SCT.ApicalFourChamber,
        View.A2C: codes.SCT.ApicalTwoChamber,
        View.A3C: codes.SCT.ApicalLongAxis,
        View.A5C: codes.SCT.FiveChamber,  # in no echocardiography CID, but it says what is meant
        View.PLAX: codes.SCT.ParasternalLongAxis,
        View.PSAX: codes.SCT.ParasternalShortAxis,
        View.SUBCOSTAL: codes.SCT.SubcostalLongAxis,
    }
)
"""PS3.16 CID 12226; `other` has no code."""

METHODS: Mapping[VolumeMethod, Code] = MappingProxyType(
    {
        VolumeMethod.DISKS_SINGLE_PLANE: codes.DCM.MethodOfDisksSinglePlane,
        VolumeMethod.AREA_LENGTH_SINGLE_PLANE: codes.DCM.AreaLengthSinglePlane,
    }
)


@dataclass(frozen=True, slots=True)
class VolumeCodes:
    """The concept names under which one view and method report."""

    ef: Code
    edv: Code
    esv: Code


_GENERIC = VolumeCodes(
    ef=codes.LN.LeftVentricularEjectionFractionByUS,
    edv=codes.LN.LeftVentricularEndDiastolicVolume,
    esv=codes.LN.LeftVentricularEndSystolicVolume,
)
_DISKS: Mapping[View, VolumeCodes] = MappingProxyType(
    {
        View.A4C: VolumeCodes(
            ef=codes.LN.LeftVentricularEjectionFractionSinglePlane4CMOD,
            edv=codes.LN.LeftVentricularEndDiastolicVolumeSinglePlane4CMOD,
            esv=codes.LN.LeftVentricularEndSystolicVolumeSinglePlane4CMOD,
        ),
        View.A2C: VolumeCodes(
            ef=codes.LN.LeftVentricularEjectionFractionSinglePlane2CMOD,
            edv=codes.LN.LeftVentricularEndDiastolicVolumeSinglePlane2CMOD,
            esv=codes.LN.LeftVentricularEndSystolicVolumeSinglePlane2CMOD,
        ),
    }
)


def volume_codes(view: View, method: VolumeMethod) -> VolumeCodes:
    """Return the concept names of EF, EDV and ESV.

    The LOINC codes per view mean method of disks; every other method reports under the generic ones, with its method.
    """
    if method is VolumeMethod.DISKS_SINGLE_PLANE:
        return _DISKS.get(view, _GENERIC)
    return _GENERIC


@dataclass(frozen=True, slots=True)
class PhaseCodes:
    """What a contour is called at one point of the cardiac cycle."""

    label: str
    cycle_point: Code
    area: Code
    length: Code


END_DIASTOLE = PhaseCodes(
    label="ED",
    cycle_point=codes.SCT.EndDiastole,
    area=codes.SCT.LeftVentricularDiastolicArea,
    length=codes.LN.LeftVentricleDiastolicMajorAxis,
)
END_SYSTOLE = PhaseCodes(
    label="ES",
    cycle_point=codes.SCT.EndSystole,
    area=codes.SCT.LeftVentricularSystolicArea,
    length=codes.LN.LeftVentricleSystolicMajorAxis,
)
