"""The content of a Simplified Echo Procedure Report (PS3.16 TID 5300), which a receiver takes in code by code.

A number stands in it once: the study's, or that of the first clip of its view on which the study's result rests. What
CID 12300 has a code for is pre-coordinated (TID 5301) and carries a label and whether it is a mean, nothing else; the
rest says by modifiers what it is (TID 5302, as the example of PS3.17 CCCC.5). An EF without contours is no measurement
on a picture: left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    NumContentItem,
    ObservationContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.coding import Code

from echo_scp.model import BodySize, StudyAnalysis, StudyMeasurement, View, VolumeMethod
from echo_scp.report import codes
from echo_scp.report.groups import MeasuredClip, measured_clips
from echo_scp.report.items import body_size, container, modifier, number, procedure_report
from echo_scp.report.numbers import volume_derivation
from echo_scp.report.source import value_of

_SHORT_METHODS = {
    VolumeMethod.DISKS_BIPLANE: "MOD",
    VolumeMethod.DISKS_SINGLE_PLANE: "MOD",
    VolumeMethod.AREA_LENGTH_BIPLANE: "A-L",
    VolumeMethod.AREA_LENGTH_SINGLE_PLANE: "A-L",
}
_SHORT_VIEWS = {View.A4C: "4C", View.A2C: "2C"}


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A measurement that has no code in CID 12300."""

    label: str
    site: Code
    observation: Code
    property: Code
    unit: Code
    indexed: bool = False
    cycle_point: Code | None = None
    digits: int = 1


_LV, _FLOW = codes.LEFT_VENTRICLE, codes.HEMODYNAMIC_MEASUREMENTS
_LA, _SIZE, _ES = codes.LEFT_ATRIUM, codes.STRUCTURE_OF_SITE, codes.END_SYSTOLE.cycle_point
_ML, _ML_M2 = codes.MILLILITRE, codes.MILLILITRE_PER_SQUARE_METRE
_L_MIN, _L_MIN_M2 = codes.LITRE_PER_MINUTE, codes.LITRE_PER_MINUTE_PER_SQUARE_METRE
_STROKE_VOLUME = _Quantity("LV SV", _LV, _FLOW, codes.STROKE_VOLUME, _ML)
_STROKE_INDEX = _Quantity("LV SI", _LV, _FLOW, codes.STROKE_VOLUME, _ML_M2, indexed=True)
_CARDIAC_OUTPUT = _Quantity("LV CO", _LV, _FLOW, codes.VOLUME_FLOW_RATE, _L_MIN, digits=2)
_CARDIAC_INDEX = _Quantity("LV CI", _LV, _FLOW, codes.VOLUME_FLOW_RATE, _L_MIN_M2, indexed=True, digits=2)
_ATRIAL_VOLUME = _Quantity("LA Vol", _LA, _SIZE, codes.VOLUME, _ML, cycle_point=_ES)
_ATRIAL_INDEX = _Quantity("LA Vol Index", _LA, _SIZE, codes.VOLUME, _ML_M2, indexed=True, cycle_point=_ES)


@dataclass(frozen=True, slots=True)
class Number:
    """A value with the few words that a display shows beside it."""

    name: Code
    label: str
    value: float
    unit: Code
    is_mean: bool = False
    modifiers: tuple[tuple[Code, Code], ...] = ()


def simplified_report(study: StudyAnalysis, observer: ObservationContext) -> ContainerContentItem | None:
    """Return the root of the report; None when there is no number to put into it."""
    if not isinstance(study.result, StudyMeasurement):
        return None
    numbers = tuple(_once(_numbers(study, study.result)))
    coordinated = tuple(found for found in numbers if not found.modifiers)
    described = tuple(found for found in numbers if found.modifiers)
    if not numbers:
        return None
    content = list(_patient(measured_clips(study)[0].instance.header, study.result.body))
    for name, group in ((codes.PRE_COORDINATED, coordinated), (codes.POST_COORDINATED, described)):
        if group:
            content.append(container(name, [_item(found) for found in group]))
    return procedure_report("5300", observer, content)


