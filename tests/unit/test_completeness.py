"""When is a study complete?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.completeness import Patience, StepEvidence, StepState, StudyEvidence, seconds_until_complete
from scripts.bench.completeness import KINDS, simulate

PATIENCE = Patience(quiet_period_s=600, settle_s=5, longest_wait_s=3600)
TRUSTING = replace(PATIENCE, trusts_commitment=True)
IN_PROGRESS = StepEvidence(StepState.IN_PROGRESS, 0, 0)
DONE = StepEvidence(StepState.COMPLETED, 40, 0)
STOPPED = StepEvidence(StepState.DISCONTINUED, 3, 0)
MISSING = StepEvidence(StepState.COMPLETED, 40, 2)
SAYS_NOTHING = StepEvidence(StepState.COMPLETED, 0, 0)


@pytest.mark.parametrize(
    ("evidence", "patience", "wait_s"),
    [
        pytest.param(StudyEvidence(100), PATIENCE, 500, id="nothing is known: quiet has to do"),
        pytest.param(StudyEvidence(600), PATIENCE, 0, id="quiet for its period"),
        pytest.param(StudyEvidence(100, (DONE,)), PATIENCE, -95, id="a step is finished and all is here"),
        pytest.param(StudyEvidence(2, (DONE,)), PATIENCE, 3, id="all is here, just now"),
        pytest.param(StudyEvidence(100, (STOPPED,)), PATIENCE, -95, id="a step was given up and all is here"),
        pytest.param(StudyEvidence(100, (MISSING,)), PATIENCE, 500, id="a step names what is not here yet"),
        pytest.param(StudyEvidence(100, (SAYS_NOTHING,)), PATIENCE, 500, id="a step names nothing"),
        pytest.param(StudyEvidence(1000, (IN_PROGRESS,)), PATIENCE, 2600, id="a step is in progress"),
        pytest.param(StudyEvidence(3600, (IN_PROGRESS,)), PATIENCE, 0, id="in progress for ever"),
        pytest.param(StudyEvidence(700, (DONE, IN_PROGRESS)), PATIENCE, 2900, id="rest is done, stress is not"),
        pytest.param(StudyEvidence(100, is_committed=True), PATIENCE, 500, id="committed, by whoever commits often"),
        pytest.param(StudyEvidence(100, is_committed=True), TRUSTING, -95, id="committed, once per study"),
        pytest.param(StudyEvidence(700, is_association_open=True), PATIENCE, 5, id="quiet, but still connected"),
        pytest.param(StudyEvidence(100, is_association_open=True), PATIENCE, 500, id="connected, not quiet yet"),
        pytest.param(StudyEvidence(3600, is_association_open=True), PATIENCE, 0, id="connected for ever"),
        pytest.param(StudyEvidence(700, (MISSING,), is_association_open=True), PATIENCE, 5, id="still on its way"),
        pytest.param(
            StudyEvidence(9, (DONE,), is_association_open=True), PATIENCE, -4, id="all is here, whoever is connected"
        ),
    ],
)
def test_the_best_evidence_decides(evidence, patience, wait_s):
    """Each kind alone, and against another."""
    assert seconds_until_complete(evidence, patience) == pytest.approx(wait_s)


evidences = st.builds(
    StudyEvidence,
    quiet_s=st.floats(0, 5000),
    steps=st.lists(st.sampled_from([IN_PROGRESS, DONE, STOPPED, MISSING, SAYS_NOTHING]), max_size=3).map(tuple),
    is_committed=st.booleans(),
    is_association_open=st.booleans(),
)
patiences = st.builds(
    Patience,
    quiet_period_s=st.floats(0, 5000),
    settle_s=st.floats(0, 600),
    longest_wait_s=st.floats(0, 5000),
    trusts_commitment=st.booleans(),
)


@given(evidence=evidences, patience=patiences)
def test_every_study_is_complete_at_last(evidence, patience):
    """Nothing puts it off beyond the longest wait, or the quiet period where that is longer."""
    quiet_s = max(patience.longest_wait_s, patience.quiet_period_s)

    assert seconds_until_complete(replace(evidence, quiet_s=quiet_s), patience) <= 1e-6


@given(evidence=evidences, patience=patiences)
def test_a_step_in_progress_never_hastens(evidence, patience):
    """More is to come."""
    more = replace(evidence, steps=(*evidence.steps, IN_PROGRESS))

    assert seconds_until_complete(more, patience) >= seconds_until_complete(evidence, patience) - 1e-6


def test_no_study_that_is_sent_as_it_is_acquired_is_analysed_too_early():
    """Whatever its machine tells; a quiet period that is fit for whole studies alone would be wrong for all of them."""
    outcomes = simulate(studies=300, seed=7)
    by_quiet_alone = simulate(studies=50, seed=7, patience=Patience(30, 5, 3600))

    assert {outcome.kind for outcome in outcomes} == set(KINDS)
    assert [outcome for outcome in outcomes if outcome.delay_s < 0] == []
    assert all(outcome.delay_s < 0 for outcome in by_quiet_alone)


def test_evidence_shortens_the_wait():
    """Where the machine tells: minutes instead of the quiet period."""
    delays = [outcome.delay_s for outcome in simulate(studies=100, seed=7) if outcome.kind == "MPPS"]

    assert max(delays) <= 120
