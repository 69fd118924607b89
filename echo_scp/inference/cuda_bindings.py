"""The device interface over cuda-bindings: wheels everywhere, CUDA graphs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import structlog
from cuda.bindings import driver as cuda

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.device import Address, HostBytes, Stream, Work

log = structlog.get_logger(__name__)


class CudaBindingsDevice:
    """GPU 0 in its primary context."""

    def __init__(self) -> None:
        call(cuda.cuInit, 0)
        self._number = call(cuda.cuDeviceGet, 0)
        self._context = call(cuda.cuDevicePrimaryCtxRetain, self._number)
        self._held = ExitStack()  # closed in the reverse order of taking

    @contextmanager
    def current(self) -> Iterator[None]:
        """Push the primary context on the calling thread, pop it afterwards."""
        call(cuda.cuCtxPushCurrent, self._context)
        try:
            yield
        finally:
            call(cuda.cuCtxPopCurrent)

    def allocate(self, size_bytes: int) -> Address:
        pointer = call(cuda.cuMemAlloc, size_bytes)
        self._held.callback(call, cuda.cuMemFree, pointer)
        return int(pointer)

    def pin(self, size_bytes: int) -> HostBytes:
        pointer = int(call(cuda.cuMemHostAlloc, size_bytes, 0))
        self._held.callback(call, cuda.cuMemFreeHost, pointer)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size_bytes).from_address(pointer))

    def stream(self) -> Stream:
        stream = call(cuda.cuStreamCreate, int(cuda.CUstream_flags.CU_STREAM_NON_BLOCKING))
        self._held.callback(call, cuda.cuStreamDestroy, stream)
        return int(stream)

    def copy_in(self, target: Address, source: HostBytes, stream: Stream) -> None:
        call(cuda.cuMemcpyHtoDAsync, target, source.ctypes.data, source.nbytes, stream)

    def copy_out(self, target: HostBytes, source: Address, stream: Stream) -> None:
        call(cuda.cuMemcpyDtoHAsync, target.ctypes.data, source, target.nbytes, stream)

    def capture(self, enqueue: Work, stream: Stream) -> Work:
        """Record `enqueue` into a graph, after a warm-up that lets the network allocate and choose outside of it.

        A network that cannot be recorded is queued each time.
        """
        enqueue()
        self.synchronise(stream)
        try:
            executable = self._record(enqueue, stream)
        except GpuError as error:
            log.info("graph.refused", detail=error.detail)
            return enqueue
        self._held.callback(call, cuda.cuGraphExecDestroy, executable)
        return lambda: call(cuda.cuGraphLaunch, executable, stream)

    def synchronise(self, stream: Stream) -> None:
        call(cuda.cuStreamSynchronize, stream)

    def _record(self, enqueue: Work, stream: Stream) -> Any:  # noqa: ANN401 - a CUgraphExec
        # Thread-local: what other threads do with CUDA meanwhile does not break the recording.
        call(cuda.cuStreamBeginCapture, stream, cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)
        try:
            enqueue()
        finally:
            graph = call(cuda.cuStreamEndCapture, stream)
        executable = call(cuda.cuGraphInstantiate, graph, 0)
        call(cuda.cuGraphDestroy, graph)
        return executable

    def close(self) -> None:
        with self.current():
            self._held.close()
        call(cuda.cuDevicePrimaryCtxRelease, self._number)


def call(function: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401 - CUDA handles of many types
    """Call the driver and return what it gives beside the status; raises GpuError when the status is not success."""
    try:
        status, *values = function(*arguments)
    except RuntimeError as error:  # the binding could not load the driver
        raise GpuError(GpuFault.NO_DRIVER, f"{function.__name__}: {error}") from error
    if status == cuda.CUresult.CUDA_SUCCESS:
        return values[0] if values else None
    fault = GpuFault.EXECUTION_FAILED
    if status == cuda.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
        fault = GpuFault.OUT_OF_MEMORY
    elif status == cuda.CUresult.CUDA_ERROR_NO_DEVICE:
        fault = GpuFault.NO_GPU
    raise GpuError(fault, f"{function.__name__}: {cuda.CUresult(status).name}")
