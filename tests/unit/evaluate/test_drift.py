"""How far a change moves Dice and EF."""

from __future__ import annotations

import pytest

from echo_scp.evaluate.changes import UNCHANGED, Change, Kind
from echo_scp.evaluate.drift import drift
from echo_scp.evaluate.outcome import ClipOutcome
from tests.unit.evaluate.builders import make_comparison, make_result, make_score

GAIN = Change(Kind.GAIN, 6)


def cases(*dices_and_efs):
    return tuple(
        make_result(f"p{number}", frames=(make_score(dice),), comparisons=(make_comparison(ef, 60),))
        for number, (dice, ef) in enumerate(dices_and_efs)
    )


def test_each_case_is_compared_with_itself():
    """Dice falls by 0.1 on average; EF moves by 2 and -4; one EF is lost."""
    results = {
        UNCHANGED.name: cases((0.9, 50), (0.9, 60), (0.9, 70)),
        GAIN.name: cases((0.9, 52), (0.8, 56), (0.7, None)),
    }

    found = drift(results, (UNCHANGED, GAIN))

    assert found.dice[1].difference.value == pytest.approx(-0.1)
    assert found.dice[1].dice == pytest.approx(0.8)
    moved = found.ef[1]
    assert (moved.count, moved.lost) == (2, 1)
    assert moved.mean_absolute.value == pytest.approx(3)
    assert moved.mean.value == pytest.approx(-1)


def test_every_frame_of_a_phase_counts():
    """An archive may hold several beats of a patient; the first falls by 0.1, the second by 0.3."""
    before = (make_score(0.9), make_score(None), make_score(0.8))
    after = (make_score(0.8), make_score(None), make_score(0.5))
    results = {
        name: (make_result("p", frames=frames),) for name, frames in ((UNCHANGED.name, before), (GAIN.name, after))
    }

    row = drift(results, (UNCHANGED, GAIN)).dice[1]

    assert row.frames == 2
    assert row.difference.value == pytest.approx(-0.2)


def test_nothing_moves_without_a_change():
    """The first row is the yardstick."""
    found = drift({UNCHANGED.name: cases((0.9, 50))}, (UNCHANGED,))

    assert found.dice[0].difference.value == 0
    assert found.ef[0].mean_absolute.value == 0


def test_a_change_under_which_nothing_is_left_is_no_number():
    """All EF lost: the count says so and the means are absent."""
    results = {UNCHANGED.name: cases((0.9, 50)), GAIN.name: cases((0.0, None))}

    moved = drift(results, (UNCHANGED, GAIN)).ef[1]

    assert (moved.count, moved.lost) == (0, 1)
    assert moved.mean.value != moved.mean.value


def test_a_move_is_held_against_the_stated_interval():
    """Of the unmoved EF: 54 lies in 45 to 55, 56 does not; who states nothing does not count."""
    stated = [make_comparison(50, 60, interval=(45, 55))] * 2 + [make_comparison(50, 60)]
    moved = [make_comparison(ef, 60) for ef in (54, 56, 51)]
    results = {
        name: tuple(make_result(f"p{n}", comparisons=(item,)) for n, item in enumerate(items))
        for name, items in ((UNCHANGED.name, stated), (GAIN.name, moved))
    }

    row = drift(results, (UNCHANGED, GAIN)).ef[1]

    assert (row.count, row.stated, row.inside) == (3, 2, 1)


def test_clips_without_truth_drift_too():
    """Steadiness needs no truth."""
    results = {
        name: (make_result("p", clips=(ClipOutcome("cine", ef_percent=ef, ef_interval=(45, 55)),)),)
        for name, ef in ((UNCHANGED.name, 50.0), (GAIN.name, 53.0))
    }

    row = drift(results, (UNCHANGED, GAIN)).ef[1]

    assert row.measured_by == "clips without truth"
    assert row.mean.value == 3
    assert row.inside == 1
