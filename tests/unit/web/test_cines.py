"""Cines on demand, in a process of their own."""

from __future__ import annotations

import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.phantom.study import write_study
from echo_scp.web.cines import Cines, NoCineError


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return [instance.path for instance in write_study(tmp_path_factory.mktemp("phantom"), frame_count=12)]


def test_a_cine_is_made_once_and_remembered(phantom, tmp_path):
    """The second time the file is not needed."""
    path = tmp_path / "clip.dcm"
    path.write_bytes(phantom[2].read_bytes())
    # As the node has it: the folder of the site's engines need not exist.
    config = AnalysisConfig().model_copy(update={"engines_folder": tmp_path / "absent"})
    cines = Cines(config, 10_000_000)
    made = cines.get(path, None)
    path.unlink()

    assert b"times_ms" in made[:200]
    assert cines.get(path, None) is made


def test_what_is_no_2d_cine_is_refused_with_its_reason(phantom, tmp_path):
    """So is what is not there, and everything when playing is switched off or the node stops."""
    cines = Cines(AnalysisConfig(), 1000)
    with pytest.raises(NoCineError, match="m_mode"):
        cines.get(phantom[4], None)
    with pytest.raises(NoCineError, match="absent"):
        cines.get(tmp_path / "absent", None)
    with pytest.raises(NoCineError, match=r"web\.cine_mb"):
        Cines(AnalysisConfig(), 0).get(phantom[2], None)
    cines.close()
    with pytest.raises(NoCineError, match="stopping"):
        cines.get(phantom[2], None)


def test_memory_for_cines_is_bounded(phantom):
    """One that is larger than the bound is shown and not remembered."""
    cines = Cines(AnalysisConfig(), 1000)
    first = cines.get(phantom[2], None)

    assert len(first) > 1000
    assert cines.get(phantom[2], None) is not first
