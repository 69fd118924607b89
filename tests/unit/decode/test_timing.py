"""Frame times, heart rate and R waves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_scp.decode.timing import Timing, read_timing
from echo_scp.model import Flag, Reason
from tests.unit.decode.builders import make_header, refusal

FRAME_TIME, FRAME_TIME_VECTOR = 0x00181063, 0x00181065


def timing(frame_count: int = 5, **changes: Any) -> Timing:
    return read_timing(make_header(**changes), frame_count)


def times(frame_count: int = 5, **changes: Any) -> list[float]:
    return timing(frame_count, **changes).frame_times_ms.round(3).tolist()


def test_frame_time_spaces_frames_evenly() -> None:
    """PS3.3 C.7.6.5.1.1."""
    assert times(FrameTime="40") == [0, 40, 80, 120, 160]


@pytest.mark.parametrize("vector", [["0", "30", "40", "50", "60"], ["30", "40", "50", "60"]])
def test_a_frame_time_vector_may_leave_out_its_first_entry(vector: list[str]) -> None:
    """The first of N entries belongs to no step (PS3.3 C.7.6.5.1.2); N - 1 entries are the steps."""
    assert times(FrameTimeVector=vector, FrameIncrementPointer=FRAME_TIME_VECTOR, FrameTime=None) == [
        0,
        30,
        70,
        120,
        180,
    ]


def test_a_vector_of_times_since_the_first_frame_is_taken_for_that() -> None:
    """Taken for steps, twelve frames would last 2.2 s in place of 0.37 s."""
    since_first = [str(step * 33.0) for step in range(12)]

    assert times(12, FrameTimeVector=since_first, FrameTime=None)[-2:] == [330, 363]


def test_the_frame_increment_pointer_decides_between_both() -> None:
    """Frame Time is used where it is pointed at, though there is a vector."""
    both = {"FrameTime": "40", "FrameTimeVector": ["0", "39", "41", "40", "41"]}

    assert times(**both, FrameIncrementPointer=FRAME_TIME)[1] == 40
    assert times(**both, FrameIncrementPointer=FRAME_TIME_VECTOR)[1] == 39
    assert times(**both, FrameIncrementPointer=None)[1] == 39


@pytest.mark.parametrize(
    "vector",
    [["0", "40", "40"], ["0", "40", "0", "40", "40"], ["0", "40", "-40", "40", "40"], ["0", "40", "9999", "4", "4"]],
)
def test_an_impossible_vector_is_not_used(vector: list[str]) -> None:
    """A wrong length, or steps that are no time, leave the decision to the next element."""
    assert times(FrameTimeVector=vector, FrameIncrementPointer=FRAME_TIME_VECTOR, FrameTime="25")[-1] == 100


@pytest.mark.parametrize("keyword", ["CineRate", "RecommendedDisplayFrameRate"])
def test_a_rate_stands_in_for_a_frame_time(keyword: str) -> None:
    """Frames per second."""
    assert times(FrameTime=None, **{keyword: 50}) == [0, 20, 40, 60, 80]


def test_cine_rate_comes_before_the_display_rate() -> None:
    """The rate of acquisition, rather than that of display."""
    assert times(FrameTime=None, CineRate=50, RecommendedDisplayFrameRate=25)[1] == 20


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"FrameTime": None}, "no element tells the time between frames"),
        ({"FrameTime": "0"}, "Frame Time (0018,1063) is 0"),
        ({"FrameTime": "0.033"}, "Frame Time (0018,1063) is 0.033"),
        ({"FrameTime": None, "CineRate": 0}, "Cine Rate (0018,0040) is 0"),
    ],
)
def test_a_clip_without_a_possible_frame_time_is_refused(changes: dict[str, Any], detail: str) -> None:
    """Never assume one."""
    error = refusal(lambda: timing(**changes))

    assert error.reason is Reason.NO_FRAME_TIME
    assert detail in error.detail


@pytest.mark.parametrize(("rate", "disagrees"), [(30, False), (28, False), (25, True), (60, True)])
def test_a_rate_that_disagrees_is_noted(rate: int, disagrees: bool) -> None:
    """More than 10 %; Frame Time is used."""
    result = timing(FrameTime="33.333", CineRate=rate)

    assert [note.flag for note in result.notes] == [Flag.FRAME_TIME_DISAGREES] * disagrees
    assert result.frame_times_ms[1] == pytest.approx(33.333)


@pytest.mark.parametrize(("value", "expected"), [(62, 62), (None, None), (0, None), (19, None), (400, None)])
def test_the_heart_rate_is_the_machines_or_absent(value: int | None, expected: int | None) -> None:
    """0 is how a machine without ECG says that it has none."""
    assert timing(HeartRate=value).heart_rate_bpm == expected


def test_r_waves_outside_the_clip_are_left_out() -> None:
    """The clip is 160 ms long."""
    assert timing(FrameTime="40", RWaveTimeVector=[150.0, -20.0, 10.5, 900.0]).r_wave_times_ms == (10.5, 150.0)
    assert timing(RWaveTimeVector=None).r_wave_times_ms == ()


@given(steps=st.lists(st.floats(1.5, 400), min_size=1, max_size=40))
def test_times_begin_at_zero_and_increase(steps: list[float]) -> None:
    """Whatever possible vector a machine sends."""
    vector = [0.0, *(round(step, 3) for step in steps)]
    result = timing(len(vector), FrameTimeVector=vector, FrameIncrementPointer=FRAME_TIME_VECTOR, FrameTime=None)

    assert result.frame_times_ms[0] == 0
    assert np.all(np.diff(result.frame_times_ms) > 0)
    assert len(result.frame_times_ms) == len(vector)
