"""Independent readers of what was written: dicom3tools' dciodvfy and DCMTK's dsrdump."""

from __future__ import annotations

import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom import Dataset

# dciodvfy takes this element of a module that Segmentation does not have for a missing conditional one.
FALSE_POSITIVES = ("Laterality",)


def encode(ds: Dataset) -> bytes:
    """Return the Part-10 file."""
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def read_back(ds: Dataset) -> Dataset:
    """Return what a receiver reads."""
    return pydicom.dcmread(BytesIO(encode(ds)))


def dciodvfy_errors(ds: Dataset, folder: Path) -> list[str]:
    """Return the error lines of dciodvfy."""
    path = folder / "object.dcm"
    path.write_bytes(encode(ds))
    program = shutil.which("dciodvfy", path=str(Path(sys.executable).parent))
    assert program is not None, "the dev dependency dicom3tools provides dciodvfy"
    done = subprocess.run([program, "-new", path], capture_output=True, encoding="latin-1", check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith("Error") and not any(word in line for word in FALSE_POSITIVES)]


def dsrdump(ds: Dataset, folder: Path) -> str:
    """Return the tree that DCMTK prints, for ASCII and UTF-8 objects; skip the test where DCMTK is not installed."""
    if shutil.which("dsrdump") is None:
        pytest.skip("DCMTK is not installed: apt-get install dcmtk")
    path = folder / "object.dcm"
    path.write_bytes(encode(ds))
    done = subprocess.run(["dsrdump", "+Pl", path], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode(errors="replace")
