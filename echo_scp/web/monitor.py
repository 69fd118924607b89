"""What a monitor asks for: /metrics, /healthz (the process lives), /readyz (it can receive, analyse and deliver).

They answer within seconds, whatever the database and the pages are doing: they have threads of their own, wait
for the state only so long, and then answer with what is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from echo_scp.metrics import render

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE_S = 2.0
Checks = Mapping[str, Callable[[], bool]]
T = TypeVar("T")


class Question(Generic[T]):
    """Something that may take long to find out: asked once at a time, in a thread of its own."""

    def __init__(self, name: str, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pending: Future[T] | None = None

    async def answer(self, patience_s: float) -> T | None:
        """Return the answer to a question asked now or one still open; None when it takes longer than `patience_s`."""
        if self._pending is None or self._pending.done():
            self._pending = self._thread.submit(self._ask)
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._pending)), patience_s)
        return None

    def close(self) -> None:
        """Ask no more; what is asked at the moment ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Monitor:
    """The three routes. `refresh` sets the gauges before a scrape, `checks` are what readiness means."""

    def __init__(self, refresh: Callable[[], None], checks: Checks, patience_s: float = PATIENCE_S) -> None:
        self._refreshed = Question("web-refresh", refresh)
        self._text = Question("web-metrics", render)
        self._checks = {name: Question(f"web-check-{name}", check) for name, check in checks.items()}
        self._patience_s = patience_s

    def routes(self) -> list[Route]:
        """Return /metrics, /healthz and /readyz."""
        return [
            Route("/metrics", self._metrics),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
        ]

    def close(self) -> None:
        """End the threads."""
        self._refreshed.close()
        self._text.close()
        for check in self._checks.values():
            check.close()

    async def _metrics(self, request: Request) -> Response:
        await self._refreshed.answer(self._patience_s)
        text = await self._text.answer(10 * self._patience_s)
        if text is None:
            return PlainTextResponse("the metrics cannot be read at the moment\n", status_code=503)
        return Response(text, headers={"content-type": METRICS_CONTENT_TYPE})

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, request: Request) -> Response:
        answers = await asyncio.gather(*(check.answer(self._patience_s) for check in self._checks.values()))
        states = {name: answer is True for name, answer in zip(self._checks, answers, strict=True)}
        return JSONResponse(states, status_code=200 if all(states.values()) else 503)
