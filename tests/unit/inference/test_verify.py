"""What a self-test finds: each fault is told with what to do, and the shipped engines pass."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.inference import verify as verifying
from echo_scp.inference.catalogue import EngineFolder, shipped_folder
from echo_scp.inference.verify import verify
from echo_scp.phantom.probe import probes
from tests.unit.fakes import FakeEngine
from tests.unit.inference.engines import make_engine, site_config

SHIPPED = EngineFolder(shipped_folder() / "view", "shipped")
SEGMENTATION = EngineFolder(shipped_folder() / "lv-apical", "shipped")


@pytest.fixture
def answering(monkeypatch):
    """`answering(function)` puts a network that answers so in the place of the one that would be loaded."""

    def put(answer):
        monkeypatch.setattr(verifying, "open_engine", lambda manifest, config: FakeEngine(manifest, answer))

    return put


def always_plax(batch):
    labels = SHIPPED.read().output.labels
    return np.tile(np.array([5.0 * (label == "PLAX") for label in labels], dtype=np.float32), (len(batch), 1))


def checks_of(folder, tmp_path, truth=()):
    return {check.name: check for check in verify(folder, site_config(tmp_path), truth)}


def failed(checks):
    return [name for name, check in checks.items() if check.failed]


@pytest.mark.parametrize("folder", [SHIPPED, SEGMENTATION], ids=lambda folder: folder.name)
def test_the_shipped_engines_pass(folder, tmp_path):
    """Also the known answers on synthetic frames."""
    checks = checks_of(folder, tmp_path, probes())

    assert failed(checks) == []
    assert len(checks) == 5


def test_a_changed_artefact_fails_at_its_hash(tmp_path):
    """And nothing further is tried."""
    folder = EngineFolder(make_engine(tmp_path / "view", "1.0.0"), "site")
    (folder.path / "model.onnx").write_bytes(b"changed")

    checks = checks_of(folder, tmp_path)

    assert list(checks) == ["manifest and hashes"]
    assert "artefacts.fp32.sha256" in checks["manifest and hashes"].detail
    assert "rollback view" in checks["manifest and hashes"].fix


def test_answers_that_are_not_numbers_fail(answering, tmp_path):
    """NaN for one frame is enough."""
    answering(lambda batch: np.full((len(batch), 4), np.nan, dtype=np.float32))

    checks = checks_of(SHIPPED, tmp_path)

    assert failed(checks) == ["finite answers"]
    assert all(check.fix for check in checks.values() if check.failed)


def test_a_network_that_mixes_the_frames_of_a_batch_fails(answering, tmp_path):
    """As one that was exported in training mode does."""
    answering(lambda batch: len(batch) * np.repeat(batch.mean(axis=(2, 3)), 4, axis=1))

    assert failed(checks_of(SHIPPED, tmp_path)) == ["alone as in a batch"]


def test_a_shipped_engine_that_takes_views_for_another_fails(answering, tmp_path):
    """Finite, the same in any batch, and wrong."""
    answering(always_plax)

    checks = checks_of(SHIPPED, tmp_path, probes())

    assert failed(checks) == ["synthetic views"]
    assert "A4C taken for PLAX" in checks["synthetic views"].detail


def test_an_engine_of_the_site_need_not_know_synthetic_frames(answering, tmp_path):
    """It is told as a remark: the network may have seen patients only."""
    answering(always_plax)
    folder = EngineFolder(make_engine(tmp_path / "view", "1.0.0"), "site")

    checks = checks_of(folder, tmp_path, probes())

    assert failed(checks) == []
    assert not checks["synthetic views"].passed


def test_a_shipped_engine_that_outlines_nothing_fails(answering, tmp_path):
    """LV Dice 0 in every probe."""
    labels = SEGMENTATION.read().output.labels
    answering(lambda batch: np.zeros((len(batch), len(labels), *batch.shape[2:]), dtype=np.float32))

    checks = checks_of(SEGMENTATION, tmp_path, probes())

    assert failed(checks) == ["synthetic outlines"]
    assert "0.000" in checks["synthetic outlines"].detail


def test_an_engine_of_another_task_than_its_role_fails(tmp_path):
    """The configuration asks the segmentation engine for views."""
    config = site_config(tmp_path, view_engine="lv-apical")

    (check,) = verify(SEGMENTATION, config, ())

    assert check.failed
    assert "task: expected 'view'" in check.detail


def test_the_probes_are_apical_frames_with_a_ventricle():
    """Four frames of which the truth is known, none empty."""
    truth = probes()

    assert [probe.view for probe in truth] == ["A4C", "A4C", "A2C", "A2C"]
    assert all((probe.label_map == 1).mean() > 0.02 for probe in truth)