def _once(numbers: Iterable[Number]) -> Iterator[Number]:
    seen: set[str] = set()
    for found in numbers:
        if found.name.value not in seen:
            seen.add(found.name.value)
            yield found


def _numbers(study: StudyAnalysis, result: StudyMeasurement) -> Iterator[Number]:
    yield from _volumes(result)
    clips = {clip.instance.sop_instance_uid: clip for clip in measured_clips(study)}
    for uid in result.sop_instance_uids:  # the best pair first
        if uid in clips and clips[uid].view in _SHORT_VIEWS:
            yield from _clip_numbers(clips[uid])
    yield from _flow(result)
    yield from _atrium(result)


def _volumes(result: StudyMeasurement) -> Iterator[Number]:
    """Yield what has a code of its own: by the method of disks, in both planes or in one of the two."""
    method = result.volume_method
    names, mean = codes.volume_codes(result.view, method), volume_derivation(result) is codes.MEAN
    if names.ef == codes.EF:
        return
    where = _where(method, result.view)
    if result.method is not VolumeMethod.REGRESSION:
        yield Number(names.ef, f"LV EF {where}", round(result.ef_percent, 1), codes.PERCENT, mean)
    for name, label, value, unit in (
        (names.edv, "LV EDV", result.edv_ml, codes.MILLILITRE),
        (names.esv, "LV ESV", result.esv_ml, codes.MILLILITRE),
        (names.edv_index, "LV EDV Index", result.edv_index_ml_m2, codes.MILLILITRE_PER_SQUARE_METRE),
        (names.esv_index, "LV ESV Index", result.esv_index_ml_m2, codes.MILLILITRE_PER_SQUARE_METRE),
    ):
        if name is not None and value is not None:
            yield Number(name, f"{label} {where}", round(value, 1), unit, mean)


def _clip_numbers(clip: MeasuredClip) -> Iterator[Number]:
    view, measured = clip.view, clip.measurement
    names, mean = codes.volume_codes(view, measured.method), len(measured.beats) > 1
    if names.ef != codes.EF:
        where = _where(measured.method, view)
        yield Number(names.ef, f"LV EF {where}", round(measured.ef_percent, 1), codes.PERCENT, mean)
        for name, label, volume in ((names.edv, "LV EDV", measured.edv_ml), (names.esv, "LV ESV", measured.esv_ml)):
            if volume is not None:
                yield Number(name, f"{label} {where}", round(volume, 1), codes.MILLILITRE, mean)
    if view is View.A4C:
        lengths = [beat.end_diastole.length_mm for beat in measured.beats if beat.end_diastole.length_mm is not None]
        yield from _mean(codes.LV_LENGTH_4C, "LV Length ED 4C", lengths, 10, codes.CENTIMETRE)
    atria = [beat.left_atrium for beat in measured.beats if beat.left_atrium is not None]
    short = _SHORT_VIEWS[view]
    areas, lengths = [atrium.area_mm2 for atrium in atria], [atrium.length_mm for atrium in atria]
    yield from _mean(codes.ATRIAL_AREAS[view], f"LA Area ES {short}", areas, 100, codes.SQUARE_CENTIMETRE)
    yield from _mean(codes.ATRIAL_LENGTHS[view], f"LA Length ES {short}", lengths, 10, codes.CENTIMETRE)


def _mean(name: Code, label: str, values: Sequence[float], per_unit: float, unit: Code) -> Iterator[Number]:
    if values:
        yield Number(name, label, round(fmean(values) / per_unit, 2), unit, len(values) > 1)


def _flow(result: StudyMeasurement) -> Iterator[Number]:
    for quantity, value in (
        (_STROKE_VOLUME, result.stroke_volume_ml),
        (_STROKE_INDEX, result.stroke_index_ml_m2),
        (_CARDIAC_OUTPUT, result.cardiac_output_l_min),
        (_CARDIAC_INDEX, result.cardiac_index_l_min_m2),
    ):
        yield from _described(quantity, value, result.volume_method, result.view)


