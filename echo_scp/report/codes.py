"""Every coded concept that a result uses; taken from pydicom's dictionary of PS3.16 where it has the code."""

from __future__ import annotations

import re
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
LEFT_ATRIUM = codes.SCT.LeftAtrium

QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")  # TID 1500 row 12
SUMMARY = codes.DCM.Summary
COMMENT = codes.DCM.Comment
IMPRESSION = codes.DCM.Impression
IMAGE_VIEW = codes.DCM.ImageView
CARDIAC_CYCLE_POINT = Code("272518008", "SCT", "Cardiac Cycle Point")
MEAN: Code = codes.SCT.Mean
ESTIMATED: Code = codes.SCT.Estimated
CALCULATED: Code = codes.SCT.Calculated
DERIVATION = codes.DCM.Derivation
HEART_RATE = codes.LN.HeartRate
MEASUREMENT_METHOD = codes.SCT.MeasurementMethod
FINDINGS = codes.LN.Findings
FINDING_SITE = codes.SCT.FindingSite
MEASUREMENT_GROUP = codes.DCM.MeasurementGroup
IMAGE_MODE = codes.SCT.ImageMode
MODE_2D = codes.SCT._2DMode
PATIENT_CHARACTERISTICS = codes.DCM.PatientCharacteristics
BODY_HEIGHT = Code("8302-2", "LN", "Patient Height")  # PS3.16 TID 5201, as the next
BODY_WEIGHT = Code("29463-7", "LN", "Patient Weight")
SUBJECT_AGE = codes.DCM.SubjectAge
SUBJECT_SEX = codes.DCM.SubjectSex
SEXES: Mapping[str, Code] = MappingProxyType({"M": codes.DCM.Male, "F": codes.DCM.Female})  # CID 7455
AGE_UNITS: Mapping[str, Code] = MappingProxyType(
    {"D": codes.UCUM.Day, "W": codes.UCUM.Week, "M": codes.UCUM.Month, "Y": codes.UCUM.Year}
)
"""PS3.16 CID 7456, by the unit of an Age String (PS3.5 6.2)."""
OF_INTEREST = codes.DCM.OfInterest
KEY_OBJECT_DESCRIPTION = codes.DCM.KeyObjectDescription
STROKE_VOLUME = codes.SCT.StrokeVolume
STROKE_INDEX = codes.SCT.StrokeIndex
CARDIAC_OUTPUT = codes.SCT.CardiacOutput
CARDIAC_INDEX = codes.SCT.CardiacIndex
INDEX = codes.DCM.Index
BODY_SURFACE = codes.LN.BSA  # PS3.16 CID 3455: what something is indexed to, and the concept of its value
BODY_SURFACE_FORMULAS: Mapping[str, Code] = MappingProxyType(
    {
        "DuBois": codes.DCM.BSAEquals0Point007184WT0Point425HT0Point725,
        "Mosteller": codes.DCM.BSAEqualsHTWT360Point5,  # its meaning in PS3.16 has 36: height in m
    }
)
"""PS3.16 CID 3663."""
BODY_SURFACE_FORMULA = Code("8278-4", "LN", "Body Surface Area Formula")  # PS3.16 TID 3602

# PS3.16 TID 5300 to 5302.
PRE_COORDINATED = codes.DCM.PreCoordinatedMeasurements
POST_COORDINATED = codes.DCM.PostCoordinatedMeasurements
SHORT_LABEL = codes.DCM.ShortLabel
SELECTION_STATUS = codes.DCM.SelectionStatus
MEAN_CHOSEN = codes.DCM.MeanValueChosen  # CID 12301
MEASUREMENT_TYPE = codes.DCM.MeasurementType
INDEXED = codes.DCM.Indexed  # CID 12303, as the next
CALCULATED_TYPE = codes.DCM.Calculated
FINDING_OBSERVATION_TYPE = codes.DCM.FindingObservationType
HEMODYNAMIC_MEASUREMENTS = codes.SCT.HemodynamicMeasurements  # CID 12302, as the next
STRUCTURE_OF_SITE = codes.DCM.StructureOfTheFindingSite
MEASURED_PROPERTY = codes.DCM.MeasuredProperty
VOLUME = codes.SCT.Volume  # CID 12304, as the next
VOLUME_FLOW_RATE = codes.LN.VolumeFlowRate
MEASUREMENT_DIVISOR = codes.DCM.MeasurementDivisor
LV_LENGTH_4C = codes.LN.LeftVentricularEndDiastolicLength4C

