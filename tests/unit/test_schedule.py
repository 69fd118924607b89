"""Side by side, within a bound, and handed on in order."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_scp.schedule import Budget, each_in_order


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 20), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_no_more_than_the_limit_is_held(amounts, limit, threads):
    """Whatever is asked for; more than there is counts as all there is."""
    budget = Budget(limit)
    held, most = 0, 0
    lock = threading.Lock()

    def work(amount):
        nonlocal held, most
        with budget.hold(amount):
            with lock:
                held += min(amount, limit)
                most = max(most, held)
            with lock:
                held -= min(amount, limit)
        return amount

    assert list(each_in_order(work, amounts, threads, "test")) == amounts
    assert most <= limit


def test_who_asks_first_is_served_first():
    """A large clip is not passed over by small ones for ever."""
    budget = Budget(10)
    served = []
    large_waits = threading.Event()

    def ask(amount, name):
        with budget.hold(amount):
            served.append(name)

    with budget.hold(5):
        large = threading.Thread(target=ask, args=(10, "large"))
        large.start()
        while not budget._queue:
            large_waits.wait(0.001)
        small = threading.Thread(target=ask, args=(5, "small"))
        small.start()
        while len(budget._queue) < 2:
            large_waits.wait(0.001)
    large.join()
    small.join()

    assert served == ["large", "small"]


def test_what_was_held_is_free_after_an_error():
    """A clip that fails takes nothing with it."""
    budget = Budget(10)

    with pytest.raises(ValueError, match="boom"), budget.hold(10):
        raise ValueError("boom")

    with budget.hold(10):
        pass


def test_results_come_in_the_order_of_the_items():
    """The first may be the last to be ready."""
    second_is_ready = threading.Event()

    def work(item):
        if item == 1:
            second_is_ready.wait(10)
        else:
            second_is_ready.set()
        return item

    assert list(each_in_order(work, [1, 2], 2, "test")) == [1, 2]


def test_nothing_begins_after_an_error():
    """The error is raised when it is its turn; what waits does not start."""
    begun = []

    def work(item):
        begun.append(item)
        if item == 0:
            raise ValueError("boom")
        return item

    with pytest.raises(ValueError, match="boom"):
        list(each_in_order(work, range(10_000), 1, "test"))

    assert len(begun) < 10_000


def test_threads_know_the_study_of_their_caller():
    """What is bound to the log of a job is in the lines of its threads."""
    study = ContextVar("study")
    study.set("1.2.3")

    assert list(each_in_order(lambda item: study.get(), [1], 1, "test")) == ["1.2.3"]
