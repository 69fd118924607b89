"""One engine for several threads: what waits, of whichever clip or study, runs together."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from contextlib import ExitStack

import numpy as np

from echo_scp.inference.engine import Batch, Engine
from echo_scp.inference.manifest import Manifest
from echo_scp.model import EngineIdentity


class _Request:
    """The frames of one caller, and their logits when it was their turn."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.answer: Future[Batch] = Future()


class SharedEngine:
    """An engine, safe to use from any thread, that takes the oldest waiting requests up to `batch_frames` at once.

    It has no thread of its own: whoever has a turn serves everybody who waits, itself among them. There are as many
    turns as the engine takes threads at once.
    """

    def __init__(self, engine: Engine, batch_frames: int) -> None:
        self._engine = engine
        self._batch_frames = batch_frames
        self._turns = threading.Semaphore(engine.at_once)
        self._waiting: deque[_Request] = deque()
        self._taking = threading.Lock()  # anybody appends to what waits; one at a time takes away

    @property
    def manifest(self) -> Manifest:
        return self._engine.manifest

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    @property
    def at_once(self) -> int:
        return self._engine.at_once

    def run(self, batch: Batch) -> Batch:
        """Return the logits of `batch`; raises what the engine raises for it."""
        request = _Request(batch)
        self._waiting.append(request)
        with self._turns:
            while not request.answer.done() and (taken := self._take()):
                self._serve(taken)
        return request.answer.result()  # when nothing waits, it is in the hands of another who had a turn

    def close(self) -> None:
        """Close the engine when the last thread has left it."""
        with ExitStack() as all_turns:
            for _ in range(self._engine.at_once):
                all_turns.enter_context(self._turns)
            self._engine.close()

    def _take(self) -> list[_Request]:
        """Return the oldest requests that fit together; at least one if there is any."""
        taken: list[_Request] = []
        with self._taking:
            while self._waiting and (not taken or self._fits(taken, self._waiting[0].batch)):
                taken.append(self._waiting.popleft())
        return taken

    def _fits(self, taken: list[_Request], batch: Batch) -> bool:
        frames = sum(len(request.batch) for request in taken)
        return frames + len(batch) <= self._batch_frames and batch.shape[1:] == taken[0].batch.shape[1:]

    def _serve(self, requests: list[_Request]) -> None:
        """Answer the requests together; where that fails one by one, so that only the guilty gets its error."""
        try:
            answers = self._run_together([request.batch for request in requests])
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that asked
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
                return
            for request in requests:
                self._serve([request])
            return
        for request, answer in zip(requests, answers, strict=True):
            request.answer.set_result(answer)

    def _run_together(self, batches: list[Batch]) -> list[Batch]:
        if len(batches) == 1:
            return [self._engine.run(batches[0])]
        ends = np.cumsum([len(batch) for batch in batches])
        return np.split(self._engine.run(np.concatenate(batches)), ends[:-1])
