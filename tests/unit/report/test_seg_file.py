"""The file that is written quickly holds what highdicom would have built."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, LabelMaps, Segmentation
from echo_scp.report import build_seg, write_seg
from echo_scp.report.seg import SEGMENT_LABELS
from tests.unit.report.builders import NOW, STRUCTURES, make_clip_analysis, make_header, make_study_analysis
from tests.unit.report.validators import dciodvfy_errors, encode

LABELS = [SEGMENT_LABELS[structure] for structure in STRUCTURES]
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
    assert written.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    differing = {element.keyword for element in built.file_meta if element != written.file_meta[element.tag]}
    assert differing == {"FileMetaInformationGroupLength", "TransferSyntaxUID"}
    assert np.array_equal(bits[0][:count], bits[1][:count])
    assert len(bits[0]) == len(bits[1])


def inflated(ds: Dataset) -> Dataset:
    """Return what a destination gets that takes Explicit VR Little Endian only."""
    copy = deepcopy(ds)
    copy.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return copy


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
    assert dciodvfy_errors(inflated(written), tmp_path) == []
    assert_same(written, built)


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 20),
    shape=st.tuples(st.integers(2, 17), st.integers(2, 17)),
    seed=st.integers(0, 2**16),
    syntax=st.sampled_from([DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
)
def test_every_mask_comes_back_bit_for_bit_in_every_encoding(
    frames: int, shape: tuple[int, int], seed: int, syntax: str
) -> None:
    """Any size, any frames left out: what highdicom reads by source frame is what was outlined."""
    rng = np.random.default_rng(seed)
    label_maps = rng.integers(0, 4, (frames, *shape), dtype=np.uint8) * (rng.random((frames, 1, 1)) < 0.6)
    label_maps[rng.integers(frames), 0, 0] = 1
    analysis = with_label_maps(label_maps.astype(np.uint8))

    _, content = write_seg(analysis, make_study_analysis(analysis), ReportConfig(), NOW)
    sent = dcmread(BytesIO(content))
    sent.file_meta.TransferSyntaxUID = syntax

    assert np.array_equal(label_maps_of(encode(sent), frames), label_maps)


def label_maps_of(content: bytes, frames: int) -> LabelMaps:
    """Return the label maps (T, H, W) of a three-structure Segmentation, by segment label and source frame number."""
    seg = highdicom.seg.segread(BytesIO(content))
    pixels = seg.get_pixels_by_source_frame(
        source_sop_instance_uid=make_header().SOPInstanceUID,
        source_frame_numbers=range(1, frames + 1),
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    labels = [LABELS.index(str(item.SegmentLabel)) + 1 for item in seg.SegmentSequence]
    return (pixels * np.array(labels, dtype=np.uint8)).max(axis=-1)


def test_a_deflated_stream_has_an_even_length() -> None:
    """A file of odd length is no DICOM (PS3.5 A.5)."""
    lengths = {
        len(write_seg(analysis, make_study_analysis(analysis), ReportConfig(), NOW)[1]) % 2
        for analysis in (make_clip_analysis(frames=frames) for frames in range(2, 12))
    }

    assert lengths == {0}


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
