"""results.json tells what the view and the outlines rest on."""

from __future__ import annotations

import json
from dataclasses import replace

from echo_scp.report.results import results_json
from tests.unit.report.builders import make_clip_analysis, make_study_analysis


def instance_of(clip):
    (told,) = json.loads(results_json(make_study_analysis(clip)))["instances"]
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
