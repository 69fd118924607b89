"""What tests of several folders share: DCMTK as the other side, free ports."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable

import pytest
from hypothesis import settings

# A loaded machine makes a slow example, not a wrong one.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Dcmtk = Callable[..., "subprocess.CompletedProcess[str]"]


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
