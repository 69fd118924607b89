"""The content of an Adult Echocardiography Procedure Report (PS3.16 TID 5200): what carts send and echo systems import.

Numbers stand under the generic names that every importer knows, and say by method and view what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from highdicom.sr import (
    ContainerContentItem,
    ContentItem,
    NumContentItem,
    ObservationContext,
)
from pydicom.sr.coding import Code

from echo_scp.model import ClipMeasurement, StudyAnalysis, StudyMeasurement, View, VolumeMethod
from echo_scp.report import codes
from echo_scp.report.groups import measured_clips
from echo_scp.report.items import body_size, container, modifier, number, procedure_report
from echo_scp.report.numbers import ef_derivation, heart_rate_derivation, volume_derivation


@dataclass(frozen=True, slots=True)
class Number:
    """A measured value and what tells it from others of the same name."""

    name: Code
    value: float
    unit: Code
    modifiers: tuple[tuple[Code, Code], ...] = ()


def echo_report(
    study: StudyAnalysis, observer: ObservationContext, summary: ContainerContentItem
) -> ContainerContentItem:
    """Return the root of the report: who observed, the patient's size, findings by site, and the `summary` in words."""
    content: list[ContentItem] = []
    if isinstance(study.result, StudyMeasurement) and study.result.body is not None:
        content.append(container(codes.PATIENT_CHARACTERISTICS, body_size(study.result.body)))
    content.append(summary)
    for site, groups in (
        (codes.LEFT_VENTRICLE, tuple(_ventricular_groups(study))),
        (codes.LEFT_ATRIUM, tuple(_atrial_groups(study))),
    ):
        if any(groups):
            content.append(_findings(site, groups))
    return procedure_report("5200", observer, content)


def _ventricular_groups(study: StudyAnalysis) -> Iterator[Sequence[Number]]:
    if isinstance(study.result, StudyMeasurement):
        yield tuple(_study_numbers(study.result))
    for clip in measured_clips(study):
        yield tuple(_clip_numbers(clip.measurement, clip.view))


def _study_numbers(result: StudyMeasurement) -> Iterator[Number]:
    volumes = result.volume_method
    for name, value, unit, method, derivation in (
        (codes.EF, result.ef_percent, codes.PERCENT, result.method, ef_derivation(result)),
        (codes.EDV, result.edv_ml, codes.MILLILITRE, volumes, volume_derivation(result)),
        (codes.ESV, result.esv_ml, codes.MILLILITRE, volumes, volume_derivation(result)),
    ):
        if value is not None:
            yield Number(name, round(value, 1), unit, (*_made(method, result.view), *_derived(derivation)))
    for name, value, unit, digits in (
        (codes.STROKE_VOLUME, result.stroke_volume_ml, codes.MILLILITRE, 1),
        (codes.STROKE_INDEX, result.stroke_index_ml_m2, codes.MILLILITRE_PER_SQUARE_METRE, 1),
        (codes.CARDIAC_OUTPUT, result.cardiac_output_l_min, codes.LITRE_PER_MINUTE, 2),
        (codes.CARDIAC_INDEX, result.cardiac_index_l_min_m2, codes.LITRE_PER_MINUTE_PER_SQUARE_METRE, 2),
        (codes.HEART_RATE, result.heart_rate_bpm, codes.PER_MINUTE, 1),
    ):
        if value is not None:
            yield Number(name, round(value, digits), unit)


def _clip_numbers(measurement: ClipMeasurement, view: View) -> Iterator[Number]:
    made = _made(measurement.method, view)
    for name, value, unit in (
        (codes.EF, measurement.ef_percent, codes.PERCENT),
        (codes.EDV, measurement.edv_ml, codes.MILLILITRE),
        (codes.ESV, measurement.esv_ml, codes.MILLILITRE),
    ):
        if value is not None:
            yield Number(name, round(value, 1), unit, made)
    beat, seen = measurement.beats[0], _seen(view)
    for phase, ventricle in ((codes.END_DIASTOLE, beat.end_diastole), (codes.END_SYSTOLE, beat.end_systole)):
        if ventricle.area_mm2 is not None:
            yield Number(phase.area, round(ventricle.area_mm2 / 100, 2), codes.SQUARE_CENTIMETRE, seen)
        if ventricle.length_mm is not None:
            yield Number(phase.length, round(ventricle.length_mm / 10, 2), codes.CENTIMETRE, seen)
    estimated = _derived(heart_rate_derivation(measurement))
    yield Number(codes.HEART_RATE, round(measurement.heart_rate_bpm, 1), codes.PER_MINUTE, estimated)


def _atrial_groups(study: StudyAnalysis) -> Iterator[Sequence[Number]]:
    result = study.result
    if not isinstance(result, StudyMeasurement) or result.la_volume_ml is None or result.la_method is None:
        return
    name = codes.atrial_codes(result.la_method).volume
    yield (Number(name, round(result.la_volume_ml, 1), codes.MILLILITRE, _made(result.la_method, result.la_view)),)


def _made(method: VolumeMethod, view: View | None) -> tuple[tuple[Code, Code], ...]:
    """Return method and, unless it takes two, view."""
    return ((codes.MEASUREMENT_METHOD, codes.METHODS[method]), *(() if method.is_biplane else _seen(view)))


def _seen(view: View | None) -> tuple[tuple[Code, Code], ...]:
    return ((codes.IMAGE_VIEW, codes.VIEWS[view]),) if view is not None and view in codes.VIEWS else ()


def _derived(derivation: Code | None) -> tuple[tuple[Code, Code], ...]:
    return () if derivation is None else ((codes.DERIVATION, derivation),)


def _findings(site: Code, groups: Iterable[Sequence[Number]]) -> ContainerContentItem:
    """Return the section of a chamber (TID 5202)."""
    measured = [
        container(
            codes.MEASUREMENT_GROUP,
            [modifier(codes.IMAGE_MODE, codes.MODE_2D), *(_item(found) for found in group)],
        )
        for group in groups
        if group
    ]
    return container(codes.FINDINGS, [modifier(codes.FINDING_SITE, site), *measured])


def _item(found: Number) -> NumContentItem:
    return number(found.name, found.value, found.unit, (modifier(name, value) for name, value in found.modifiers))
