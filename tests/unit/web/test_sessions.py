"""Logins end, and are not tried for ever."""

from __future__ import annotations

import pytest

from echo_scp.web.sessions import (
    ATTEMPTS_BY_ADDRESS,
    ATTEMPTS_BY_NAME,
    LONGEST_S,
    MOST_SESSIONS,
    WINDOW_S,
    Attempts,
    Sessions,
)
from echo_scp.web.users import User

ANN = User("ann", "hash")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_session_is_found_by_its_secret_alone(clock):
    """Two logins of one user have their own secrets and form tokens."""
    sessions = Sessions(60, clock)
    first, second = sessions.begin(ANN), sessions.begin(ANN)

    assert sessions.find(first).user == ANN
    assert sessions.find(first).form_token != sessions.find(second).form_token
    assert sessions.find("") is None
    assert sessions.find(first + "x") is None


def test_a_session_ends_when_it_is_not_used(clock):
    """Each use counts from anew."""
    sessions = Sessions(60, clock)
    secret = sessions.begin(ANN)
    clock.now += 59
    assert sessions.find(secret) is not None
    clock.now += 61

    assert sessions.find(secret) is None


def test_a_session_ends_however_busy_it_is(clock):
    """A stolen cookie is not for ever."""
    sessions = Sessions(1e9, clock)
    secret = sessions.begin(ANN)
    clock.now += LONGEST_S + 1

    assert sessions.find(secret) is None


def test_who_logs_out_is_out(clock):
    """The other sessions stay."""
    sessions = Sessions(60, clock)
    first, second = sessions.begin(ANN), sessions.begin(ANN)
    sessions.end(first)

    assert sessions.find(first) is None
    assert sessions.find(second) is not None


def test_sessions_are_bounded(clock):
    """The longest unused makes room."""
    sessions = Sessions(60, clock)
    first = sessions.begin(ANN)
    secrets = [sessions.begin(ANN) for _ in range(MOST_SESSIONS)]

    assert sessions.find(first) is None
    assert sessions.find(secrets[0]) is not None


def test_an_address_that_fails_often_has_to_wait(clock):
    """Others may go on, also under the same name."""
    attempts = Attempts(clock)
    for _ in range(ATTEMPTS_BY_ADDRESS):
        assert attempts.wait_s("10.0.0.1", "ann") == 0
        attempts.failed("10.0.0.1", "ann")

    assert attempts.wait_s("10.0.0.1", "bob") == pytest.approx(WINDOW_S)
    assert attempts.wait_s("10.0.0.2", "ann") == 0
    clock.now += WINDOW_S + 1
    assert attempts.wait_s("10.0.0.1", "ann") == 0


def test_a_name_that_fails_from_many_addresses_has_to_wait(clock):
    """A crowd does not get more tries at one name."""
    attempts = Attempts(clock)
    for number in range(ATTEMPTS_BY_NAME):
        attempts.failed(f"10.0.0.{number}", "ann")

    assert attempts.wait_s("10.0.1.1", "ann") > 0
    assert attempts.wait_s("10.0.1.1", "bob") == 0
