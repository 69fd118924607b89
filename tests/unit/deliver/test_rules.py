"""Which destination gets the results of which study."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydicom.dataset import FileMetaDataset

from echo_scp.config import Destination
from echo_scp.deliver import StudyFacts, study_facts, wants
from echo_scp.model import NotAssessed, Reason, StudyAnalysis
from tests.unit.report.builders import make_clip_analysis, make_study_analysis


def make_study(**changes: object) -> StudyAnalysis:
    clip = make_clip_analysis()
    clip.instance.header.file_meta = FileMetaDataset()
    clip.instance.header.file_meta.SourceApplicationEntityTitle = "VIVID1"
    return make_study_analysis(clip, **changes)


def make_facts(**changes: tuple[str, ...]) -> StudyFacts:
    values = {
        "calling_ae_titles": ("VIVID1",),
        "institutions": ("St. Mary",),
        "views": ("A4C",),
        "findings": ("assessed", "below 50", "BSE 2020: impaired"),
    }
    return StudyFacts(**(values | changes))


def make_destination(**rules: object) -> Destination:
    return Destination(**({"name": "pacs", "ae_title": "PACS", "host": "pacs", "port": 104} | rules))


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ({}, True),
        ({"calling_ae_titles": ["vivid*"]}, True),
        ({"calling_ae_titles": ["EPIQ*", "VIVID?"]}, True),
        ({"calling_ae_titles": ["EPIQ*"]}, False),
        ({"institutions": ["st. mary"]}, True),
        ({"institutions": ["St. John"]}, False),
        ({"views": ["A2C"]}, False),
        ({"findings": ["below 50"]}, True),
        ({"findings": ["BSE 2020: *impaired"]}, True),
        ({"findings": ["urgent"]}, False),
        ({"calling_ae_titles": ["VIVID1"], "findings": ["urgent"]}, False),
    ],
    ids=str,
)
def test_every_rule_must_hold_and_one_of_its_patterns(rules, wanted):
    """An empty rule holds for everything."""
    assert wants(make_destination(**rules), make_facts()) is wanted


def test_a_study_returns_to_its_sender_only():
    """The AE title of the destination is that of the calling AE."""
    sender = make_destination(ae_title="VIVID1", return_to_sender=True)
    other = make_destination(ae_title="VIVID2", return_to_sender=True)

    assert wants(sender, make_facts())
    assert not wants(other, make_facts())


@pytest.mark.parametrize(("threshold", "urgent"), [(0.0, False), (30.0, False), (100.0, True)])
def test_an_ef_at_or_below_the_threshold_is_urgent(threshold, urgent):
    """Zero switches it off."""
    assert study_facts(make_study(), threshold).urgent is urgent


def test_what_is_told_as_the_threshold_is_urgent():
    """Its reports say 30.0 %."""
    study = make_study()

    told, above = (replace(study, result=replace(study.result, ef_percent=ef)) for ef in (30.04, 30.06))

    assert study_facts(told, 30.0).urgent
    assert not study_facts(above, 30.0).urgent


def test_the_facts_of_a_study_without_a_number():
    """It is not assessed, and not urgent."""
    study = make_study(result=NotAssessed(Reason.NO_ELIGIBLE_CLIP, "none"), assessment=None)

    assert study_facts(study, 100).findings == ("not assessed",)


def test_the_facts_of_a_measured_study():
    """The views of its measured clips, the thresholds it is below, each scale's word."""
    facts = study_facts(make_study(), 30)

    assert facts.calling_ae_titles == ("VIVID1",)
    assert facts.views == ("A4C",)
    assert "assessed" in facts.findings
    assert any(finding.startswith("ASE/EACVI 2015") for finding in facts.findings)
