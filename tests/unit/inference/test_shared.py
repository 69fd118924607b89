"""One engine for several threads: what runs together never changes an answer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_scp.errors import EngineError
from echo_scp.inference.shared import SharedEngine
from tests.unit.fakes import FakeEngine, make_manifest


def numbered(numbers):
    """Return frames (N, 1, 1, 1) that carry their number."""
    return np.array(numbers, dtype=np.float32).reshape(-1, 1, 1, 1)


def make_engine(answer=lambda batch: batch * 2, at_once=1):
    return FakeEngine(make_manifest("segmentation"), answer, at_once)


class Gate:
    """Holds the engine's first run until `others` more callers wait."""

    def __init__(self, engine, shared_after):
        self._run, self._shared_after = engine.run, shared_after
        self._first = True
        self.shared = None
        engine.run = self.run

    def run(self, batch):
        if self._first:
            self._first = False
            while len(self.shared._waiting) < self._shared_after:
                threading.Event().wait(0.001)
        return self._run(batch)


def make_requests(sizes):
    """Return batches of these sizes whose frames are numbered throughout."""
    ends = np.cumsum(sizes)
    return [numbered(range(end - size, end)) for size, end in zip(sizes, ends, strict=True)]


def ask_together(engine, requests, batch_frames):
    """Ask from a thread per request, all of them while the first one runs; return the answers or errors."""
    gate = Gate(engine, len(requests) - 1)
    shared = gate.shared = SharedEngine(engine, batch_frames)
    with ThreadPoolExecutor(len(requests)) as pool:
        futures = [pool.submit(shared.run, request) for request in requests]
    return [future.exception() or future.result() for future in futures]


@given(st.lists(st.integers(1, 9), min_size=2, max_size=8), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_everybody_gets_the_answer_to_his_own_frames(sizes, batch_frames):
    """However requests are put together; no call is larger than configured unless a single request is."""
    engine, requests = make_engine(), make_requests(sizes)

    answers = ask_together(engine, requests, batch_frames)

    assert all(np.array_equal(answer, request * 2) for request, answer in zip(requests, answers, strict=True))
    assert all(len(batch) <= max(batch_frames, *sizes) for batch in engine.batches)
    assert sum(map(len, engine.batches)) == sum(sizes)


def test_what_waits_runs_together():
    """While one clip's frames run, those of others gather."""
    engine = make_engine()

    ask_together(engine, make_requests([4, 2, 2, 2, 2]), 6)

    assert [len(batch) for batch in engine.batches] == [4, 6, 2]


def test_pictures_of_other_shapes_wait_for_their_own_turn():
    """They cannot be stacked; nobody's place in the queue changes."""
    engine = make_engine()
    wide, tall = (np.ones((2, 1, *sides), dtype=np.float32) for sides in ((1, 2), (2, 1)))

    answers = ask_together(engine, [wide, wide, wide, tall, tall, wide], 100)

    assert [answer.shape[2:] for answer in answers] == [(1, 2), (1, 2), (1, 2), (2, 1), (2, 1), (1, 2)]
    assert sum(map(len, engine.batches)) == 12


def test_only_who_is_to_blame_gets_the_error():
    """Frames that the engine cannot take spoil nobody else's."""

    def refuse_seven(batch):
        if 7 in batch:
            raise EngineError("seven")
        return batch * 2

    requests = make_requests([2, 2, 2, 3, 2])
    answers = ask_together(make_engine(refuse_seven), requests, 100)

    assert isinstance(answers[3], EngineError)
    kept = [index for index in range(5) if index != 3]
    assert all(np.array_equal(answers[index], requests[index] * 2) for index in kept)


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_as_many_threads_are_in_the_engine_as_it_takes(at_once):
    """A GPU's context and a plan are not made for two; a processor's cores are."""
    inside, most, lock = 0, 0, threading.Lock()

    def answer(batch):
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        threading.Event().wait(0.002)
        with lock:
            inside -= 1
        return batch * 2

    shared = SharedEngine(make_engine(answer, at_once), 2)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda number: shared.run(numbered([number, number])), range(60)))

    assert most == at_once
    assert [answer.ravel().tolist() for answer in answers] == [[2 * number] * 2 for number in range(60)]


def test_the_engine_behind_it_shows_through():
    """Manifest, identity and close are the engine's own."""
    engine = make_engine()
    closed = []
    engine.close = lambda: closed.append(True)
    shared = SharedEngine(engine, 4)

    shared.close()

    assert shared.manifest is engine.manifest
    assert shared.identity == engine.identity
    assert closed == [True]
    with pytest.raises(AttributeError):
        SharedEngine(None, 4).run(numbered([1]))
