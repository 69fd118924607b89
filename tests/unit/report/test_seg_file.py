"""The file that is written quickly holds what highdicom would have built."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, LabelMaps, Segmentation
from echo_scp.report import build_seg, write_seg
from tests.unit.report.builders import NOW, STRUCTURES, make_clip_analysis, make_header, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors, encode

RETIRED_ULTRASOUND_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3"


def both(analysis: ClipAnalysis) -> tuple[Dataset, Dataset]:
    """Return the Segmentation as it is written, and as highdicom builds all of it; both read back."""
    study, config = make_study_analysis(analysis), ReportConfig()
    _, content = write_seg(analysis, study, config, NOW)
    return dcmread(BytesIO(content)), dcmread(BytesIO(encode(build_seg(analysis, study, config, NOW))))


def assert_same(written: Dataset, built: Dataset) -> None:
    """Compare all values; of the pixels the bits that mean something: highdicom fills up to a whole word with "0"."""
    count = built.NumberOfFrames * built.Rows * built.Columns
    bits = [
        np.unpackbits(np.frombuffer(ds.pop("PixelData").value, np.uint8), bitorder="little") for ds in (written, built)
    ]
    assert written == built
    assert written.file_meta == built.file_meta
    assert np.array_equal(bits[0][:count], bits[1][:count])
    assert len(bits[0]) == len(bits[1])


def with_label_maps(label_maps: LabelMaps) -> ClipAnalysis:
    frames, rows, columns = label_maps.shape
    analysis = make_clip_analysis(frames=frames, shape=(rows, columns))
    return replace(analysis, segmentation=Segmentation(label_maps, STRUCTURES))


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(2, 14),
    shape=st.tuples(st.integers(3, 13), st.integers(3, 13)),
    seed=st.integers(0, 2**16),
    density=st.sampled_from([0.01, 0.3, 1.0]),
)
def test_every_value_is_that_of_highdicom(frames: int, shape: tuple[int, int], seed: int, density: float) -> None:
    """With empty frames, absent structures and odd sizes too."""
    rng = np.random.default_rng(seed)
    label_maps = rng.integers(1, 4, (frames, *shape), dtype=np.uint8) * (rng.random((frames, *shape)) < density)
    label_maps[rng.integers(frames), 0, 0] = 2

    written, built = both(with_label_maps(label_maps.astype(np.uint8)))

    assert_same(written, built)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"SOPClassUID": RETIRED_ULTRASOUND_MULTI_FRAME},
    ],
    ids=["latin-1", "japanese", "retired class"],
)
@pytest.mark.parametrize("calibrated", [True, False], ids=["calibrated", "uncalibrated"])
def test_any_source_gives_the_same(header: dict[str, object], calibrated: bool) -> None:
    """Character sets and restored classes are in the head and in every frame."""
    written, built = both(make_clip_analysis(calibrated=calibrated, header=make_header(**header)))

    assert_same(written, built)


def test_a_long_clip_conforms(tmp_path: Path) -> None:
    """Frame numbers of three digits; an independent validator finds no error."""
    label_maps = np.zeros((120, 6, 6), dtype=np.uint8)
    label_maps[:, 1:3, 1:3] = 1
    label_maps[::2, 4, 4] = 3

    written, built = both(with_label_maps(label_maps))

    assert written.NumberOfFrames == 180
    assert dciodvfy_errors(written, tmp_path) == []
    assert_same(written, built)


def test_the_file_is_named_after_the_object() -> None:
    """What the tables and the deliveries call it is what it says of itself."""
    analysis = make_clip_analysis()

    file, content = write_seg(analysis, make_study_analysis(analysis), ReportConfig(), NOW)

    ds = dcmread(BytesIO(content))
    assert file.kind == "SEG"
    assert file.name == f"SEG-{ds.SOPInstanceUID}.dcm"
    assert (file.sop_instance_uid, file.series_instance_uid, file.sop_class_uid) == (
        ds.SOPInstanceUID,
        ds.SeriesInstanceUID,
        ds.SOPClassUID,
    )


def test_a_clip_without_outline_is_refused() -> None:
    """There is no Segmentation of nothing."""
    with pytest.raises(ValueError, match="no structure is outlined"):
        write_seg(with_label_maps(np.zeros((3, 4, 4), np.uint8)), make_study_analysis(), ReportConfig(), NOW)
