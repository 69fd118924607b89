"""The device interface over pycuda, for sites that have it; it knows no CUDA graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pycuda.driver as cuda

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.device import Address, HostBytes, Stream, Work


class PycudaDevice:
    """GPU 0 in its primary context, retained as pycuda.autoprimaryctx does, but bound to no thread."""

    def __init__(self) -> None:
        with _translated():
            cuda.init()
            self._context = cuda.Device(0).retain_primary_context()
        self._memory: list[Any] = []
        self._streams: dict[Stream, Any] = {}

    @contextmanager
    def current(self) -> Iterator[None]:
        """Push the primary context on the calling thread, pop it afterwards."""
        with _translated():
            self._context.push()
        try:
            yield
        finally:
            with _translated():
                cuda.Context.pop()

    def allocate(self, size_bytes: int) -> Address:
        with _translated():
            allocation = cuda.mem_alloc(size_bytes)
        self._memory.append(allocation)
        return int(allocation)

    def pin(self, size_bytes: int) -> HostBytes:
        with _translated():
            array: HostBytes = cuda.pagelocked_empty(size_bytes, np.uint8)
        self._memory.append(array.base)
        return array

    def stream(self) -> Stream:
        with _translated():
            stream = cuda.Stream()
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def copy_in(self, target: Address, source: HostBytes, stream: Stream) -> None:
        with _translated():
            cuda.memcpy_htod_async(target, source, self._streams[stream])

    def copy_out(self, target: HostBytes, source: Address, stream: Stream) -> None:
        with _translated():
            cuda.memcpy_dtoh_async(target, source, self._streams[stream])

    def capture(self, enqueue: Work, stream: Stream) -> Work:
        """Warm up, and return `enqueue` itself: pycuda cannot record graphs."""
        enqueue()
        self.synchronise(stream)
        return enqueue

    def synchronise(self, stream: Stream) -> None:
        with _translated():
            self._streams[stream].synchronize()

    def close(self) -> None:
        with self.current(), _translated():
            self._streams.clear()
            for memory in reversed(self._memory):
                memory.free()
            self._memory.clear()
        with _translated():
            self._context.detach()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except cuda.MemoryError as error:
        raise GpuError(GpuFault.OUT_OF_MEMORY, f"pycuda: {error}") from error
    except cuda.Error as error:
        raise GpuError(GpuFault.EXECUTION_FAILED, f"pycuda: {error}") from error
