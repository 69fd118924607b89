"""results.json says everything that was measured, what the view and outlines rest on, and null where nothing is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from echo_scp.model import Quality, QualityPart, Reproduction, VolumeMethod
from echo_scp.report.results import results_json
from tests.unit.report.builders import (
    make_biplane_study,
    make_clip_analysis,
    make_refused_analysis,
    make_study_analysis,
)


def values_of(study):
    return json.loads(results_json(study))


def test_a_biplane_study_tells_every_number():
    """Rounded to what it can mean."""
    result = values_of(make_biplane_study())["result"]

    expected = {
        "assessed": True,
        "ef_percent": 55.0,
        "edv_ml": 120.0,
        "esv_ml": 54.0,
        "method": "disks_biplane",
        "aggregation": "beats",
        "choice": "Biplane from instance 1 and instance 2, the best pair.",
        "ef_interval_percent": [41.2, 68.8],
        "ef_regression_percent": 42.0,
        "stroke_volume_ml": 66.0,
        "cardiac_output_l_min": 4.95,
        "la_volume_ml": 60.0,
        "la_method": "area_length_biplane",
        "edv_index_ml_m2": 60.0,
        "la_index_ml_m2": 30.0,
        "body": {"height_m": 1.8, "weight_kg": 80.0, "surface_m2": 2.0, "formula": "DuBois"},
    }
    assert {key: result[key] for key in expected} == expected
    assert result["flags"] == [{"flag": "ef_disagrees", "detail": "55.0 % from outlines, 42.0 % by regression"}]


def test_a_clip_tells_its_quality_atrium_and_reproduction():
    """Part by part."""
    clip = make_clip_analysis()
    measurement = replace(
        clip.measurement,
        quality=Quality((QualityPart("steadiness", 0.5), QualityPart("one piece", 0.9))),
        reproduction=Reproduction(50.0, 100.0, None, None, 3),
        segmentation_sd_percent=4.25,
    )
    study = make_study_analysis(replace(clip, measurement=measurement), measure_settings=(("aggregation", "usal"),))

    values = values_of(study)
    told = values["instances"][0]["measurement"]
    assert told["quality"] == {"score": 0.45, "parts": {"steadiness": 0.5, "one piece": 0.9}}
    assert told["reproduction"]["edv_ml"] == 100.0
    assert told["reproduction"]["esv_ml"] is None
    assert told["segmentation_sd_percent"] == pytest.approx(4.2, abs=0.1)
    assert told["beats"][0]["left_atrium"]["area_mm2"] == 2000
    assert values["measure_settings"] == {"aggregation": "usal"}


def test_what_is_not_known_is_null():
    """No calibration, no body, no heart rate, no regression."""
    result = values_of(make_study_analysis(make_clip_analysis(calibrated=False)))["result"]

    absent = ("edv_ml", "stroke_volume_ml", "cardiac_output_l_min", "la_volume_ml", "body", "la_index_ml_m2")
    assert [result[key] for key in absent] == [None] * len(absent)
    assert result["method"] == VolumeMethod.DISKS_SINGLE_PLANE


def test_a_refused_study_tells_its_reason():
    """And no number at all."""
    assert values_of(make_study_analysis(make_refused_analysis()))["result"] == {
        "assessed": False,
        "reason": "no_eligible_clip",
        "detail": "no clip shows the left ventricle",
    }


def instance_of(clip):
    (told,) = values_of(make_study_analysis(clip))["instances"]
    return told


def test_evidence_and_trust_are_told():
    """What the header said of the view, and how far the outlines can be believed."""
    clip = make_clip_analysis()
    view = replace(clip.view, evidence="View Name (0008,2127) names A4C")

    told = instance_of(replace(clip, view=view, trust=0.91234))

    assert told["view_evidence"] == "View Name (0008,2127) names A4C"
    assert told["segmentation_trust"] == 0.912


def test_without_evidence_or_judgement_they_are_null():
    """Most headers say nothing of the view; an engine without constants is not judged."""
    told = instance_of(make_clip_analysis())

    assert told["view_evidence"] is None
    assert told["segmentation_trust"] is None
