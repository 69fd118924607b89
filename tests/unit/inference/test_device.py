"""The way to the GPU: asked of the driver first, then through a binding; without one, an error that says what to do."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from echo_scp.errors import GpuError, GpuFault
from echo_scp.inference.device import open_device, probe_gpu

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class FakeDriver:
    """Answers as libcuda does: a status, and values through pointers."""

    def __init__(self, **statuses: int) -> None:
        self._statuses = statuses

    def cuInit(self, flags):
        return self._statuses.get("cuInit", 0)

    def cuDeviceGet(self, device, ordinal):
        device._obj.value = ordinal
        return self._statuses.get("cuDeviceGet", 0)

    def cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA Test"
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 9, 76: 0}[attribute]
        return 0

    def cuDriverGetVersion(self, version):
        version._obj.value = 13020
        return 0


def test_the_driver_tells_what_a_plan_depends_on():
    """Name, compute capability and driver."""
    gpu = probe_gpu(lambda name: FakeDriver())

    assert (gpu.name, gpu.compute_capability) == ("NVIDIA Test", (9, 0))
    assert gpu.driver.endswith("CUDA 13.2")


def test_a_machine_without_a_driver_is_told_to_install_one():
    """The library is not there."""

    def load(name):
        raise OSError(f"{name}: cannot open shared object file")

    with pytest.raises(GpuError, match=r"libcuda\.so\.1.*install NVIDIA's driver") as caught:
        probe_gpu(load)

    assert caught.value.fault is GpuFault.NO_DRIVER


@pytest.mark.parametrize(
    ("call", "status", "fault"),
    [
        ("cuInit", 100, GpuFault.NO_GPU),
        ("cuDeviceGet", 100, GpuFault.NO_GPU),
        ("cuInit", 803, GpuFault.NO_DRIVER),
        ("cuInit", 999, GpuFault.NO_DRIVER),
    ],
)
def test_a_driver_that_refuses_is_told_by_its_call_and_status(call, status, fault):
    """100 is CUDA_ERROR_NO_DEVICE, 803 a driver that does not fit its kernel module."""
    with pytest.raises(GpuError, match=f"{call} answered CUDA error {status}") as caught:
        probe_gpu(lambda name: FakeDriver(**{call: status}))

    assert caught.value.fault is fault


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_the_real_probe_of_a_machine_without_a_gpu_is_a_typed_error():
    """Whether or not some driver library lies around."""
    with pytest.raises(GpuError) as caught:
        probe_gpu()

    assert caught.value.fault in {GpuFault.NO_DRIVER, GpuFault.NO_GPU}


def test_no_binding_is_a_typed_error_that_names_both(monkeypatch):
    """The extra 'gpu' brings cuda-bindings."""
    monkeypatch.setitem(sys.modules, "echo_scp.inference.cuda_bindings", None)
    monkeypatch.setitem(sys.modules, "echo_scp.inference.pycuda", None)

    with pytest.raises(GpuError, match="cuda-bindings nor pycuda") as caught:
        open_device()

    assert caught.value.fault is GpuFault.NO_RUNTIME


@pytest.mark.skipif(Path("/dev/nvidia0").exists(), reason="this machine has a GPU")
def test_cuda_bindings_without_a_driver_is_a_typed_error():
    """The binding is installed, what it binds is not."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed (extra 'gpu')")

    with pytest.raises(GpuError) as caught:
        open_device()

    assert caught.value.fault is GpuFault.NO_DRIVER


SCENARIO = """
import sys
import numpy as np
from echo_scp.errors import GpuError
from echo_scp.inference.device import open_device, probe_gpu

print(probe_gpu().name, probe_gpu().compute_capability)
device = open_device()
print(type(device).__name__)
queued = []
with device.current():
    memory, stream = device.allocate(1000), device.stream()
    source, target = device.pin(1000), device.pin(1000)
    source[:] = np.arange(1000) % 251
    target[:] = 0
    device.copy_in(memory, source[:600], stream)
    device.copy_out(target[:500], memory, stream)
    device.synchronise(stream)
    print((target[:500] == source[:500]).all() and not target[500:].any(), memory % 256)
    launch = device.capture(lambda: queued.append(1), stream)
    print(len(queued))
    launch()
    print(len(queued))
    try:
        device.allocate(1 << 40)
    except GpuError as error:
        print(error.fault)
try:
    device.allocate(10)
except GpuError as error:
    print(error.fault)
device.close()
"""


@pytest.fixture(scope="module")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the stand-in for libcuda.so.1."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for the stand-in of the driver")
    folder = tmp_path_factory.mktemp("driver")
    library = folder / "libcuda.so.1"
    options = ["-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-o", str(library)]
    subprocess.run([compiler, *options, str(HERE / "fake_driver.c"), "-ldl"], check=True, timeout=60)
    return folder


def run_scenario(folder: Path, **environment: str) -> tuple[list[str], list[str]]:
    variables = {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-c", SCENARIO]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_cuda_bindings_moves_bytes_and_records_graphs(driver_folder):
    """The real binding over a stand-in of the driver: every call, its order, and its translation of errors."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed (extra 'gpu')")

    told, calls = run_scenario(driver_folder)

    assert told == [
        "Stand-in GPU (9, 0)",
        "CudaBindingsDevice",
        "True 0",
        "2",  # a warm-up, then the recording
        "2",  # a launch does not queue again
        "out_of_memory",
        "execution_failed",  # outside of `current`
    ]
    assert "launched 0x88 on 0x1000" in calls
    assert calls.index("in 600 on 0x1000") < calls.index("out 500 on 0x1000") < calls.index("synchronised 0x1000")
    assert calls[-6:] == [
        "graph destroyed",
        "host memory freed",
        "host memory freed",
        "stream destroyed",
        "device memory freed",
        "released",
    ]


def test_a_network_that_cannot_be_recorded_is_queued_each_time(driver_folder):
    """Slower, and right."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed (extra 'gpu')")

    told, calls = run_scenario(driver_folder, REFUSE_CAPTURE="1")

    assert [line for line in told if line.isdigit()] == ["1", "2"]
    assert not [line for line in calls if line.startswith("launched")]


class LostError(Exception):
    """The root of pycuda's errors."""


def lost_pycuda() -> ModuleType:
    """Return what stands for `pycuda.driver` on a GPU that is lost: contexts are pushed, everything else fails."""

    def fail(*arguments):
        raise LostError("the context is destroyed")

    driver = ModuleType("pycuda.driver")
    context = SimpleNamespace(push=lambda: None, detach=fail)
    vars(driver).update(
        Error=LostError,
        MemoryError=type("MemoryError", (LostError,), {}),
        init=lambda: None,
        Device=lambda number: SimpleNamespace(retain_primary_context=lambda: context),
        Context=SimpleNamespace(pop=fail),
    )
    return driver


def test_a_lost_gpu_is_a_typed_error_of_pycuda_too(monkeypatch):
    """Also while the thread leaves its context: the node then goes over to the processor."""
    driver = lost_pycuda()
    monkeypatch.setitem(sys.modules, "pycuda", SimpleNamespace(driver=driver))
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    monkeypatch.delitem(sys.modules, "echo_scp.inference.pycuda", raising=False)
    device = importlib.import_module("echo_scp.inference.pycuda").PycudaDevice()
    monkeypatch.delitem(sys.modules, "echo_scp.inference.pycuda")

    with pytest.raises(GpuError, match="the context is destroyed") as caught:
        device.close()

    assert caught.value.fault is GpuFault.EXECUTION_FAILED
