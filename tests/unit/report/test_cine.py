"""The clip drawn again: its frames in time, its outlines in place, nothing of the banner."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEGBaseline8Bit

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, Flag, Note
from echo_scp.report import build_cine, draw_cine, encode
from echo_scp.report.cine_frames import COLOURS, HEADER_HEIGHT
from tests.unit.report.builders import NOW, make_clip_analysis, make_header, make_refused_analysis, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors

SHAPE = (240, 500)


def make_cine(analysis: ClipAnalysis | None = None, **changes: object) -> Dataset:
    """Return the object as a receiver reads it."""
    analysis = analysis or make_analysis()
    config = ReportConfig(**changes)
    cine = draw_cine(analysis, research_use=config.research_use)
    return dcmread(BytesIO(encode(build_cine(analysis, cine, make_study_analysis(analysis), config, NOW))))


def make_analysis(**changes: object) -> ClipAnalysis:
    return make_clip_analysis(**({"frames": 6, "shape": SHAPE, "picture": True} | changes))


@pytest.mark.parametrize("calibrated", [True, False], ids=["calibrated", "uncalibrated"])
@pytest.mark.parametrize("spacing_ms", [[0, 20, 40, 60, 80, 100], [0, 20, 40, 70, 90, 120]], ids=["even", "uneven"])
def test_dciodvfy_finds_no_error(calibrated: bool, spacing_ms: list[float], tmp_path: Path) -> None:
    """Ultrasound Multi-frame, with one frame time or one for each."""
    analysis = make_analysis(calibrated=calibrated)
    times = np.array(spacing_ms, dtype=float)
    cine = make_cine(replace(analysis, clip=replace(analysis.clip, frame_times_ms=times)))

    assert cine.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    assert dciodvfy_errors(cine, tmp_path) == []
    assert ("FrameTimeVector" in cine) == (spacing_ms[3] == 70)


def test_the_outline_is_where_the_mask_is_on_every_frame() -> None:
    """The green line encloses the cavity of the same frame."""
    analysis = make_analysis()
    region = analysis.clip.region

    pixels = make_cine(analysis).pixel_array

    colour = np.array(dict(COLOURS)[analysis.segmentation.structures[0]])
    for frame, labels in zip(pixels, analysis.segmentation.label_maps, strict=True):
        seen = frame[HEADER_HEIGHT : HEADER_HEIGHT + region.y1 - region.y0].astype(int)
        drawn = np.argwhere(np.abs(seen - colour).max(axis=-1) < 60)
        inside = np.argwhere(labels[region.y0 : region.y1] == 1)
        assert np.abs(drawn.min(axis=0) - inside.min(axis=0)).max() <= 3
        assert np.abs(drawn.max(axis=0) - inside.max(axis=0)).max() <= 3


def test_nothing_of_the_banner_is_in_it() -> None:
    """Whatever is burned in outside the 2D region does not change a byte."""
    analysis = make_analysis()
    frames = analysis.clip.frames.copy()
    frames[:, : analysis.clip.region.y0] = 0

    hidden = draw_cine(replace(analysis, clip=replace(analysis.clip, frames=frames)))

    assert hidden == draw_cine(analysis)
    assert make_cine(analysis).BurnedInAnnotation == "NO"


def test_a_region_that_was_guessed_may_show_a_name() -> None:
    """Then nobody may believe that none is burned in."""
    analysis = replace(make_analysis(), notes=(Note(Flag.NO_REGIONS, "no region is stated"),))

    assert make_cine(analysis).BurnedInAnnotation == "YES"


def test_the_scale_of_the_source_holds_in_it() -> None:
    """A distance measured on the overlay is that of the source."""
    analysis = make_analysis()

    (region,) = make_cine(analysis).SequenceOfUltrasoundRegions

    assert region.PhysicalDeltaX * 10 == pytest.approx(analysis.clip.region.spacing.column_mm)
    assert region.PhysicalDeltaY * 10 == pytest.approx(analysis.clip.region.spacing.row_mm)
    assert "SequenceOfUltrasoundRegions" not in make_cine(make_analysis(calibrated=False))


def test_it_says_how_often_it_was_compressed() -> None:
    """The source's loss comes first (PS3.3 C.7.6.1.1.5)."""
    header = make_header(
        LossyImageCompression="01", LossyImageCompressionRatio=[12.5], LossyImageCompressionMethod=["ISO_10918_1"]
    )

    cine = make_cine(make_analysis(header=header))

    assert cine.LossyImageCompression == "01"
    assert cine.LossyImageCompressionMethod == ["ISO_10918_1", "ISO_10918_1"]
    assert cine.LossyImageCompressionRatio[0] == 12.5
    assert make_cine().LossyImageCompressionMethod == "ISO_10918_1"


def test_it_refers_to_its_source_and_is_derived() -> None:
    """A reader finds the clip without lines."""
    cine = make_cine()

    assert cine.ImageType == ["DERIVED", "SECONDARY"]
    assert cine.SourceImageSequence[0].ReferencedSOPInstanceUID == make_header().SOPInstanceUID
    assert cine.SeriesDescription == "LV contour cine A4C 1 (research use)"


def test_a_heart_rate_that_no_machine_told_is_not_written() -> None:
    """Other software would take it for that of the ECG."""
    analysis = make_analysis()
    guessed = replace(analysis.measurement, notes=(Note(Flag.HEART_RATE_ESTIMATED, ""),))

    assert make_cine(analysis).HeartRate == 75
    assert "HeartRate" not in make_cine(replace(analysis, measurement=guessed))


def test_the_same_result_gives_the_same_bytes() -> None:
    """A retry sends the same object again."""
    analysis = make_analysis()
    study, config = make_study_analysis(analysis), ReportConfig()

    first, again = (encode(build_cine(analysis, draw_cine(analysis), study, config, NOW)) for _ in range(2))

    assert first == again


def test_a_clip_without_measurement_is_refused() -> None:
    """There is nothing to draw."""
    with pytest.raises(ValueError, match="was not measured"):
        draw_cine(make_refused_analysis())
