"""The selection of measured frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_scp.config import ReportConfig
from echo_scp.report import build_key_objects
from tests.unit.report.builders import NOW, make_clip_analysis, make_header, make_refused_analysis, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors, dsrdump


def test_each_measured_clip_is_named_with_its_ends_of_diastole_and_systole(tmp_path: Path) -> None:
    """Two beats of twenty frames: 1 and 11, 6 and 16; the refused instance is not among them."""
    study = make_study_analysis(make_clip_analysis(1), make_clip_analysis(2), make_refused_analysis())

    selection = build_key_objects(study, ReportConfig(), NOW)

    images = [item.ReferencedSOPSequence[0] for item in selection.ContentSequence if item.ValueType == "IMAGE"]
    assert [image.ReferencedSOPInstanceUID[-2:] for image in images] == [".1", ".2"]
    assert all(image.ReferencedFrameNumber == [1, 6, 11, 16] for image in images)
    assert selection.Modality == "KO"
    assert dciodvfy_errors(selection, tmp_path) == []


def test_it_says_the_result_and_research_use() -> None:
    """A viewer shows the description beside the frames."""
    texts = [
        item.TextValue
        for item in build_key_objects(make_study_analysis(), ReportConfig(), NOW).ContentSequence
        if "TextValue" in item
    ]

    assert any(text.startswith("LV ejection fraction 56.1 %") and "Research use only" in text for text in texts)


@pytest.mark.dcmtk
def test_dcmtk_reads_it(tmp_path: Path) -> None:
    """Also with a name in two scripts."""
    header = make_header(SpecificCharacterSet="ISO_IR 192", PatientName="Kim^Heejung=金^希中=김^희중")
    selection = build_key_objects(make_study_analysis(make_clip_analysis(header=header)), ReportConfig(), NOW)

    assert "김^희중" in dsrdump(selection, tmp_path)


def test_a_study_without_measurement_has_none() -> None:
    """Nothing is of interest."""
    with pytest.raises(ValueError, match="was measured"):
        build_key_objects(make_study_analysis(make_refused_analysis()), ReportConfig(), NOW)
