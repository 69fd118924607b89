"""The web side of the node: what a monitor asks for, the status page, and the thread that serves both."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from echo_scp.config import WebConfig
from echo_scp.errors import ConfigurationError
from echo_scp.web.guard import SecurityHeaders
from echo_scp.web.monitor import Checks, Monitor
from echo_scp.web.pages import PageParts, Pages

STOP_S = 5  # for answers in hand
MOST_CONNECTIONS = 200  # descriptors are for the receiver first; further ones are answered with 503


class WebApp:
    """The application; `close` ends its threads and what is being decoded for it."""

    def __init__(self, refresh: Callable[[], None], checks: Checks, page: PageParts | None = None) -> None:
        """Serve the monitor's routes, and those of the page where its parts are given."""
        self._monitor = Monitor(refresh, checks)
        self._pages = None if page is None else Pages(page)
        routes: list[BaseRoute] = [*self._monitor.routes()]
        handlers = {} if self._pages is None else dict(self._pages.handlers())
        if self._pages is not None:
            routes += self._pages.routes()
        self.asgi = Starlette(
            routes=routes,
            middleware=[Middleware(SecurityHeaders)],
            exception_handlers=handlers,
        )

    def close(self) -> None:
        """Answer nothing that needs time any more."""
        if self._pages is not None:
            self._pages.close()
        self._monitor.close()


class WebThread:
    """uvicorn in a thread of the node; the node keeps the signals."""

    def __init__(self, app: WebApp, config: WebConfig) -> None:
        """Bind the port; raises OSError when it cannot be had, ConfigurationError for a certificate that is none."""
        self._app = app
        self._server = uvicorn.Server(
            uvicorn.Config(
                app.asgi,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                proxy_headers=False,  # anyone may write those
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=STOP_S,
                ssl_certfile=config.certificate,
                ssl_keyfile=config.key,
            )
        )
        try:
            self._server.config.load()
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"web.certificate, web.key: expected a PEM pair without password: {error}"
            ) from None
        self._socket = socket.create_server((config.address, config.port))
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
        self._app.close()
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
