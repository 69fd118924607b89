"""https in front of a server that speaks http, as reverse proxies do.

Orthanc 1.10.1 of Debian 12 ends with a segmentation fault at the first request over its own https.
"""

from __future__ import annotations

import asyncio
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from scripts.interop.credentials import Credentials, server

_CHUNK_BYTES = 65536


@contextmanager
def https_before(http_port: int, tls: Credentials) -> Iterator[int]:
    """Yield a port of this machine where clients with a certificate reach what listens on `http_port`."""

    async def connect(reader: StreamReader, writer: StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", http_port)
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="https-proxy", daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(connect, "127.0.0.1", 0, ssl=server(tls)), loop
    ).result()
    try:
        yield int(listening.sockets[0].getsockname()[1])
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _copy(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()
