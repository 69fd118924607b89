"""The node as a process of its own, for scripts that show it or try it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 180.0


@contextmanager
def running_node(folder: Path, configuration: str, web_port: int) -> Iterator[None]:
    """Run the node from the moment it is ready; its configuration and its log are in `folder`.

    Raises RuntimeError when it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "node.toml"
    config.write_text(configuration)
    with (folder / "node.log").open("wb") as log:
        command = [sys.executable, "-m", "echo_scp.cli", "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_ready(process, web_port, folder)
        yield
    finally:
        process.terminate()
        process.wait(90)


def _wait_until_ready(process: subprocess.Popen[bytes], web_port: int, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the node did not start; see {folder / 'node.log'}")
