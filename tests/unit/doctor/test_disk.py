"""The data folder is tried as the receiver uses it, and left as it was."""

from __future__ import annotations

from types import SimpleNamespace

from echo_scp.config import Config, ReceiveConfig
from echo_scp.doctor import disk
from echo_scp.doctor.finding import Outcome


def outcomes(config: Config) -> dict[str, Outcome]:
    return {finding.name: finding.outcome for finding in disk.examine_disk(config)}


def test_a_good_folder_passes_and_nothing_is_left_in_it(tmp_path):
    """Written, synced, gone."""
    config = Config(data_folder=tmp_path, receive=ReceiveConfig(reserve_disk_mb=0))

    found = outcomes(config)

    assert found["data folder"] is Outcome.PASSED
    assert found["fsync"] in (Outcome.PASSED, Outcome.REMARK)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_judged_by_its_parent_and_not_made(tmp_path):
    """The doctor may run as another user than the node: what it made would be that user's."""
    config = Config(data_folder=tmp_path / "not" / "yet")

    assert outcomes(config)["data folder"] is Outcome.PASSED
    assert not (tmp_path / "not").exists()


def test_a_folder_that_cannot_be_written_fails_with_what_to_do(tmp_path, monkeypatch):
    """Root may write anywhere, so the refusal is the operating system's word alone."""
    monkeypatch.setattr(disk.os, "access", lambda *_: False)

    (finding,) = disk.examine_disk(Config(data_folder=tmp_path))

    assert finding.outcome is Outcome.FAILED
    assert "install -d" in finding.fix


def test_less_space_than_the_reserve_fails(tmp_path):
    """The node would refuse every instance."""
    config = Config(data_folder=tmp_path, receive=ReceiveConfig(reserve_disk_mb=10**9))

    assert outcomes(config)["free space"] is Outcome.FAILED


def test_a_slow_disk_is_remarked(tmp_path, monkeypatch):
    """An answer to C-STORE waits for the disk."""
    seconds = iter(range(10**6))
    monkeypatch.setattr(disk, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))

    assert outcomes(Config(data_folder=tmp_path))["fsync"] is Outcome.REMARK
