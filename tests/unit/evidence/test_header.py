"""The most trustworthy source that names a view speaks."""

from __future__ import annotations

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from echo_scp.evidence import read_evidence
from echo_scp.model import View


def make_header(**elements: object) -> Dataset:
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def coded(value: str, scheme: str, meaning: str = "", modifier: Dataset | None = None) -> Sequence:
    item = make_header(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
    if modifier is not None:
        item.ViewModifierCodeSequence = Sequence([modifier])
    return Sequence([item])


def view_of(header: Dataset) -> View | None:
    evidence = read_evidence(header)
    return None if evidence is None else evidence.view


@pytest.mark.parametrize(
    ("value", "scheme", "view"),
    [
        ("399214001", "SCT", View.A4C),
        ("G-A19C", "SRT", View.A4C),
        ("G-A19C", "SNM3", View.A4C),
        ("399232001", "SCT", View.A2C),
        ("G-A19B", "99SDM", View.A2C),
        ("G-0395", "SRT", View.A3C),
        ("398994001", "SCT", View.A5C),
        ("G-0396", "SRT", View.PLAX),
        ("399271003", "SCT", View.PSAX),
        ("G-039E", "SRT", View.SUBCOSTAL),
        ("130681", "DCM", View.OTHER),
        ("131029", "DCM", View.OTHER),
        ("443698002", "SCT", View.OTHER),
    ],
)
def test_a_view_code_is_read_in_every_scheme(value, scheme, view):
    """CID 12226 in SNOMED CT and in the older SNOMED RT; the RV-focused and fetal views are none of ours."""
    assert view_of(make_header(ViewCodeSequence=coded(value, scheme))) is view


def test_the_meaning_speaks_where_the_code_is_private():
    """A maker's own code still has a meaning in words."""
    assert view_of(make_header(ViewCodeSequence=coded("V12", "99MAKER", "Apical 2 Chamber"))) is View.A2C


@pytest.mark.parametrize(
    "modifier",
    [
        make_header(CodeValue="103341000", CodingSchemeDesignator="SCT", CodeMeaning="Off axis"),
        make_header(CodeValue="X", CodingSchemeDesignator="99X", CodeMeaning="RV focused"),
    ],
    ids=["off axis", "RV focused"],
)
def test_a_modifier_that_leaves_the_plane_takes_the_evidence_away(modifier):
    """Off axis or for the right heart, the LV is cut elsewhere."""
    assert view_of(make_header(ViewCodeSequence=coded("399214001", "SCT", modifier=modifier))) is None


@pytest.mark.parametrize(
    "keyword",
    [
        "ViewName",
        "StageName",
        "ImageComments",
        "SeriesDescription",
        "ProtocolName",
        "AcquisitionProtocolName",
        "PerformedProcedureStepDescription",
        "StudyDescription",
    ],
)
def test_each_element_of_text_is_read(keyword):
    """Makers use different ones."""
    assert view_of(make_header(**{keyword: "Apical 4 chamber"})) is View.A4C


def test_the_performed_protocol_is_read_by_its_meaning():
    """Its codes are a site's own."""
    assert view_of(make_header(PerformedProtocolCodeSequence=coded("77", "99SITE", "TTE A2C"))) is View.A2C


def test_the_more_trustworthy_source_speaks_alone():
    """A series is often named after its first clip."""
    header = make_header(
        ViewCodeSequence=coded("399232001", "SCT"), ViewName="A4C", ImageComments="PLAX", SeriesDescription="A4C"
    )

    evidence = read_evidence(header)

    assert evidence is not None
    assert (evidence.view, evidence.source.name) == (View.A2C, "View Code Sequence (0054,0220)")


def test_a_source_that_names_two_views_ends_the_search():
    """What is unclear here is not made clear by something less trustworthy."""
    assert view_of(make_header(ImageComments="A4C A2C", SeriesDescription="A4C")) is None


def test_elements_of_one_source_must_agree():
    """Series and protocol that differ are no evidence."""
    assert view_of(make_header(SeriesDescription="A4C", ProtocolName="PLAX")) is None


def test_another_body_part_speaks_against_every_view():
    """The four chambers of a fetus are not an adult's."""
    assert view_of(make_header(BodyPartExamined="FETUS")) is View.OTHER
    assert view_of(make_header(BodyPartExamined="HEART")) is None


def test_odd_values_are_no_evidence():
    """Empty elements, several values, an empty sequence."""
    header = make_header(
        ViewName="", StudyDescription=None, ViewCodeSequence=Sequence([]), ProtocolName=["TTE", "adult"]
    )

    assert read_evidence(header) is None
    assert read_evidence(Dataset()) is None


def test_trust_falls_from_source_to_source():
    """The better a source, the less the network must add."""
    headers = (
        make_header(ViewCodeSequence=coded("399214001", "SCT")),
        make_header(ViewName="A4C"),
        make_header(ImageComments="A4C"),
        make_header(SeriesDescription="A4C"),
        make_header(StudyDescription="A4C"),
    )

    sources = [evidence.source for header in headers if (evidence := read_evidence(header)) is not None]

    assert len(sources) == len(headers)
    assert [s.error_rate for s in sources] == sorted(s.error_rate for s in sources)
    assert [s.own_probability for s in sources] == sorted(s.own_probability for s in sources)
