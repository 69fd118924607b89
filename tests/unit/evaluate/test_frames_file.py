"""Archives of frames."""

from __future__ import annotations

import numpy as np
import pytest

from echo_scp.config import AnalysisConfig
from echo_scp.errors import EvaluationError
from echo_scp.evaluate.case import Phase, Reference
from echo_scp.evaluate.frames_file import find_cases
from echo_scp.model import View
from tests.unit.evaluate.builders import write_archive


def test_patients_are_cases_and_views_come_from_the_files_name(tmp_path):
    """Two archives of the same patients make one case with two clips."""
    four = write_archive(tmp_path / "camus-a4c.npz")
    two = write_archive(tmp_path / "camus-a2c.npz", patients=2, split=False, lvef=55.0)

    cases = find_cases([four, two], None)

    assert [case.identifier for case in cases] == ["patient0000", "patient0001", "patient0002"]
    assert [clip.view for clip in cases[0].clips] == [View.A4C, View.A2C]
    assert cases[0].reference == Reference(ef_percent=55)
    assert cases[2].reference == Reference()


def test_frames_keep_their_phase_and_labels(tmp_path):
    """The clip is the patient's two frames."""
    (case, *_) = find_cases([write_archive(tmp_path / "a4c.npz")], None)

    loaded = case.clips[0].load(AnalysisConfig())

    assert [frame.phase for frame in loaded.labelled] == [Phase.END_DIASTOLE, Phase.END_SYSTOLE]
    assert loaded.clip.frames[0].max() == 180
    assert loaded.labelled[0].label_map.max() == 3
    assert loaded.clip.region.spacing.row_mm == pytest.approx(0.9)


def test_a_split_is_asked_of_every_archive(tmp_path):
    """One that has none is named: leaving its frames out silently would look like a small data set."""
    four = write_archive(tmp_path / "a4c.npz")
    two = write_archive(tmp_path / "a2c.npz", split=False)

    assert [case.identifier for case in find_cases([four], "valid")] == ["patient0001"]
    with pytest.raises(EvaluationError, match=r"a2c.npz: meta has no field 'split'"):
        find_cases([four, two], "valid")


def test_pictures_with_a_view_alone_are_cases_of_the_view_engine(tmp_path):
    """Colour becomes grey; a view that the product has no word for is other."""
    meta = np.array([("one", "A4C"), ("two", "DOPPLER")], dtype=[("name", "U8"), ("view", "U12")])
    np.savez(tmp_path / "views.npz", images=np.zeros((2, 16, 16, 3), dtype=np.uint8), meta=meta)

    first, second = find_cases([tmp_path / "views.npz"], None)
    loaded = first.clips[0].load(AnalysisConfig())

    assert (first.clips[0].view, second.clips[0].view) == (View.A4C, View.OTHER)
    assert loaded.clip.frames.shape == (1, 16, 16)
    assert loaded.labelled == ()


def test_what_an_archive_lacks_is_named(tmp_path):
    """The file, and the array or field."""
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "bare.npz", images=np.zeros((1, 4, 4), dtype=np.uint8))
    np.savez(tmp_path / "nameless.npz", images=np.zeros((1, 4, 4), np.uint8), meta=np.zeros(1, dtype=[("phase", "U2")]))

    with pytest.raises(EvaluationError, match=r"text.npz"):
        find_cases([tmp_path / "text.npz"], None)
    with pytest.raises(EvaluationError, match=r"bare.npz: has no array meta"):
        find_cases([tmp_path / "bare.npz"], None)
    with pytest.raises(EvaluationError, match=r"nameless.npz: meta has no field 'name'"):
        find_cases([tmp_path / "nameless.npz"], None)
