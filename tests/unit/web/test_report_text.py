"""Reports as text: what the SR says, in order, without its coordinates."""

from __future__ import annotations

from echo_scp.config import ReportConfig
from echo_scp.report import build_sr
from echo_scp.web.report_text import ContentItem, outline, read_report
from tests.unit.report.builders import NOW, make_clip_analysis, make_study_analysis


def flat(item: ContentItem) -> list[str]:
    own = f"{item.concept}: {item.value}" if item.value else item.concept
    return [own, *(text for child in item.children for text in flat(child))]


def test_a_report_is_told_in_words():
    """Headings, numbers with their units, codes by their meaning."""
    lines = flat(outline(build_sr(make_study_analysis(make_clip_analysis()), [], ReportConfig(), NOW)))

    assert lines[0] == "Imaging Measurement Report"
    assert "Comment: Research use only. Not for diagnosis or treatment." in lines
    assert any(line.startswith("Impression: LV ejection fraction") or "ejection fraction" in line for line in lines)
    assert any(line.endswith(" mL") for line in lines)
    assert any(line.endswith(" %") for line in lines)


def test_coordinates_are_not_told():
    """A contour is hundreds of numbers that nobody reads."""
    report = build_sr(make_study_analysis(make_clip_analysis()), [], ReportConfig(), NOW)
    lines = flat(outline(report))

    assert "SCOORD" in str(report)
    assert not any("GraphicData" in line or "Image Region" in line for line in lines)


def test_a_file_that_is_gone_or_no_dicom_is_no_report(tmp_path):
    """The page says so."""
    (tmp_path / "text").write_text("no DICOM")

    assert read_report(tmp_path / "absent") is None
    assert read_report(tmp_path / "text") is None
