"""Work on several things at once within a bound of memory, and hand the results on in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Budget:
    """So many bytes may be held at once, over all threads; who asked first is served first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()

    @contextmanager
    def hold(self, wanted_bytes: int) -> Iterator[None]:
        """Wait until the bytes are free, and hold them during the block; more than there are waits to be alone.

        A holder must not ask again: two that wait for each other would wait for ever.
        """
        amount = min(wanted_bytes, self._limit)
        self._acquire(amount)
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()

    def _acquire(self, amount: int) -> None:
        place = object()
        with self._changed:
            self._queue.append(place)
            try:
                self._changed.wait_for(lambda: self._queue[0] is place and self._held + amount <= self._limit)
                self._held += amount
            finally:
                self._queue.remove(place)
                self._changed.notify_all()


def each_in_order(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int, name: str
) -> Iterator[Result]:
    """Yield `function(item)` in the order of the items, computed ahead in threads that share the caller's log context.

    The first error is raised in its turn; what has not begun by then does not begin.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    futures = [pool.submit(copy_context().run, function, item) for item in items]
    try:
        for future in futures:
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
