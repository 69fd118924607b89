"""Nothing leaves the machine but to the configured destinations."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LOAD_THE_ENGINES = """\
from echo_scp.config import AnalysisConfig
from echo_scp.inference.catalogue import load_engines
load_engines(AnalysisConfig()).close()
"""


def test_the_runtime_prepares_nothing_to_send_to_its_maker(tmp_path):
    """ONNX Runtime keeps what it is about to send, and an identifier of the machine, in the home folder."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}  # CI alone silences it

    subprocess.run([sys.executable, "-c", LOAD_THE_ENGINES], env=environment, check=True, timeout=120)

    assert list(tmp_path.rglob("*")) == []
