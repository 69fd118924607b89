"""The graphics processor behind a small interface: memory, copies, streams, graphs; one adapter per CUDA binding."""

from __future__ import annotations

import ctypes
import importlib
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from echo_scp.errors import GpuError, GpuFault

DRIVER_LIBRARY = "libcuda.so.1"
_DRIVER_VERSION_FILE = Path("/proc/driver/nvidia/version")
# CUdevice_attribute of cuda.h
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76
_CUDA_ERROR_NO_DEVICE = 100

Address = int  # in the device's memory
Stream = int  # a CUstream handle, as TensorRT takes it
HostBytes = NDArray[np.uint8]  # (size,) page-locked, so that copies need no detour
Work = Callable[[], None]


@dataclass(frozen=True, slots=True)
class GpuIdentity:
    """What a plan is built for."""

    name: str
    compute_capability: tuple[int, int]
    driver: str


class Device(Protocol):
    """One GPU in its primary context, which TensorRT uses too. Raises GpuError; used by one thread at a time."""

    def current(self) -> AbstractContextManager[None]:
        """Make the context that of the calling thread; everything below happens inside."""
        ...

    def allocate(self, size_bytes: int) -> Address:
        """Take device memory, aligned to 256 bytes; given back by `close`."""
        ...

    def pin(self, size_bytes: int) -> HostBytes:
        """Take page-locked host memory; valid until `close`."""
        ...

    def stream(self) -> Stream:
        """Return a new queue of work; queues run beside each other."""
        ...

    def copy_in(self, target: Address, source: HostBytes, stream: Stream) -> None:
        """Queue a copy to the device; `source` must not change until `synchronise`."""
        ...

    def copy_out(self, target: HostBytes, source: Address, stream: Stream) -> None:
        """Queue a copy from the device; `target` is filled when `synchronise` returns."""
        ...

    def capture(self, enqueue: Work, stream: Stream) -> Work:
        """Return what launches the work that `enqueue` puts on `stream`, as one graph where the binding has graphs."""
        ...

    def synchronise(self, stream: Stream) -> None:
        """Wait until the work on `stream` is done."""
        ...

    def close(self) -> None:
        """Give everything back; called once, outside `current`."""
        ...


def open_device() -> Device:
    """Return GPU 0 (as CUDA_VISIBLE_DEVICES numbers them) through cuda-bindings, else through pycuda.

    The driver must have answered `probe_gpu` before: some bindings crash without one.
    """
    for module, adapter in (("cuda_bindings", "CudaBindingsDevice"), ("pycuda", "PycudaDevice")):
        try:
            device: Device = getattr(importlib.import_module(f"echo_scp.inference.{module}"), adapter)()
        except ImportError:
            continue
        return device
    raise GpuError(GpuFault.NO_RUNTIME, "neither cuda-bindings nor pycuda is installed")


def probe_gpu(load_library: Callable[[str], Any] = ctypes.CDLL) -> GpuIdentity:
    """Ask the driver itself, through ctypes, which GPU there is; raises GpuError when there is none."""
    try:
        driver = load_library(DRIVER_LIBRARY)
    except OSError as error:
        raise GpuError(GpuFault.NO_DRIVER, f"NVIDIA's driver is not here ({error})") from None
    _check(driver.cuInit(0), "cuInit")
    number, capability, cuda = ctypes.c_int(), (ctypes.c_int(), ctypes.c_int()), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    _check(driver.cuDeviceGet(ctypes.byref(number), 0), "cuDeviceGet")
    _check(driver.cuDeviceGetName(name, len(name), number), "cuDeviceGetName")
    for value, attribute in zip(capability, (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR), strict=True):
        _check(driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, number), "cuDeviceGetAttribute")
    _check(driver.cuDriverGetVersion(ctypes.byref(cuda)), "cuDriverGetVersion")
    return GpuIdentity(
        name=name.value.decode(),
        compute_capability=(capability[0].value, capability[1].value),
        driver=f"{_kernel_driver()} CUDA {cuda.value // 1000}.{cuda.value % 1000 // 10}".strip(),
    )


def _check(status: int, call: str) -> None:
    if status == 0:
        return
    fault = GpuFault.NO_GPU if status == _CUDA_ERROR_NO_DEVICE else GpuFault.NO_DRIVER
    raise GpuError(fault, f"{call} answered CUDA error {status}")


def _kernel_driver() -> str:
    """Return the kernel module's version; empty where a sandbox hides it (the CUDA version then stands alone)."""
    try:
        text = _DRIVER_VERSION_FILE.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", text)
    return found[0] if found else ""
