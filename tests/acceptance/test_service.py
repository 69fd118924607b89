"""The files of the service: units that systemd accepts and finds tight, an installation that can be repeated."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from echo_scp.spool import dataset_digest
from tests.acceptance.running import wait_for

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "scripts" / "install.sh"
UNITS = sorted(path.name for path in (ROOT / "systemd").glob("echo-scp*.service"))
MOST_EXPOSURE = 2.0
STUB = """\
import sys
def main():
    if sys.argv[1:] == ["config", "example"]:
        print('data_folder = "data"')
    elif sys.argv[1:3] == ["config", "check"]:
        sys.exit({refuses})
    else:
        print("echo-scp {version}")
"""


def make_wheel(folder: Path, version: str, *, refuses: bool = False) -> Path:
    """A package with the command and nothing behind it: what is tried is the script. It may refuse a configuration."""
    wheel = folder / f"echo_scp-{version}-py3-none-any.whl"
    info = f"echo_scp-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("echo_scp_stub.py", STUB.format(version=version, refuses=int(refuses)))
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: echo-scp\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[console_scripts]\necho-scp = echo_scp_stub:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def install(root: Path, package: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": sys.executable, "PIP_OPTIONS": "--no-index --no-deps"}
    command = [INSTALL, "--root", root, package]
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        umask=0o077,  # as administrators of hardened hosts have it
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which the first version was installed."""
    folder = tmp_path_factory.mktemp("install")
    done = install(folder / "root", make_wheel(folder, "1.0"))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def analyze():
    """Run systemd-analyze."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.mark.parametrize("unit", [*UNITS, "echo-scp.target"])
def test_systemd_accepts_each_unit(unit, installed, analyze):
    """Not one remark on our files."""
    done = analyze("verify", "--man=no", "--recursive-errors=no", f"--root={installed / 'root'}", unit)

    ours = [line for line in done.stderr.splitlines() if "echo-scp" in line and "not found" not in line]
    assert ours == []


@pytest.mark.parametrize("unit", UNITS)
def test_each_service_is_tight(unit, installed, analyze):
    """systemd's own measure, from 0 (closed) to 10; what is left open is the network and AF_UNIX."""
    done = analyze("security", "--offline=true", f"--root={installed / 'root'}", unit)

    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert exposure is not None, done.stderr
    assert float(exposure[1]) <= MOST_EXPOSURE


def test_the_user_of_the_service_can_read_what_root_installs(installed):
    """Whatever root's umask is."""
    environment = installed / "root" / "opt" / "echo-scp" / "venv"

    assert [path for path in (environment, *environment.rglob("*")) if not path.stat().st_mode & 0o004] == []


def test_an_upgrade_keeps_the_configuration_and_a_failed_one_the_version_before(installed):
    """Only the environment is replaced, and put back when the new one cannot be made."""
    root = installed / "root"
    config = root / "etc" / "echo-scp" / "echo-scp.toml"
    assert 'data_folder = "/var/lib/echo-scp"' in config.read_text()
    config.write_text("# the site's own\n")

    done = install(root, make_wheel(installed, "2.0"))

    assert done.returncode == 0, done.stderr
    assert config.read_text() == "# the site's own\n"
    environments = root / "opt" / "echo-scp"
    assert list(environments.glob("venv/lib/*/site-packages/echo_scp-2.0.dist-info"))
    assert list(environments.glob("venv.old/lib/*/site-packages/echo_scp-1.0.dist-info"))

    failed = install(root, installed / "echo_scp-3.0-py3-none-any.whl")  # is not there
    refused = install(root, make_wheel(installed, "4.0", refuses=True))
    again = install(root, make_wheel(installed, "2.0"))

    assert (failed.returncode, refused.returncode, again.returncode) == (1, 1, 0)
    assert list(environments.glob("venv/lib/*/site-packages/echo_scp-2.0.dist-info"))
    assert list(environments.glob("venv.old/lib/*/site-packages/echo_scp-1.0.dist-info"))
    assert sorted(path.name for path in environments.iterdir()) == ["venv", "venv.old"]


def test_every_role_has_a_unit_that_the_target_wants():
    """And the command knows each role."""
    from echo_scp.node import Role

    target = (ROOT / "systemd" / "echo-scp.target").read_text()

    for role in Role:
        unit = f"echo-scp-{role}.service"
        assert unit in target
        assert f"serve --role {role} " in (ROOT / "systemd" / unit).read_text()


def backup(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [ROOT / "scripts" / "backup.sh", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_restored_backup_is_the_node_that_it_was_made_of(node, make_study, tmp_path):
    """Rows, images and their bytes; not while a node runs, and not over something."""
    study = make_study(4)
    node.start()
    node.send(study.files[0])
    wait_for(lambda: node.rows("SELECT state FROM study") == [("reported",)])
    archive = tmp_path / "backup.tar.gz"
    assert "stop it first" in backup(node.data, archive).stderr
    node.stop()

    assert backup(node.data, archive).returncode == 0
    assert archive.stat().st_mode & 0o077 == 0
    assert "not empty" in backup("--restore", archive, node.data).stderr
    shutil.rmtree(node.data)
    (node.data / "lost+found").mkdir(parents=True)  # a disk of its own
    assert backup("--restore", archive, node.data).returncode == 0
    node.start()

    assert node.rows("SELECT study_instance_uid, state FROM study") == [(study.study_instance_uid, "reported")]
    ((path,),) = node.rows("SELECT path FROM instance")
    assert dataset_digest(Path(path)) == dataset_digest(study.files[0])