def _atrium(result: StudyMeasurement) -> Iterator[Number]:
    """Yield the LA's volume: of both planes it has a code of its own, of one plane by area-length it has none."""
    if result.la_method is None:
        return
    names, where = codes.atrial_codes(result.la_method), _where(result.la_method, result.la_view)
    if names.index is None:
        yield from _described(_ATRIAL_VOLUME, result.la_volume_ml, result.la_method, result.la_view)
        yield from _described(_ATRIAL_INDEX, result.la_index_ml_m2, result.la_method, result.la_view)
        return
    for name, label, value, unit in (
        (names.volume, "LA Vol", result.la_volume_ml, codes.MILLILITRE),
        (names.index, "LA Vol Index", result.la_index_ml_m2, codes.MILLILITRE_PER_SQUARE_METRE),
    ):
        if value is not None:
            yield Number(name, f"{label} {where}", round(value, 1), unit)


def _described(quantity: _Quantity, value: float | None, method: VolumeMethod, view: View | None) -> Iterator[Number]:
    """Yield what has no code in CID 12300, with all that tells what it is (TID 5302)."""
    if value is None:
        return
    label = f"{quantity.label} {_where(method, view)}"
    modifiers = [
        (codes.MEASUREMENT_TYPE, codes.INDEXED if quantity.indexed else codes.CALCULATED_TYPE),
        (codes.FINDING_SITE, quantity.site),
        (codes.FINDING_OBSERVATION_TYPE, quantity.observation),
        (codes.MEASURED_PROPERTY, quantity.property),
        (codes.MEASUREMENT_METHOD, codes.METHODS[method]),
        (codes.IMAGE_MODE, codes.MODE_2D),
    ]
    if not method.is_biplane and view is not None and view in codes.VIEWS:
        modifiers.append((codes.IMAGE_VIEW, codes.VIEWS[view]))
    if quantity.cycle_point is not None:
        modifiers.append((codes.CARDIAC_CYCLE_POINT, quantity.cycle_point))
    if quantity.indexed:
        modifiers.append((codes.MEASUREMENT_DIVISOR, codes.BODY_SURFACE))
    told = round(value, quantity.digits)
    yield Number(codes.own_measurement(label), label, told, quantity.unit, modifiers=tuple(modifiers))


def _where(method: VolumeMethod, view: View | None) -> str:
    words = [] if method.is_biplane or view is None else [_SHORT_VIEWS.get(view, str(view))]
    return " ".join([*words, f"({_SHORT_METHODS[method]})"])


def _item(found: Number) -> NumContentItem:
    properties = RelationshipTypeValues.HAS_PROPERTIES
    below: list[ContentItem] = [modifier(name, value) for name, value in found.modifiers]
    if found.is_mean:
        below.append(CodeContentItem(codes.SELECTION_STATUS, codes.MEAN_CHOSEN, relationship_type=properties))
    below.append(TextContentItem(codes.SHORT_LABEL, found.label, relationship_type=properties))
    return number(found.name, found.value, found.unit, below)


def _patient(header: Dataset, body: BodySize | None) -> Iterator[ContainerContentItem]:
    """Yield the Patient Characteristics (TID 3602), which want age, sex, height and weight, or nothing."""
    age = re.fullmatch(r"(\d{3})([DWMY])", value_of(header, "PatientAge"), re.ASCII)
    sex = codes.SEXES.get(value_of(header, "PatientSex"))
    if body is None or age is None or sex is None:
        return
    formula = CodeContentItem(
        codes.BODY_SURFACE_FORMULA,
        codes.BODY_SURFACE_FORMULAS[body.formula],
        relationship_type=RelationshipTypeValues.INFERRED_FROM,
    )
    yield container(
        codes.PATIENT_CHARACTERISTICS,
        [
            number(codes.SUBJECT_AGE, int(age[1]), codes.AGE_UNITS[age[2]]),
            CodeContentItem(codes.SUBJECT_SEX, sex, relationship_type=RelationshipTypeValues.CONTAINS),
            *body_size(body, [formula]),
        ],
    )
