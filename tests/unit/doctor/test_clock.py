"""The clock's findings."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from echo_scp.doctor import clock
from echo_scp.doctor.finding import Outcome


def set_clock(monkeypatch, now: float) -> None:
    fake = SimpleNamespace(time=lambda: now, gmtime=clock.time.gmtime, strftime=clock.time.strftime)
    monkeypatch.setattr(clock, "time", fake)


def test_a_clock_before_this_version_fails(monkeypatch):
    """A machine whose battery is empty wakes up in 1970."""
    set_clock(monkeypatch, 0.0)

    (finding,) = clock.examine_clock()

    assert finding.outcome is Outcome.FAILED
    assert "1970" in finding.detail


@pytest.mark.parametrize(
    ("answer", "expected"), [(True, Outcome.PASSED), (False, Outcome.REMARK), (None, Outcome.REMARK)]
)
def test_what_the_kernel_says_of_its_clock_is_told(answer, expected, monkeypatch):
    """A clock that nothing disciplines is worth knowing, and no failure."""
    monkeypatch.setattr(clock, "kernel_is_synchronised", lambda: answer)

    *_, finding = clock.examine_clock()

    assert finding.outcome is expected


def test_the_kernel_can_be_asked():
    """Whatever it says here."""
    assert clock.kernel_is_synchronised() in (True, False, None)
