"""What a monitor asks for: /metrics, /healthz (the process lives), /readyz (it can receive, analyse and deliver)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from echo_scp.config import WebConfig
from echo_scp.metrics import render

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Checks = Mapping[str, Callable[[], bool]]


def build_app(refresh: Callable[[], None], checks: Checks) -> Starlette:
    """Return the application; `refresh` sets the gauges before a scrape, `checks` are what readiness means."""

    def metrics(request: Request) -> Response:
        refresh()
        return Response(render(), headers={"content-type": METRICS_CONTENT_TYPE})

    def healthz(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(request: Request) -> Response:
        states = {name: check() for name, check in checks.items()}
        return JSONResponse(states, status_code=200 if all(states.values()) else 503)

    return Starlette(routes=[Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)])


class WebThread:
    """uvicorn in a thread of the node; the node keeps the signals."""

    def __init__(self, app: Starlette, config: WebConfig) -> None:
        """Bind the port; raises OSError when it cannot be had."""
        self._socket = socket.create_server((config.address, config.port))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="web", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Begin to answer; the port is bound already."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the answers in hand and end the thread."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
