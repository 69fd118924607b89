"""Evidence raises what it names, never decides alone, and a contradiction is not measured."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.sequence import Sequence

from echo_scp.evidence import read_evidence, weigh
from echo_scp.evidence.header import Evidence
from echo_scp.model import View, ViewEstimate

THRESHOLD = 0.77
LABELS = (View.A4C, View.A2C, View.PLAX, View.OTHER)
_ELEMENTS = ("ViewName", "ImageComments", "SeriesDescription", "StudyDescription")


def evidence_for(text: str, keyword: str) -> Evidence:
    header = Dataset()
    if keyword == "ViewCodeSequence":
        code = Dataset()
        code.CodeMeaning = text
        header.ViewCodeSequence = Sequence([code])
    else:
        setattr(header, keyword, text)
    found = read_evidence(header)
    assert found is not None
    return found


def estimate_of(*probabilities: float, labels: tuple[View, ...] = LABELS) -> ViewEstimate:
    """Return what the network says, decided as it decides alone."""
    labelled = tuple(zip(labels, probabilities, strict=True))
    view, confidence = max(labelled, key=lambda item: item[1])
    if confidence < THRESHOLD:
        view, confidence = View.OTHER, dict(labelled).get(View.OTHER, 0.0)
    return ViewEstimate(view, confidence, labelled)


ALL = [
    evidence_for(text, keyword)
    for text in ("A4C", "A2C", "A3C", "PLAX")
    for keyword in ("ViewCodeSequence", *_ELEMENTS)
]
chances = st.lists(st.floats(0.0, 1.0), min_size=4, max_size=4).filter(lambda values: sum(values) > 0.01)


def estimates(values: list[float]) -> ViewEstimate:
    return estimate_of(*(value / sum(values) for value in values))


def test_without_evidence_the_network_decides():
    """The usual case: headers say nothing."""
    estimate = estimate_of(0.6, 0.2, 0.1, 0.1)

    assert weigh(estimate, None, THRESHOLD) is estimate


def test_agreement_lifts_an_unsure_answer_over_the_threshold():
    """0.6 and a code for the same view are enough; where it came from is told."""
    joined = weigh(estimate_of(0.6, 0.2, 0.1, 0.1), evidence_for("A4C", "ViewCodeSequence"), THRESHOLD)

    assert joined.view is View.A4C
    assert joined.confidence == pytest.approx(0.6 * 49 / (0.6 * 49 + 0.4))
    assert joined.evidence == "View Code Sequence (0054,0220) names A4C"


@pytest.mark.parametrize("keyword", ["ViewCodeSequence", "ViewName", "ImageComments"])
def test_a_contradiction_on_the_clip_itself_is_not_measured(keyword):
    """A confident network and a header written for this clip that says otherwise: one errs, nobody knows which."""
    joined = weigh(estimate_of(0.95, 0.02, 0.02, 0.01), evidence_for("PLAX", keyword), THRESHOLD)

    assert joined.view is View.OTHER
    assert "PLAX" in joined.evidence
    assert "A4C (0.95)" in joined.evidence


def test_the_name_of_a_series_does_not_overrule_a_sure_network():
    """One series often holds all views of a study."""
    joined = weigh(estimate_of(0.97, 0.01, 0.01, 0.01), evidence_for("PLAX", "SeriesDescription"), THRESHOLD)

    assert joined.view is View.A4C
    assert joined.confidence < 0.97


def test_evidence_never_decides_alone():
    """A view that the network itself finds unlikely is not claimed, whatever the header says."""
    joined = weigh(estimate_of(0.15, 0.30, 0.25, 0.30), evidence_for("A4C", "ViewCodeSequence"), THRESHOLD)

    assert joined.view is View.OTHER
    assert "0.15 only" in joined.evidence


def test_a_view_that_the_network_does_not_know_counts_for_the_rest():
    """A network of four labels calls an A3C `other`."""
    joined = weigh(estimate_of(0.5, 0.1, 0.0, 0.4), evidence_for("A3C", "ViewName"), THRESHOLD)

    assert joined.view is View.OTHER
    assert joined.confidence > 0.9


def test_a_network_without_a_rest_can_still_be_contradicted():
    """No label stands for the named view: nothing is raised, and a sure answer is doubted."""
    estimate = estimate_of(0.9, 0.1, labels=(View.A4C, View.A2C))

    joined = weigh(estimate, evidence_for("PLAX", "ViewName"), THRESHOLD)

    assert joined.view is View.OTHER
    assert joined.confidence == 0.0
    assert dict(joined.probabilities) == pytest.approx(dict(estimate.probabilities))


@given(chances, st.sampled_from(ALL))
def test_evidence_never_lowers_what_it_names(values, evidence):
    """Bayes' rule with a ratio above one is monotone, and probabilities stay probabilities."""
    estimate = estimates(values)
    named = evidence.view if evidence.view in LABELS else View.OTHER

    joined = dict(weigh(estimate, evidence, THRESHOLD).probabilities)

    before = dict(estimate.probabilities)
    assert joined[named] >= before[named] - 1e-12
    assert all(joined[view] <= before[view] + 1e-12 for view in LABELS if view is not named)
    assert sum(joined.values()) == pytest.approx(1.0)


@given(chances, st.sampled_from(ALL))
def test_no_view_is_claimed_that_the_network_did_not_find_likely(values, evidence):
    """Whatever the header says, a claimed view had the network's own support, and nothing contradicted it."""
    estimate = estimates(values)
    joined = weigh(estimate, evidence, THRESHOLD)
    assume(joined.view is not View.OTHER)

    own = dict(estimate.probabilities)[joined.view]
    if joined.view is evidence.view:
        assert own >= evidence.source.own_probability
    else:
        assert own >= THRESHOLD
        assert not evidence.source.per_clip


@given(chances, st.floats(0.0, 0.5), st.sampled_from(ALL))
def test_more_support_by_the_network_never_loses_the_view(values, more, evidence):
    """If a named view is claimed, it is still claimed when the network likes it better."""
    estimate = estimates(values)
    assume(weigh(estimate, evidence, THRESHOLD).view is evidence.view)

    index = LABELS.index(evidence.view)
    liked = estimates([value + more * sum(values) * (k == index) for k, value in enumerate(values)])

    assert weigh(liked, evidence, THRESHOLD).view is evidence.view
