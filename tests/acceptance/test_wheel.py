"""What travels in the wheel is enough to run from anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_engines_statements_and_the_example_configuration_are_in_the_wheel(wheel):
    """Everything that is no Python file but is read at run time."""
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {
        "echo_scp/_shipped/engines/lv-apical/model.onnx",
        "echo_scp/_shipped/engines/view/manifest.toml",
        "echo_scp/_shipped/echo-scp.toml",
        "echo_scp/database/queries.sql",
        "echo_scp/database/page.sql",
        "echo_scp/web/templates/study.html",
        "echo_scp/web/static/player.js",
        "echo_scp/database/migrations/0001_initial.sql",
        "echo_scp/py.typed",
    } <= names
    assert not [name for name in names if name.startswith(("tests/", "scripts/"))]


def test_the_installed_package_runs_from_another_folder(wheel, tmp_path):
    """The engines load from inside the package."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ECHO_SCP_")}

    program = "import echo_scp; print(echo_scp.__file__); from echo_scp.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", program, "config", "check"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    assert "engine lv-apical" in done.stdout
