"""A study's values as JSON, for scripts and spreadsheets. The schema is documented in docs/results.md."""

from __future__ import annotations

import json
from math import isfinite

from echo_scp import __version__
from echo_scp.model import (
    Beat,
    ClipAnalysis,
    ClipMeasurement,
    Estimate,
    NotAssessed,
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
    }


def _clip(clip: ClipAnalysis) -> JsonObject:
    view = clip.view
    return {
        "sop_instance_uid": clip.instance.sop_instance_uid,
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
        "flags": [{"flag": note.flag, "detail": note.detail} for note in clip.notes],
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


def _beat(beat: Beat) -> JsonObject:
    return {
        "ef_percent": _number(beat.ef_percent, 1),
        "end_diastole": _ventricle(beat.end_diastole),
        "end_systole": _ventricle(beat.end_systole),
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
