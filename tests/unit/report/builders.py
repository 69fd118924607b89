"""Synthetic results: an ellipse that beats in a banked picture, measured by its own formula."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

from echo_scp.model import (
    Assessment,
    Atrium,
    Beat,
    BodySize,
    Clip,
    ClipAnalysis,
    ClipMeasurement,
    EngineIdentity,
    Flag,
    Grade,
    Instance,
    Interval,
    LabelMaps,
    NotAssessed,
    Note,
    PixelSpacing,
    Reason,
    Region,
    Segmentation,
    Structure,
    StudyAnalysis,
    StudyMeasurement,
    Ventricle,
    View,
    ViewEstimate,
    VolumeMethod,
)

NOW = datetime(2024, 5, 6, 7, 8, 9)
STUDY_UID = "1.2.826.0.1.3680043.8.498.1"
ENGINES = (
    EngineIdentity("view", "1.0.0", "ab" * 32),
    EngineIdentity("lv-apical", "1.2.0", "cd" * 32),
)
STRUCTURES = (Structure.LV_CAVITY, Structure.LV_MYOCARDIUM, Structure.LEFT_ATRIUM)


def make_header(number: int = 1, **changes: Any) -> Dataset:
    """Return the header of a clip as a cart sends it; a change to None removes the element."""
    ds = Dataset()
    values: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": UltrasoundMultiFrameImageStorage,
        "SOPInstanceUID": f"{STUDY_UID}.2.{number}",
        "SeriesInstanceUID": f"{STUDY_UID}.2",
        "StudyInstanceUID": STUDY_UID,
        "PatientName": "Müller^Jürgen",
        "PatientID": "P-17",
        "IssuerOfPatientID": "HOSPITAL",
        "PatientBirthDate": "19500102",
        "PatientSex": "M",
        "PatientSize": "1.81",
        "StudyDate": "20240506",
        "StudyTime": "070000",
        "StudyID": "S1",
        "AccessionNumber": "A-99",
        "ReferringPhysicianName": "Doe^Jane",
        "StudyDescription": "Echo",
        "SeriesNumber": 2,
        "InstanceNumber": number,
        "Modality": "US",
        "Manufacturer": "ACME",
    }
    for keyword, value in (values | changes).items():
        if value is not None:
            setattr(ds, keyword, value)
    return ds


def make_spacing(rows: int, columns: int) -> PixelSpacing:
    """Return the spacing at which the largest ventricle is 9 cm long and 5 cm wide: 117.81 mL."""
    return PixelSpacing(row_mm=90 / (0.6 * rows), column_mm=50 / (0.36 * columns))


def make_ventricle(
    frame_index: int, half_length: float, half_width: float, centre: tuple[float, float], spacing: PixelSpacing | None
) -> Ventricle:
    """Return an upright ellipse (pixels); its volume is that of the ellipsoid of revolution."""
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    contour = np.column_stack([centre[0] + half_width * np.cos(angles), centre[1] + half_length * np.sin(angles)])
    length_mm = area_mm2 = volume_ml = None
    if spacing is not None:
        length_mm = 2 * half_length * spacing.row_mm
        area_mm2 = math.pi * half_length * spacing.row_mm * half_width * spacing.column_mm
        volume_ml = 8 * area_mm2**2 / (3 * math.pi * length_mm) / 1000
    return Ventricle(
        frame_index=frame_index,
        contour=contour,
        apex=(centre[0], centre[1] - half_length),
        annulus=(
            (centre[0] - half_width / 2, centre[1] + half_length),
            (centre[0] + half_width / 2, centre[1] + half_length),
        ),
        length_mm=length_mm,
        area_mm2=area_mm2,
        disks_ml=volume_ml,
        area_length_ml=volume_ml,
    )


def make_atrium(frame_index: int, centre: tuple[float, float]) -> Atrium:
    """Return a round LA of 5 cm length and 20 cm2."""
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    contour = np.column_stack([centre[0] + 5 * np.cos(angles), centre[1] + 5 * np.sin(angles)])
    annulus = ((centre[0] - 3, centre[1] - 4), (centre[0] + 3, centre[1] - 4))
    return Atrium(frame_index, contour, (centre[0], centre[1] + 5), annulus, 50.0, 2000.0, 67.9)


def make_label_maps(frames: int, rows: int, columns: int, structures: int = 3) -> LabelMaps:
    """Return a beating cavity (1) in its wall (2) above an atrium (3)."""
    ys, xs = np.mgrid[:rows, :columns]
    maps = np.zeros((frames, rows, columns), dtype=np.uint8)
    for index in range(frames):
        size = _size(index, frames)
        radius = ((ys - 0.45 * rows) / (0.3 * rows * size)) ** 2 + ((xs - 0.5 * columns) / (0.18 * columns * size)) ** 2
        atrium = ((ys - 0.85 * rows) / (0.08 * rows)) ** 2 + ((xs - 0.5 * columns) / (0.12 * columns)) ** 2
        for value, inside in ((3, atrium < 1), (2, radius < 1.5), (1, radius < 1)):
            if value <= structures:
                maps[index][inside] = value
    return maps


def make_frames(frames: int, rows: int, columns: int) -> np.ndarray:
    """Return speckle in a sector, dark where the blood is, with a name burned in above."""
    rng = np.random.default_rng(7)
    labels = make_label_maps(frames, rows, columns)
    ys, xs = np.mgrid[:rows, :columns]
    angle = np.arctan2(xs - columns / 2, ys + 1)
    sector = (np.abs(angle) < 0.65) & (np.hypot(xs - columns / 2, ys) < 0.97 * rows)
    speckle = rng.gamma(4.0, 1.0, (rows, columns)) / 8
    brightness = np.array([90, 14, 165, 16], dtype=float)[labels]
    picture = np.clip(brightness * (0.4 + speckle) * sector, 0, 255).astype(np.uint8)
    picture[:, : rows // 16] = 255
    return picture


def _size(index: int, frames: int) -> float:
    return 0.88 + 0.12 * math.cos(4 * math.pi * index / frames)


def make_clip_analysis(
    number: int = 1,
    *,
    view: View = View.A4C,
    frames: int = 20,
    shape: tuple[int, int] = (48, 64),
    calibrated: bool = True,
    structures: Sequence[Structure] = STRUCTURES,
    header: Dataset | None = None,
    picture: bool = False,
) -> ClipAnalysis:
    """Return a measured clip of two beats."""
    rows, columns = shape
    spacing = make_spacing(rows, columns) if calibrated else None
    instance = Instance(make_header(number) if header is None else header, Path("clip.dcm"))
    clip = Clip(
        instance=instance,
        frames=make_frames(frames, rows, columns) if picture else np.zeros((frames, rows, columns), dtype=np.uint8),
        frame_times_ms=np.arange(frames) * 1600.0 / frames,
        region=Region(0, rows // 16, columns, rows, spacing),
    )
    return ClipAnalysis(
        instance=instance,
        clip=clip,
        view=ViewEstimate(view, 0.97, ((view, 0.97), (View.OTHER, 0.03))),
        segmentation=Segmentation(make_label_maps(frames, rows, columns, len(structures)), tuple(structures)),
        measurement=_measure(frames, rows, columns, spacing),
        notes=() if calibrated else (Note(Flag.NO_CALIBRATION, "no region states a spacing in cm"),),
    )


def _measure(frames: int, rows: int, columns: int, spacing: PixelSpacing | None) -> ClipMeasurement:
    def ventricle(index: int) -> Ventricle:
        size = _size(index, frames)
        return make_ventricle(index, 0.3 * rows * size, 0.18 * columns * size, (0.5 * columns, 0.45 * rows), spacing)

    period = frames // 2
    beats = tuple(
        Beat(
            end_diastole=ventricle(start),
            end_systole=ventricle(start + period // 2),
            ef_percent=100 * (1 - (_size(start + period // 2, frames) / _size(start, frames)) ** 3),
            ef_area_length_percent=55.5,
            left_atrium=None if spacing is None else make_atrium(start + period // 2, (0.5 * columns, 0.8 * rows)),
        )
        for start in (0, period)
    )
    sizes = np.array([_size(index, frames) ** 3 for index in range(frames)])
    edv_ml, esv_ml = beats[0].end_diastole.disks_ml, beats[0].end_systole.disks_ml
    return ClipMeasurement(
        beats=beats,
        ef_percent=beats[0].ef_percent,
        ef_sd_percent=1.5,
        ef_area_length_percent=55.5,
        edv_ml=edv_ml,
        esv_ml=esv_ml,
        heart_rate_bpm=75.0,
        calibrated=spacing is not None,
        volume_curve=sizes * (100.0 if edv_ml is None else edv_ml),
    )


def make_refused_analysis(
    number: int = 9,
    reason: Reason = Reason.COLOUR_DOPPLER,
    detail: str = "colour in 40 % of the region",
    header: Dataset | None = None,
) -> ClipAnalysis:
    """Return an instance that gave nothing."""
    return ClipAnalysis(
        instance=Instance(make_header(number) if header is None else header, Path("clip.dcm")),
        not_assessed=NotAssessed(reason, detail),
    )


def make_study_analysis(*clips: ClipAnalysis, **changes: Any) -> StudyAnalysis:
    """Return the result of a study that rests on its measured clips; without arguments one calibrated A4C clip."""
    clips = clips or (make_clip_analysis(),)
    measured = [analysis for analysis in clips if analysis.measurement is not None]
    study = StudyAnalysis(
        study_instance_uid=STUDY_UID,
        revision=1,
        clips=clips,
        result=NotAssessed(Reason.NO_ELIGIBLE_CLIP, "no clip shows the left ventricle"),
        assessment=None,
        engines=ENGINES,
    )
    if measured:
        study = replace(study, result=_headline(measured), assessment=_assessment())
    return replace(study, **changes)


def _headline(measured: Sequence[ClipAnalysis]) -> StudyMeasurement:
    first = measured[0]
    assert first.measurement is not None
    assert first.view is not None
    return StudyMeasurement(
        ef_percent=first.measurement.ef_percent,
        edv_ml=first.measurement.edv_ml,
        esv_ml=first.measurement.esv_ml,
        view=first.view.view,
        method=VolumeMethod.DISKS_SINGLE_PLANE,
        beat_count=len(first.measurement.beats),
        sop_instance_uids=(first.instance.sop_instance_uid,),
    )


def make_biplane_study(**changes: Any) -> StudyAnalysis:
    """Return the result of an A4C and an A2C clip with everything that can be told of a study."""
    four, two = make_clip_analysis(1), make_clip_analysis(2, view=View.A2C)
    study = make_study_analysis(four, two)
    assert isinstance(study.result, StudyMeasurement)
    result = replace(
        study.result,
        method=VolumeMethod.DISKS_BIPLANE,
        ef_percent=55.0,
        edv_ml=120.0,
        esv_ml=54.0,
        beat_count=4,
        sop_instance_uids=tuple(clip.instance.sop_instance_uid for clip in (four, two)),
        ef_interval=Interval(41.2, 68.8),
        ef_sd_percent=1.5,
        ef_area_length_percent=54.0,
        edv_area_length_ml=118.0,
        esv_area_length_ml=53.0,
        length_mm=90.0,
        area_mm2=3534.0,
        la_volume_ml=60.0,
        la_method=VolumeMethod.AREA_LENGTH_BIPLANE,
        heart_rate_bpm=75.0,
        body=BodySize(1.8, 80.0, 2.0, "DuBois"),
        regressed_ef_percent=42.0,
        choice="Biplane from instance 1 and instance 2, the best pair.",
        notes=(Note(Flag.EF_DISAGREES, "55.0 % from outlines, 42.0 % by regression"),),
    )
    return replace(study, result=replace(result, **changes))


def _assessment() -> Assessment:
    return Assessment(
        grades=(Grade("ASE/EACVI 2015, men", "normal"), Grade("BSE 2020", "normal")), thresholds_below=(50, 45)
    )
