"""Warnings are silenced for all threads that read, and come back when the last one is done."""

from __future__ import annotations

import threading
import warnings

import pytest

from echo_scp.decode.quiet import quiet


def test_warnings_come_back_after_the_block():
    """Also when the block fails."""

    def fail():
        with quiet():
            warnings.warn("odd value", UserWarning, stacklevel=1)
            raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()

    with pytest.warns(UserWarning, match="odd value"):
        warnings.warn("odd value", UserWarning, stacklevel=1)


def test_a_thread_that_ends_does_not_disturb_one_that_reads():
    """Python's own context manager would restore the filters under the other thread."""
    first_is_in, second_is_out = threading.Event(), threading.Event()
    errors = []

    def first():
        with quiet():
            first_is_in.set()
            second_is_out.wait(10)
            try:
                warnings.warn("odd value", UserWarning, stacklevel=1)
            except UserWarning as error:
                errors.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with quiet():
            thread = threading.Thread(target=first)
            thread.start()
            first_is_in.wait(10)
        second_is_out.set()
        thread.join()
        after = list(warnings.filters)

    assert errors == []
    assert after == before
