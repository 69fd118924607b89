"""Write the contours of a study and what was measured on them as planar ROI groups (PS3.16 TID 1410).

Each group has coordinates: a group without them is conformant, and stops OHIF 3.12 and 3.13.
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
    MANUFACTURER,
    Atrium,
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
from echo_scp.report.numbers import headline_numbers, heart_rate, heart_rate_derivation, millilitres, percent
from echo_scp.report.source import engine_parameters, ordered_clips
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
    cycle_point: Code
    chamber: Code
    frame_index: int
    contour: Points
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
    """Hang the study's numbers on the apex at the end-systole of the first beat that they rest on.

    A viewer writes them there; on the contour they would cover what it writes of the contour.
    """
    first = next(clip for clip in clips if clip.instance.sop_instance_uid in result.sop_instance_uids)
    systole = first.measurement.beats[0].end_systole
    return Group(
        label="LV ejection fraction",
        instance=first.instance,
        view=first.view,
        cycle_point=codes.END_SYSTOLE.cycle_point,
        chamber=codes.LEFT_VENTRICLE,
        frame_index=systole.frame_index,
        contour=np.array([systole.apex]),
        measurements=tuple(headline_numbers(result)),
    )


def _clip_groups(clip: MeasuredClip) -> Iterator[Group]:
    for number, beat in enumerate(clip.measurement.beats, start=1):
        rate = heart_rate(clip.measurement.heart_rate_bpm, heart_rate_derivation(clip.measurement))
        yield _ventricular_group(
            clip,
            number,
            beat.end_diastole,
            codes.END_DIASTOLE,
            (*_end_diastolic_numbers(clip, beat), rate),
        )
        yield _ventricular_group(
            clip,
            number,
            beat.end_systole,
            codes.END_SYSTOLE,
            (*_end_systolic_numbers(clip, beat), *_ejection_fractions(clip, beat)),
        )
        if beat.left_atrium is not None:
            yield _atrial_group(clip, number, beat.left_atrium)


def _ventricular_group(
    clip: MeasuredClip,
    number: int,
    ventricle: Ventricle,
    phase: codes.PhaseCodes,
    measurements: tuple[Measurement, ...],
) -> Group:
    return Group(
        label=f"LV endocardium {phase.label}, {clip.view} beat {number}",
        instance=clip.instance,
        view=clip.view,
        cycle_point=phase.cycle_point,
        chamber=codes.LEFT_VENTRICLE,
        frame_index=ventricle.frame_index,
        contour=ventricle.contour,
        measurements=measurements,
    )


def _atrial_group(clip: MeasuredClip, number: int, atrium: Atrium) -> Group:
    return Group(
        label=f"LA endocardium ES, {clip.view} beat {number}",
        instance=clip.instance,
        view=clip.view,
        cycle_point=codes.END_SYSTOLE.cycle_point,
        chamber=codes.LEFT_ATRIUM,
        frame_index=atrium.frame_index,
        contour=atrium.contour,
        measurements=tuple(_atrial_numbers(clip.view, atrium)),
    )


def _atrial_numbers(view: View, atrium: Atrium) -> Iterator[Measurement]:
    if view in codes.ATRIAL_AREAS:
        yield Measurement(codes.ATRIAL_AREAS[view], round(atrium.area_mm2 / 100, 2), codes.SQUARE_CENTIMETRE)
        yield Measurement(codes.ATRIAL_LENGTHS[view], round(atrium.length_mm / 10, 2), codes.CENTIMETRE)
    method = VolumeMethod.AREA_LENGTH_SINGLE_PLANE
    yield millilitres(codes.atrial_codes(method).volume, atrium.area_length_ml, method)


def _end_diastolic_numbers(clip: MeasuredClip, beat: Beat) -> Iterator[Measurement]:
    yield from _size(beat.end_diastole, codes.END_DIASTOLE)
    for method, volume_ml in _volumes(beat.end_diastole):
        yield millilitres(codes.volume_codes(clip.view, method).edv, volume_ml, method)


def _end_systolic_numbers(clip: MeasuredClip, beat: Beat) -> Iterator[Measurement]:
    yield from _size(beat.end_systole, codes.END_SYSTOLE)
    for method, volume_ml in _volumes(beat.end_systole):
        yield millilitres(codes.volume_codes(clip.view, method).esv, volume_ml, method)


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
        yield percent(codes.volume_codes(clip.view, method).ef, ef_percent, method)


def _template(
    group: Group, algorithm: AlgorithmIdentification, config: ReportConfig
) -> PlanarROIMeasurementsAndQualitativeEvaluations:
    uid, frame_number = group.instance.sop_instance_uid, group.frame_index + 1
    evaluations = [QualitativeEvaluation(codes.CARDIAC_CYCLE_POINT, group.cycle_point)]
    if group.view in codes.VIEWS:
        evaluations.append(QualitativeEvaluation(codes.IMAGE_VIEW, codes.VIEWS[group.view]))
    return PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid(config.uid_root, "contour", uid, group.label), identifier=group.label
        ),
        referenced_region=_region(group.contour, uid, frame_number),
        finding_type=group.chamber,
        finding_category=codes.ANATOMICAL_STRUCTURE,
        finding_sites=[FindingSite(group.chamber)],
        algorithm_id=algorithm,
        measurements=group.measurements,
        qualitative_evaluations=evaluations,
    )


def _region(contour: Points, uid: str, frame_number: int) -> ImageRegion:
    image = SourceImageForRegion(UltrasoundMultiFrameImageStorage, uid, [frame_number])
    if len(contour) == 1:
        return ImageRegion(GraphicTypeValues.POINT, contour, image)
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
