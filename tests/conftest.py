"""What tests of several folders share: DCMTK as the other side, free ports, whether there is a GPU."""

from __future__ import annotations

import gc
import shutil
import socket
import subprocess
import warnings
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from hypothesis import settings

from echo_scp.errors import GpuError
from echo_scp.inference.building import load_tensorrt
from echo_scp.inference.device import open_device, probe_gpu

# A loaded machine makes a slow example, not a wrong one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Dcmtk = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none, with the reason."""
    if item.get_closest_marker("gpu") is not None and (reason := _why_no_gpu()):
        pytest.skip(reason)


@cache
def _why_no_gpu() -> str:
    try:
        probe_gpu()
        load_tensorrt()
        open_device().close()
    except GpuError as error:
        return f"no GPU for this test: {error.detail}"
    return ""


@pytest.fixture(autouse=True, scope="module")
def sockets_end_with_their_module(request: pytest.FixtureRequest) -> Iterator[None]:
    """What pynetdicom leaves open, in cycles, is collected where it is ignored, not in a test of another module."""
    yield
    marks = getattr(request.module, "pytestmark", [])
    if any("unclosed" in str(mark.args) for mark in (marks if isinstance(marks, list) else [marks])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@pytest.fixture
def dcmtk() -> Dcmtk:
    """Run a DCMTK tool: `dcmtk("storescu", ...)` returns the completed process."""
    if shutil.which("storescu") is None:
        pytest.skip("DCMTK is not installed: apt-get install dcmtk")

    def run(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [tool, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
