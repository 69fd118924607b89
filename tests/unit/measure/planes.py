"""Measured clips without pictures: ellipsoids of known size in one plane."""

from __future__ import annotations

from collections.abc import Sequence
from math import pi
from pathlib import Path

import numpy as np
from pydicom import Dataset

from echo_scp.model import (
    Atrium,
    Beat,
    ClipAnalysis,
    ClipMeasurement,
    EngineIdentity,
    Estimate,
    Instance,
    NotAssessed,
    Note,
    Quality,
    QualityPart,
    Reason,
    Ventricle,
    View,
    ViewEstimate,
)

WIDTH_SHARE = 0.55  # of the length


def make_ventricle(length_mm: float, width_mm: float) -> Ventricle:
    """Return the plane of an ellipsoid; its own volume is that of revolution."""
    middles = (np.arange(20) + 0.5) / 20
    diameters = width_mm * np.sqrt(1 - (2 * middles - 1) ** 2)
    area_mm2 = pi / 4 * length_mm * width_mm
    return Ventricle(
        frame_index=0,
        contour=np.zeros((4, 2)),
        apex=(0.0, 0.0),
        annulus=((0.0, 1.0), (1.0, 1.0)),
        length_mm=length_mm,
        area_mm2=area_mm2,
        disks_ml=float(pi / 4 * np.sum(diameters**2) * length_mm / 20 / 1000),
        area_length_ml=8 * area_mm2**2 / (3 * pi * length_mm) / 1000,
        diameters_mm=tuple(diameters.tolist()),
    )


def uncalibrated_ventricle() -> Ventricle:
    """Return a ventricle of which no size is known."""
    return Ventricle(0, np.zeros((4, 2)), (0.0, 0.0), ((0.0, 1.0), (1.0, 1.0)), None, None, None, None)


def make_beat(end_diastole: Ventricle, end_systole: Ventricle, left_atrium: Atrium | None = None) -> Beat:
    """Return a calibrated beat with the EF of its volumes."""
    assert end_diastole.disks_ml is not None
    assert end_systole.disks_ml is not None
    ef_percent = 100 * (1 - end_systole.disks_ml / end_diastole.disks_ml)
    return Beat(end_diastole, end_systole, ef_percent, ef_percent, left_atrium)


def beat_of(ef_percent: float, length_mm: float | None, left_atrium: Atrium | None) -> Beat:
    """Return a beat of this EF whose LV keeps its length; uncalibrated without a length."""
    if length_mm is None:
        return Beat(uncalibrated_ventricle(), uncalibrated_ventricle(), ef_percent, ef_percent)
    width_mm = WIDTH_SHARE * length_mm
    systole = make_ventricle(length_mm, width_mm * (1 - ef_percent / 100) ** 0.5)
    return make_beat(make_ventricle(length_mm, width_mm), systole, left_atrium)


def make_measurement(
    efs: Sequence[float],
    length_mm: float | None = 86.0,
    heart_rate_bpm: float = 70.0,
    quality: float = 1.0,
    left_atrium: Atrium | None = None,
    notes: tuple[Note, ...] = (),
    segmentation_sd_percent: float | None = None,
) -> ClipMeasurement:
    """Return what a clip with one beat per EF gives."""
    beats = tuple(beat_of(ef, length_mm, left_atrium) for ef in efs)
    diastoles = [beat.end_diastole.disks_ml for beat in beats]
    systoles = [beat.end_systole.disks_ml for beat in beats]
    calibrated = length_mm is not None
    return ClipMeasurement(
        beats=beats,
        ef_percent=float(np.mean(efs)),
        ef_sd_percent=None,
        ef_area_length_percent=float(np.mean(efs)),
        edv_ml=float(np.mean([volume or 0.0 for volume in diastoles])) if calibrated else None,
        esv_ml=float(np.mean([volume or 0.0 for volume in systoles])) if calibrated else None,
        heart_rate_bpm=heart_rate_bpm,
        calibrated=calibrated,
        volume_curve=np.zeros(1),
        notes=notes,
        quality=Quality((QualityPart("steadiness", quality),)),
        segmentation_sd_percent=segmentation_sd_percent,
    )


def make_estimate(value: float, engine: str = "r2plus1d", name: str = "ejection_fraction") -> Estimate:
    """Return what a regression network says of a clip."""
    return Estimate(name, value, "%", EngineIdentity(engine, "1", "ab"), research=False, run_count=3)


def make_analysis(
    number: int = 1,
    view: View = View.A4C,
    efs: Sequence[float] = (60.0,),
    reason: Reason | None = None,
    confidence: float = 1.0,
    regressed: float | None = None,
    **changes: object,
) -> ClipAnalysis:
    """Return a measured clip with SOP Instance UID 1.2.<number>, or one that was refused.

    `regressed` is the EF that a network gave beside.
    """
    header = Dataset()
    header.SOPInstanceUID = f"1.2.{number}"
    header.InstanceNumber = number
    return ClipAnalysis(
        Instance(header, Path()),
        view=ViewEstimate(view, confidence, ()),
        measurement=None if reason else make_measurement(efs, **changes),  # type: ignore[arg-type]
        not_assessed=NotAssessed(reason, "because") if reason else None,
        estimates=() if regressed is None else (make_estimate(regressed),),
    )
