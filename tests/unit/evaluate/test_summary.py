"""Tables over cases with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.evaluate.case import Phase, Refusal
from echo_scp.evaluate.outcome import ClipOutcome, Quantity
from echo_scp.evaluate.summary import summarise
from echo_scp.evaluate.tables import summary_tables
from echo_scp.model import Sex, View
from tests.unit.evaluate.builders import make_comparison, make_result, make_score

KNOWN = (View.A4C, View.A2C, View.PLAX, View.OTHER)
REFUSED = Refusal("no_beat", "no beat in it")


def efs(*pairs, **changes):
    return [
        make_result(f"p{number}", comparisons=(make_comparison(measured, truth, **changes),))
        for number, (measured, truth) in enumerate(pairs)
    ]


def test_every_truth_is_covered_or_carries_its_reason():
    """Three truths, one number: two refusals by reason, each listed with its case."""
    results = efs((50, 52))
    results += [make_result(n, comparisons=(make_comparison(None, 40, refusal=REFUSED),)) for n in ("x", "y")]

    summary = summarise(results, KNOWN)

    (coverage,) = summary.coverage
    assert (coverage.total, coverage.assessed, coverage.reasons) == (3, 1, (("no_beat", 2),))
    assert {(item.case, item.reason) for item in summary.unassessed} == {("x", "no_beat"), ("y", "no_beat")}


def test_a_refused_clip_and_a_lost_case_are_listed_once():
    """Not once more for every quantity that they lack."""
    comparisons = tuple(make_comparison(None, 40, quantity=quantity, refusal=REFUSED) for quantity in Quantity)
    refused = make_result("x", clips=(ClipOutcome("clip", refusal=REFUSED),), comparisons=comparisons)
    lost = make_result("y", clips=(), comparisons=comparisons, problem=Refusal("missing_file", "truth.csv:3"))

    summary = summarise([refused, lost], KNOWN)

    assert [(item.case, item.what, item.reason) for item in summary.unassessed] == [
        ("x", "clip", "no_beat"),
        ("y", "case", "missing_file"),
    ]
    assert sum(row.total for row in summary.coverage) == 6


def test_thresholds_count_who_is_below():
    """True EF 30, 38, 55 measured 33, 44, 52: at 40 % one is found and one missed."""
    summary = summarise(efs((33, 30), (44, 38), (52, 55)), KNOWN)

    row = next(row for row in summary.thresholds if row.threshold_percent == 40)
    assert (row.tn, row.fp, row.fn, row.tp) == (1, 0, 1, 1)
    assert row.auc.value == 1


def test_an_ef_is_graded_as_the_product_tells_it():
    """49.96 % is told as 50.0 %, which is not below 50 %."""
    summary = summarise(efs((49.96, 50.04)), KNOWN)

    row = next(row for row in summary.thresholds if row.threshold_percent == 50)
    assert (row.tn, row.fp) == (1, 0)
    assert {row.accuracy.value for row in summary.grades} == {1}


def test_grades_use_the_patients_sex():
    """EF 53 instead of 55 is normal in a man; of unknown sex both scales are asked."""
    (man,) = efs((53, 55))
    told = summarise([make_result("m", sex=Sex.MALE, comparisons=man.comparisons)], KNOWN)
    untold = summarise([man], KNOWN)

    scales = {row.scale: row.accuracy.value for row in told.grades}
    assert scales["ASE/EACVI 2015, men"] == 1
    assert "ASE/EACVI 2015, women" not in scales
    assert {row.scale: row.accuracy.value for row in untold.grades}["ASE/EACVI 2015, women"] == 0


def test_calibration_counts_intervals_that_hold_the_truth():
    """Three of four, mean width 10; a result without an interval does not count."""
    results = [
        make_result(str(n), comparisons=(make_comparison(50, truth, interval=(45, 55)),))
        for n, truth in enumerate((46, 50, 55, 56))
    ]

    (row,) = summarise([*results, *efs((50, 90))], KNOWN).calibration

    assert (row.count, row.covered, row.mean_width) == (4, 0.75, 10)
    assert row.low < 0.75 < row.high
    assert row.spread == pytest.approx(1.96 / 5 * np.sqrt((4**2 + 0 + 5**2 + 6**2) / 4), rel=1e-4)


def test_an_interval_that_is_cut_at_zero_states_the_same_spread():
    """An EF of 10 % with 18 points to either side, of which 10 are left below: 12 too low is well inside."""
    results = [make_result("a", comparisons=(make_comparison(10, 22, interval=(0, 28)),))]

    (row,) = summarise(results, KNOWN).calibration

    assert row.spread == pytest.approx(1.96 * 12 / 18, rel=1e-4)


def test_no_interval_gives_no_calibration():
    """The table is left out."""
    assert summarise(efs((50, 52)), KNOWN).calibration == ()


def test_overlap_is_split_by_phase_and_says_what_was_missed():
    """Mean Dice over ED and ES; a missed frame counts with 0 and has no distance."""
    frames = (make_score(0.9), make_score(0.8, phase=Phase.END_SYSTOLE), make_score(0.0, phase=Phase.END_SYSTOLE))

    rows = {row.phase: row for row in summarise([make_result(frames=frames)], KNOWN).overlap}

    assert rows["all"].dice.value == pytest.approx(1.7 / 3)
    assert rows["ED"].dice.value == pytest.approx(0.9)
    assert (rows["ES"].frames, rows["ES"].one_sided) == (2, 1)
    assert rows["ES"].hausdorff95.value == 2


def test_mixed_scales_do_not_pretend_to_millimetres():
    """A mean over frames of which only some are calibrated says so."""
    frames = (make_score(0.9), make_score(0.9, calibrated=False))

    (row, *_) = summarise([make_result(frames=frames)], KNOWN).overlap

    assert row.hausdorff_unit == "mm and px"


def test_without_truth_there_is_only_what_became_of_the_clips():
    """Cases without a truth that can be compared have no errors, but views, numbers and refusals."""
    clips = (
        ClipOutcome("a", view=View.A4C, ef_percent=55.0),
        ClipOutcome("b", view=View.A4C, refusal=REFUSED),
        ClipOutcome("c", refusal=Refusal("m_mode", "M-mode")),
    )

    (table,) = summary_tables(summarise([make_result(clips=clips)], KNOWN))

    assert table.rows == (("A4C", "2", "1", "1 x no_beat"), ("not asked", "1", "0", "1 x m_mode"))


def test_series_do_not_mix():
    """Volumes, methods and truths are summarised apart."""
    result = make_result(
        comparisons=(
            make_comparison(50, 52),
            make_comparison(100, 90, quantity=Quantity.EDV),
            make_comparison(51, 52, measured_by="study"),
        )
    )

    biases = [row.bias.value for row in summarise([result], KNOWN).agreement]

    assert np.allclose(sorted(biases), [-2, -1, 10])
