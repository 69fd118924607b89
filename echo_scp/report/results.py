"""A study's values as JSON, for scripts and spreadsheets. The schema is documented in docs/results.md."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite

from echo_scp import __version__
from echo_scp.model import (
    Atrium,
    Beat,
    BodySize,
    ClipAnalysis,
    ClipMeasurement,
    Estimate,
    Interval,
    NotAssessed,
    Note,
    Quality,
    Reproduction,
    StudyAnalysis,
    StudyMeasurement,
    Ventricle,
    VolumeMethod,
)

RESULTS_NAME = "results.json"
SCHEMA_VERSION = 1
JsonObject = dict[str, object]


def results_json(study: StudyAnalysis) -> str:
    """Return the values of one study; every number is rounded to what it can mean, absent numbers are null."""
    values = {
        "schema": SCHEMA_VERSION,
        "software_version": __version__,
        "study_instance_uid": study.study_instance_uid,
        "engines": [
            {"name": engine.name, "version": engine.version, "sha256": engine.sha256} for engine in study.engines
        ],
        "measure_settings": dict(study.measure_settings),
        "result": _result(study.result),
        "assessment": [
            {"scale": grade.scale, "grade": grade.grade}
            for grade in (study.assessment.grades if study.assessment is not None else ())
        ],
        "ef_below_percent": list(study.assessment.thresholds_below) if study.assessment is not None else [],
        "instances": [_clip(clip) for clip in study.clips],
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def _result(result: StudyMeasurement | NotAssessed) -> JsonObject:
    if isinstance(result, NotAssessed):
        return {"assessed": False, **_refusal(result)}
    return {
        "assessed": True,
        "ef_percent": _number(result.ef_percent, 1),
        "edv_ml": _number(result.edv_ml, 1),
        "esv_ml": _number(result.esv_ml, 1),
        "view": result.view,
        "method": result.method,
        "beat_count": result.beat_count,
        "sop_instance_uids": list(result.sop_instance_uids),
        "aggregation": result.aggregation,
        "choice": result.choice,
        "flags": _flags(result.notes),
        "ef_interval_percent": _interval(result.ef_interval),
        "ef_sd_percent": _number(result.ef_sd_percent, 1),
        "ef_area_length_percent": _number(result.ef_area_length_percent, 1),
        "edv_area_length_ml": _number(result.edv_area_length_ml, 1),
        "esv_area_length_ml": _number(result.esv_area_length_ml, 1),
        "ef_regression_percent": _number(result.regressed_ef_percent, 1),
        "length_mm": _number(result.length_mm, 1),
        "area_mm2": _number(result.area_mm2, 0),
        "stroke_volume_ml": _number(result.stroke_volume_ml, 1),
        "heart_rate_bpm": _number(result.heart_rate_bpm, 1),
        "cardiac_output_l_min": _number(result.cardiac_output_l_min, 2),
        "la_volume_ml": _number(result.la_volume_ml, 1),
        "la_method": result.la_method,
        "body": _body(result.body),
        "edv_index_ml_m2": _number(result.edv_index_ml_m2, 1),
        "esv_index_ml_m2": _number(result.esv_index_ml_m2, 1),
        "stroke_index_ml_m2": _number(result.stroke_index_ml_m2, 1),
        "cardiac_index_l_min_m2": _number(result.cardiac_index_l_min_m2, 2),
        "la_index_ml_m2": _number(result.la_index_ml_m2, 1),
    }


def _body(body: BodySize | None) -> JsonObject | None:
    if body is None:
        return None
    return {
        "height_m": body.height_m,
        "weight_kg": body.weight_kg,
        "surface_m2": _number(body.surface_m2, 3),
        "formula": body.formula,
    }


def _interval(interval: Interval | None) -> list[float | None] | None:
    return None if interval is None else [_number(interval.low, 1), _number(interval.high, 1)]


def _flags(notes: Iterable[Note]) -> list[JsonObject]:
    return [{"flag": note.flag, "detail": note.detail} for note in notes]


def _clip(clip: ClipAnalysis) -> JsonObject:
    view = clip.view
    return {
        "sop_instance_uid": clip.instance.sop_instance_uid,
        "series_number": _text(clip, "SeriesNumber"),
        "instance_number": _text(clip, "InstanceNumber"),
        "description": _text(clip, "SeriesDescription") or _text(clip, "Modality"),
        "view": view and view.view,
        "view_confidence": view and _number(view.confidence, 3),
        "view_probabilities": {label: _number(p, 3) for label, p in view.probabilities} if view else None,
        "view_evidence": (view and view.evidence) or None,
        "segmentation_trust": _number(clip.trust, 3),
        "not_assessed": _refusal(clip.not_assessed) if clip.not_assessed is not None else None,
        "measurement": _measurement(clip.measurement) if clip.measurement is not None else None,
        "estimates": [_estimate(estimate) for estimate in clip.estimates],
        "flags": _flags(clip.notes),
    }


def _text(clip: ClipAnalysis, keyword: str) -> str:
    value = clip.instance.header.get(keyword)
    return "" if value is None else str(value)


def _refusal(refusal: NotAssessed) -> JsonObject:
    return {"reason": refusal.reason, "detail": refusal.detail}


def _measurement(measured: ClipMeasurement) -> JsonObject:
    return {
        "method": measured.method,
        "calibrated": measured.calibrated,
        "heart_rate_bpm": _number(measured.heart_rate_bpm, 1),
        "ef_percent": _number(measured.ef_percent, 1),
        "ef_sd_percent": _number(measured.ef_sd_percent, 1),
        "ef_area_length_percent": _number(measured.ef_area_length_percent, 1),
        "edv_ml": _number(measured.edv_ml, 1),
        "esv_ml": _number(measured.esv_ml, 1),
        "ef_interval_percent": _interval(measured.ef_interval),
        "segmentation_sd_percent": _number(measured.segmentation_sd_percent, 1),
        "la_volume_ml": _number(measured.la_volume_ml, 1),
        "quality": _quality(measured.quality),
        "reproduction": _reproduction(measured.reproduction),
        "beats": [_beat(beat) for beat in measured.beats],
        "volume_curve_unit": "mL" if measured.calibrated else "%",
        "volume_curve": [_number(float(value), 2) for value in measured.volume_curve],
    }


def _estimate(estimate: Estimate) -> JsonObject:
    return {
        "name": estimate.name,
        "value": _number(estimate.value, 3),
        "unit": estimate.unit,
        "engine": f"{estimate.engine.name} {estimate.engine.version}",
        "run_count": estimate.run_count,
        "research": estimate.research,
    }


def _quality(quality: Quality) -> JsonObject:
    return {"score": _number(quality.score, 3), "parts": {part.name: _number(part.score, 3) for part in quality.parts}}


def _reproduction(found: Reproduction | None) -> JsonObject | None:
    if found is None:
        return None
    return {
        "ef_percent": _number(found.ef_percent, 1),
        "edv_ml": _number(found.edv_ml, 1),
        "esv_ml": _number(found.esv_ml, 1),
        "la_volume_ml": _number(found.la_volume_ml, 1),
        "window_count": found.window_count,
    }


def _beat(beat: Beat) -> JsonObject:
    return {
        "ef_percent": _number(beat.ef_percent, 1),
        "end_diastole": _ventricle(beat.end_diastole),
        "end_systole": _ventricle(beat.end_systole),
        "left_atrium": _atrium(beat.left_atrium) if beat.left_atrium is not None else None,
    }


def _atrium(atrium: Atrium) -> JsonObject:
    return {
        "frame_number": atrium.frame_index + 1,
        f"volume_{VolumeMethod.AREA_LENGTH_SINGLE_PLANE}_ml": _number(atrium.area_length_ml, 1),
        "length_mm": _number(atrium.length_mm, 1),
        "area_mm2": _number(atrium.area_mm2, 0),
    }


def _ventricle(ventricle: Ventricle) -> JsonObject:
    return {
        "frame_number": ventricle.frame_index + 1,
        f"volume_{VolumeMethod.DISKS_SINGLE_PLANE}_ml": _number(ventricle.disks_ml, 1),
        f"volume_{VolumeMethod.AREA_LENGTH_SINGLE_PLANE}_ml": _number(ventricle.area_length_ml, 1),
        "length_mm": _number(ventricle.length_mm, 1),
        "area_mm2": _number(ventricle.area_mm2, 0),
    }


def _number(value: float | None, digits: int) -> float | None:
    return round(value, digits) if value is not None and isfinite(value) else None
