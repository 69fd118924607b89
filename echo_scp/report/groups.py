"""Write the contours of a study and what was measured on them as planar ROI groups (PS3.16 TID 1410).

Each group has a contour: a group without coordinates is conformant, and stops OHIF 3.12 and 3.13.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    SourceImageForRegion,
    TrackingIdentifier,
)
from pydicom.sr.coding import Code
from pydicom.uid import UltrasoundMultiFrameImageStorage

from echo_scp import __version__
from echo_scp.config import ReportConfig
from echo_scp.model import (
    Beat,
    ClipMeasurement,
    Instance,
    Points,
    StudyAnalysis,
    StudyMeasurement,
    Ventricle,
    View,
    VolumeMethod,
)
from echo_scp.report import codes
from echo_scp.report.source import MANUFACTURER, engine_parameters, ordered_clips
from echo_scp.report.uids import derive_uid


@dataclass(frozen=True, slots=True)
class MeasuredClip:
    """A clip with contours."""

    instance: Instance
    view: View
    measurement: ClipMeasurement


@dataclass(frozen=True, slots=True)
class Group:
    """One contour and the numbers that belong to it."""

    label: str
    instance: Instance
    view: View
    phase: codes.PhaseCodes
    ventricle: Ventricle
    measurements: tuple[Measurement, ...]


def measured_clips(study: StudyAnalysis) -> tuple[MeasuredClip, ...]:
    """Return the clips that have contours, in reading order."""
    return tuple(
        MeasuredClip(
            instance=analysis.instance,
            view=View.OTHER if analysis.view is None else analysis.view.view,
            measurement=analysis.measurement,
        )
        for analysis in ordered_clips(study)
        if analysis.measurement is not None and analysis.measurement.beats
    )


def measurement_groups(
    study: StudyAnalysis, config: ReportConfig
) -> list[PlanarROIMeasurementsAndQualitativeEvaluations]:
    """Return the study's result first, then end-diastole and end-systole of every beat of every measured clip."""
    clips = measured_clips(study)
    groups = [group for clip in clips for group in _clip_groups(clip)]
    if isinstance(study.result, StudyMeasurement):
        groups.insert(0, _headline_group(study.result, clips))
    algorithm = _algorithm(study)
    return [_template(group, algorithm, config) for group in groups]


def _headline_group(result: StudyMeasurement, clips: tuple[MeasuredClip, ...]) -> Group:
    """Hang the study's numbers on the end-systolic contour of the first beat that they rest on."""
    first = next(clip for clip in clips if clip.instance.sop_instance_uid in result.sop_instance_uids)
    return Group(
        label="LV ejection fraction",
        instance=first.instance,
        view=first.view,
        phase=codes.END_SYSTOLE,
        ventricle=first.measurement.beats[0].end_systole,
        measurements=tuple(_headline_numbers(result)),
    )


def _headline_numbers(result: StudyMeasurement) -> Iterator[Measurement]:
    names = codes.volume_codes(result.view, result.method)
    derivation = codes.MEAN if result.beat_count > 1 else None
    yield _percent(names.ef, result.ef_percent, result.method, derivation)
    if result.edv_ml is not None:
        yield _millilitres(names.edv, result.edv_ml, result.method, derivation)
    if result.esv_ml is not None:
        yield _millilitres(names.esv, result.esv_ml, result.method, derivation)


def _clip_groups(clip: MeasuredClip) -> Iterator[Group]:
    for number, beat in enumerate(clip.measurement.beats, start=1):
        yield Group(
            label=f"LV endocardium ED, {clip.view} beat {number}",
            instance=clip.instance,
            view=clip.view,
            phase=codes.END_DIASTOLE,
            ventricle=beat.end_diastole,
            measurements=(*_end_diastolic_numbers(clip, beat), _heart_rate(clip.measurement)),
        )
        yield Group(
            label=f"LV endocardium ES, {clip.view} beat {number}",
            instance=clip.instance,
            view=clip.view,
            phase=codes.END_SYSTOLE,
            ventricle=beat.end_systole,
            measurements=(*_end_systolic_numbers(clip, beat), *_ejection_fractions(clip, beat)),
        )


