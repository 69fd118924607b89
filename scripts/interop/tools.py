"""The programs of the other side: which are installed, and in which version."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pynetdicom

from scripts.viewer import archive

ROOT = Path(__file__).parents[2]
NODE_MODULES = ROOT / ".viewer" / "node_modules"
DIMSE = Path(__file__).with_name("dimse.mjs")


@dataclass(frozen=True, slots=True)
class Tool:
    """One program; `version` is empty when it is missing, and `install` says what to do then."""

    name: str
    version: str
    install: str

    @property
    def missing(self) -> str:
        """Return why nothing of it is run; empty when it is there."""
        return "" if self.version else f"{self.name} is not installed: {self.install}"


def dcmtk() -> Tool:
    found = _output("storescu", "--version").partition("storescu v")[2].partition(" ")[0]
    return Tool("DCMTK", found, "apt-get install dcmtk")


def orthanc() -> Tool:
    path = archive.program()
    first = _output(path, "--version").splitlines()[:1] if path else []
    return Tool("Orthanc", "".join(first).rpartition(" ")[2], "apt-get install orthanc orthanc-dicomweb")


def dcmjs_dimse() -> Tool:
    package = NODE_MODULES / "dcmjs-dimse" / "package.json"
    there = shutil.which("node") is not None and package.exists()
    version = str(json.loads(package.read_text())["version"]) if there else ""
    return Tool("dcmjs-dimse", version, "make viewer-tools (needs Node.js)")


def pynetdicom_() -> Tool:
    return Tool("pynetdicom", pynetdicom.__version__, "pip install pynetdicom")


def all_tools() -> tuple[Tool, ...]:
    return dcmtk(), orthanc(), dcmjs_dimse(), pynetdicom_()


def run(*command: object, timeout_s: float = 90) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; a program that hangs is ended and has status 124."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"no end within {timeout_s:g} s")


def dimse(order: dict[str, object]) -> dict[str, object]:
    """Let dcmjs-dimse do something; return what it answers."""
    done = run("node", DIMSE, NODE_MODULES, json.dumps(order))
    lines = done.stdout.strip().splitlines()
    if not lines:
        return {"complaint": last_line(done.stderr) or f"status {done.returncode}"}
    answer: dict[str, object] = json.loads(lines[-1])
    return answer


def last_line(text: str) -> str:
    """Return the last line of what a program wrote, without what differs from run to run."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _output(program: str, argument: str) -> str:
    return run(program, argument).stdout if shutil.which(program) else ""
