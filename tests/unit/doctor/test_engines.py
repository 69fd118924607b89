"""The engines in use are tried, and no others."""

from __future__ import annotations

from echo_scp.config import AnalysisConfig
from echo_scp.doctor.engines import examine_engines
from echo_scp.doctor.finding import Outcome


def test_the_shipped_engines_pass_with_their_known_answers():
    """Hashes, loading and the synthetic frames of both."""
    found = list(examine_engines(AnalysisConfig()))

    assert all(finding.outcome is Outcome.PASSED for finding in found), found
    assert {"lv-apical: synthetic outlines", "view: synthetic views"} <= {finding.name for finding in found}


def test_an_engine_that_is_not_there_fails_with_the_name():
    """The node would not start."""
    found = list(examine_engines(AnalysisConfig(segmentation_engine="nobody")))

    assert any(finding.outcome is Outcome.FAILED and "nobody" in finding.detail for finding in found)


def test_an_engine_that_was_changed_on_disk_fails(tmp_path):
    """One flipped byte is another network."""
    import shutil

    from echo_scp.inference.catalogue import shipped_folder

    shutil.copytree(shipped_folder() / "view", tmp_path / "view")
    model = next((tmp_path / "view").glob("*.onnx"))
    content = bytearray(model.read_bytes())
    content[-1] ^= 1
    model.write_bytes(content)

    found = list(examine_engines(AnalysisConfig(engines_folder=tmp_path)))

    assert any(finding.outcome is Outcome.FAILED and finding.name.startswith("view") for finding in found)
