"""Outlines at end-diastole and end-systole -> the product's own numbers, as of a clip of one beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom import Dataset

from echo_scp.config import MeasureConfig
from echo_scp.evaluate.case import LabelMap, Reference, Refusal
from echo_scp.measure import doubted, measure_study
from echo_scp.measure.interval import single_plane_interval
from echo_scp.measure.outlines import Outlines
from echo_scp.measure.shape import Shape, as_ventricle
from echo_scp.model import (
    Beat,
    ClipAnalysis,
    ClipMeasurement,
    Flag,
    Instance,
    Interval,
    NotAssessed,
    Note,
    PixelSpacing,
    Segmentation,
    Structure,
    StudyMeasurement,
    View,
    ViewEstimate,
    VolumeMethod,
)

ANY_RATE_BPM = 60.0  # two frames tell no heart rate; with one for all, none stands between two planes


@dataclass(frozen=True, slots=True)
class Measured:
    """Numbers, and the 95 % interval, in points, that the product states with the EF."""

    numbers: Reference
    interval: tuple[float, float] | None = None

    @classmethod
    def of(cls, result: ClipMeasurement | StudyMeasurement) -> Measured:
        """Take what a measurement says of the LV."""
        return cls(Reference(result.ef_percent, result.edv_ml, result.esv_ml), ends(result.ef_interval))


Outcome = Measured | Refusal


def ends(interval: Interval | None) -> tuple[float, float] | None:
    """Return the two ends of an interval."""
    return None if interval is None else (interval.low, interval.high)


def measure_frames(
    view: View | None,
    label_maps: tuple[LabelMap, LabelMap],
    structures: tuple[Structure, ...],
    spacing: PixelSpacing | None,
    config: MeasureConfig,
) -> ClipAnalysis | None:
    """Measure (ED, ES) label maps as the one beat of a clip; None where either shows no LV."""
    segmentation = Segmentation(np.stack(label_maps), structures)
    if not segmentation.masks(Structure.LV_CAVITY).any():
        return None
    end_diastole, end_systole = Outlines.around_ventricle(segmentation).shapes(spacing)
    if end_diastole is None or end_systole is None:
        return None
    return ClipAnalysis(
        instance=Instance(_header(view), Path()),
        view=None if view is None else ViewEstimate(view, 1.0, ((view, 1.0),)),
        measurement=_one_beat(end_diastole, end_systole, config, calibrated=spacing is not None),
    )


def trusted(plane: ClipAnalysis, trust: float, config: MeasureConfig) -> ClipAnalysis:
    """Return the plane with the Dice, 0..1, that is expected of its outlines; the stated interval tells of it."""
    assert plane.measurement is not None  # measure_frames made it
    return replace(plane, trust=trust, measurement=doubted(plane.measurement, trust, config))


def single_plane(plane: ClipAnalysis) -> Measured:
    """Return what the product says of one plane."""
    assert plane.measurement is not None  # measure_frames made it
    return Measured.of(plane.measurement)


def headline(planes: Sequence[ClipAnalysis], config: MeasureConfig) -> Outcome:
    """Return what the product makes of the planes of one heart, by its own choice among them."""
    result = _study(planes, config)
    return Refusal(result.reason, result.detail) if isinstance(result, NotAssessed) else Measured.of(result)


def biplane(planes: Sequence[ClipAnalysis], config: MeasureConfig) -> Outcome:
    """Return the biplane EF and volumes of an A4C and an A2C plane, or why the product would not combine them."""
    result = _study(planes, config)
    if isinstance(result, NotAssessed):
        return Refusal(result.reason, result.detail)
    if result.method is VolumeMethod.DISKS_BIPLANE:
        return Measured.of(result)
    calibrated = all(plane.measurement is not None and plane.measurement.calibrated for plane in planes)
    return Refusal("lengths_differ" if calibrated else "not_calibrated", result.choice)


def _study(planes: Sequence[ClipAnalysis], config: MeasureConfig) -> StudyMeasurement | NotAssessed:
    # A published pipeline's aggregation asks for every frame of a cine. Trust is no reason to keep a biplane from
    # being compared; it has its say in the interval, and over the headline by what is given to it.
    return measure_study(planes, config.model_copy(update={"aggregation": "beats", "lowest_quality": 0.0}))


def _one_beat(end_diastole: Shape, end_systole: Shape, config: MeasureConfig, *, calibrated: bool) -> ClipMeasurement:
    beat = Beat(
        end_diastole=as_ventricle(end_diastole, 0, calibrated=calibrated),
        end_systole=as_ventricle(end_systole, 1, calibrated=calibrated),
        ef_percent=100 * (1 - end_systole.disks / end_diastole.disks),
        ef_area_length_percent=100 * (1 - end_systole.area_length / end_diastole.area_length),
    )
    return ClipMeasurement(
        beats=(beat,),
        ef_percent=beat.ef_percent,
        ef_sd_percent=None,
        ef_area_length_percent=beat.ef_area_length_percent,
        edv_ml=beat.end_diastole.disks_ml,
        esv_ml=beat.end_systole.disks_ml,
        heart_rate_bpm=ANY_RATE_BPM,
        calibrated=calibrated,
        volume_curve=np.empty(0),
        notes=(Note(Flag.HEART_RATE_ESTIMATED, "two frames tell no heart rate"),),
        ef_interval=single_plane_interval((beat.ef_percent,), None, config),
    )


def _header(view: View | None) -> Dataset:
    """Return a header that tells the planes of one heart apart, and nothing else."""
    header = Dataset()
    header.SOPInstanceUID = "2.25.2" if view is View.A2C else "2.25.4"
    return header