PERCENT = codes.UCUM.Percent
SQUARE_CENTIMETRE = codes.UCUM.SquareCentimeter
CENTIMETRE = codes.UCUM.Centimeter
PER_MINUTE = codes.UCUM.PerMinute
MILLILITRE = Code("mL", "UCUM", "mL")
MILLILITRE_PER_SQUARE_METRE = Code("mL/m2", "UCUM", "mL/m2")
LITRE_PER_MINUTE = Code("L/min", "UCUM", "L/min")
LITRE_PER_MINUTE_PER_SQUARE_METRE = Code("L/min/m2", "UCUM", "L/min/m2")
KILOGRAM = Code("kg", "UCUM", "kg")
SQUARE_METRE = Code("m2", "UCUM", "m2")

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
        VolumeMethod.DISKS_BIPLANE: codes.DCM.MethodOfDisksBiplane,
        VolumeMethod.DISKS_SINGLE_PLANE: codes.DCM.MethodOfDisksSinglePlane,
        VolumeMethod.AREA_LENGTH_BIPLANE: codes.DCM.AreaLengthBiplane,
        VolumeMethod.AREA_LENGTH_SINGLE_PLANE: codes.DCM.AreaLengthSinglePlane,
        VolumeMethod.REGRESSION: Code("regression", "99ECHOSCP", "Regression by a network, without contours"),
    }
)
"""PS3.16 CID 12228, which knows no regression."""


def own_measurement(label: str) -> Code:
    """Return our own name for a measurement; its value is what letters and digits the label has (VR SH)."""
    return Code(re.sub(r"\W", "", label), "99ECHOSCP", label)


@dataclass(frozen=True, slots=True)
class VolumeCodes:
    """The concept names under which one view and method report."""

    ef: Code
    edv: Code
    esv: Code
    edv_index: Code | None = None
    esv_index: Code | None = None


EF = codes.LN.LeftVentricularEjectionFractionByUS
EDV = codes.LN.LeftVentricularEndDiastolicVolume
ESV = codes.LN.LeftVentricularEndSystolicVolume
_GENERIC = VolumeCodes(ef=EF, edv=EDV, esv=ESV)
_BIPLANE_DISKS = VolumeCodes(
    ef=codes.LN.LeftVentricularEjectionFractionBiplaneMOD,
    edv=codes.LN.LeftVentricularEndDiastolicVolumeBiplaneMOD,
    esv=codes.LN.LeftVentricularEndSystolicVolumeBiplaneMOD,
    edv_index=codes.LN.LeftVentricularEndDiastolicVolumeBiplaneMODBSA,
    esv_index=codes.LN.LeftVentricularEndSystolicVolumeBiplaneMODBSA,
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
    """Return the concept names of EF, EDV, ESV and, where there are any, of the indexed volumes.

    The LOINC codes per view mean method of disks; every other method reports under the generic ones, with its method.
    """
    if method is VolumeMethod.DISKS_BIPLANE:
        return _BIPLANE_DISKS
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


@dataclass(frozen=True, slots=True)
class AtrialCodes:
    """The concept names under which the LA is reported; no code of its own for a volume in one plane."""

    volume: Code
    index: Code | None = None


_LA_SINGLE_PLANE = AtrialCodes(volume=codes.SCT.LeftAtriumSystolicVolume)
_LA_BIPLANE = AtrialCodes(
    volume=codes.LN.LeftAtrialEndSystolicVolumeBiplaneAreaLength,
    index=codes.LN.LeftAtrialEndSystolicVolumeBiplaneAreaLengthBSA,
)


def atrial_codes(method: VolumeMethod) -> AtrialCodes:
    """Return the concept names of the LA's volume by area-length."""
    return _LA_BIPLANE if method is VolumeMethod.AREA_LENGTH_BIPLANE else _LA_SINGLE_PLANE


ATRIAL_AREAS: Mapping[View, Code] = MappingProxyType(
    {View.A4C: codes.LN.LeftAtrialEndSystolicArea4C, View.A2C: codes.LN.LeftAtrialEndSystolicArea2C}
)
ATRIAL_LENGTHS: Mapping[View, Code] = MappingProxyType(
    {View.A4C: codes.LN.LeftAtrialEndSystolicLength4C, View.A2C: codes.LN.LeftAtrialEndSystolicLength2C}
)
