"""A volume curve as a drawing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.web.curve import HEIGHT, LEFT, RIGHT, WIDTH, plot_curve


def test_frames_lie_evenly_between_the_edges():
    """The first frame on the left edge, the last on the right."""
    plot = plot_curve([100.0, 50.0, 100.0], "mL", [(1, 2)])

    (points,) = plot.stretches
    columns = [float(point.split(",")[0]) for point in points.split()]
    assert columns == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]
    assert plot.x_first + 2 * plot.x_step == WIDTH - RIGHT


def test_a_smaller_volume_is_lower():
    """End-diastole above end-systole, both marked on the curve."""
    diastole, systole = plot_curve([100.0, 50.0, 100.0], "mL", [(1, 2)]).marks

    assert (diastole.kind, systole.kind) == ("ED", "ES")
    assert diastole.y < systole.y


def test_a_frame_without_a_value_is_a_gap():
    """A lone value between gaps draws nothing."""
    plot = plot_curve([1.0, 2.0, None, 3.0, None, 4.0, 5.0, 6.0], "%", [(3, 1)])

    assert [len(points.split()) for points in plot.stretches] == [2, 3]
    assert [mark.kind for mark in plot.marks] == ["ES"]


@pytest.mark.parametrize("values", [[], [None, None], [1.0], [1.0, None]])
def test_less_than_two_values_are_no_curve(values):
    """There is nothing to draw."""
    assert plot_curve(values, "mL", []) is None


@given(st.lists(st.none() | st.floats(0, 1000), min_size=2, max_size=50))
def test_everything_is_drawn_inside(values):
    """Whatever the volumes."""
    plot = plot_curve(values, "mL", [])

    for points in () if plot is None else plot.stretches:
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    for tick in () if plot is None else plot.x_ticks:
        assert 1 <= int(tick.label) <= len(values)