def _end_diastolic_numbers(clip: MeasuredClip, beat: Beat) -> Iterator[Measurement]:
    yield from _size(beat.end_diastole, codes.END_DIASTOLE)
    for method, volume_ml in _volumes(beat.end_diastole):
        yield _millilitres(codes.volume_codes(clip.view, method).edv, volume_ml, method)


def _end_systolic_numbers(clip: MeasuredClip, beat: Beat) -> Iterator[Measurement]:
    yield from _size(beat.end_systole, codes.END_SYSTOLE)
    for method, volume_ml in _volumes(beat.end_systole):
        yield _millilitres(codes.volume_codes(clip.view, method).esv, volume_ml, method)


def _size(ventricle: Ventricle, phase: codes.PhaseCodes) -> Iterator[Measurement]:
    if ventricle.area_mm2 is not None:
        yield Measurement(phase.area, round(ventricle.area_mm2 / 100, 2), codes.SQUARE_CENTIMETRE)
    if ventricle.length_mm is not None:
        yield Measurement(phase.length, round(ventricle.length_mm / 10, 2), codes.CENTIMETRE)


def _volumes(ventricle: Ventricle) -> Iterator[tuple[VolumeMethod, float]]:
    if ventricle.disks_ml is not None:
        yield VolumeMethod.DISKS_SINGLE_PLANE, ventricle.disks_ml
    if ventricle.area_length_ml is not None:
        yield VolumeMethod.AREA_LENGTH_SINGLE_PLANE, ventricle.area_length_ml


def _ejection_fractions(clip: MeasuredClip, beat: Beat) -> Iterator[Measurement]:
    for method, ef_percent in (
        (VolumeMethod.DISKS_SINGLE_PLANE, beat.ef_percent),
        (VolumeMethod.AREA_LENGTH_SINGLE_PLANE, beat.ef_area_length_percent),
    ):
        yield _percent(codes.volume_codes(clip.view, method).ef, ef_percent, method)


def _percent(name: Code, value: float, method: VolumeMethod, derivation: Code | None = None) -> Measurement:
    return Measurement(name, round(value, 1), codes.PERCENT, method=codes.METHODS[method], derivation=derivation)


def _millilitres(name: Code, value: float, method: VolumeMethod, derivation: Code | None = None) -> Measurement:
    return Measurement(name, round(value, 1), codes.MILLILITRE, method=codes.METHODS[method], derivation=derivation)


def _heart_rate(measurement: ClipMeasurement) -> Measurement:
    return Measurement(codes.HEART_RATE, round(measurement.heart_rate_bpm, 1), codes.PER_MINUTE)


def _template(
    group: Group, algorithm: AlgorithmIdentification, config: ReportConfig
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    uid, frame_number = group.instance.sop_instance_uid, group.ventricle.frame_index + 1
    evaluations = [QualitativeEvaluation(codes.CARDIAC_CYCLE_POINT, group.phase.cycle_point)]
    if group.view in codes.VIEWS:
        evaluations.append(QualitativeEvaluation(codes.IMAGE_VIEW, codes.VIEWS[group.view]))
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid(config.uid_root, "contour", uid, group.label), identifier=group.label
        ),
        referenced_region=_region(group.ventricle.contour, uid, frame_number),
        finding_type=codes.LEFT_VENTRICLE,
        finding_category=codes.ANATOMICAL_STRUCTURE,
        finding_sites=[FindingSite(codes.LEFT_VENTRICLE)],
        algorithm_id=algorithm,
        measurements=group.measurements,
        qualitative_evaluations=evaluations,
    )


def _region(contour: Points, uid: str, frame_number: int) -> ImageRegion:
    image = SourceImageForRegion(UltrasoundMultiFrameImageStorage, uid, [frame_number])
    return ImageRegion(GraphicTypeValues.POLYLINE, _closed(contour), image)


def _closed(contour: Points) -> Points:
    """Repeat the first point at the end: that is what makes a polyline a region (PS3.3 C.18.6.1.2)."""
    if np.array_equal(contour[0], contour[-1]):
        return contour
    return np.vstack([contour, contour[:1]])


def _algorithm(study: StudyAnalysis) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=MANUFACTURER,
        version=__version__,
        parameters=[f"{name}={value}" for name, value in engine_parameters(study).items()],
        manufacturer=MANUFACTURER,
    )
