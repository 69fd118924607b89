"""The Segmentation of a clip: every mask on its frame, readable by others, the same bytes every time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from echo_scp.config import ReportConfig
from echo_scp.model import ClipAnalysis, LabelMaps, Segmentation, Structure
from echo_scp.report import build_seg
from tests.unit.report.builders import (
    NOW,
    STRUCTURES,
    make_clip_analysis,
    make_header,
    make_refused_analysis,
    make_spacing,
    make_study_analysis,
)
from tests.unit.report.validators import dciodvfy_errors, encode, read_back

RETIRED_ULTRASOUND_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.3"
LOSSY = {
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": 12.5,
    "LossyImageCompressionMethod": "ISO_10918_1",
}


def make_seg(analysis: ClipAnalysis | None = None, **config: object) -> Dataset:
    """Return the Segmentation of a study of one clip."""
    analysis = analysis or make_clip_analysis()
    return build_seg(analysis, make_study_analysis(analysis), ReportConfig(**config), NOW)


def with_label_maps(label_maps: LabelMaps, structures: tuple[Structure, ...] = STRUCTURES) -> ClipAnalysis:
    """Return a clip that was outlined so."""
    frames, rows, columns = label_maps.shape
    analysis = make_clip_analysis(frames=frames, shape=(rows, columns))
    return replace(analysis, segmentation=Segmentation(label_maps, structures))


def masks_of(ds: Dataset, segment_number: int, frames: int) -> np.ndarray:
    """Return (T, H, W) booleans as another program reads them, by number of the source frame."""
    seg = highdicom.seg.segread(BytesIO(encode(ds)))
    pixels = seg.get_pixels_by_source_frame(
        source_sop_instance_uid=ds.SourceImageSequence[0].ReferencedSOPInstanceUID,
        source_frame_numbers=list(range(1, frames + 1)),
        segment_numbers=[segment_number],
        assert_missing_frames_are_empty=True,
    )
    return pixels[..., 0].astype(bool)


def segment_numbers(ds: Dataset) -> dict[str, int]:
    return {str(item.SegmentLabel): int(item.SegmentNumber) for item in ds.SegmentSequence}


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"SpecificCharacterSet": "ISO_IR 192", "PatientName": "山田^太郎"},
        {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
        {"PatientID": None, "PatientName": None, "StudyDate": None, "StudyTime": None, "PatientSex": None},
        LOSSY,
    ],
    ids=["latin-1", "utf-8", "japanese", "sparse", "lossy"],
)
@pytest.mark.parametrize("calibrated", [True, False], ids=["calibrated", "uncalibrated"])
def test_dciodvfy_finds_no_error(header: dict[str, object], calibrated: bool, tmp_path: Path) -> None:
    """The Segmentation conforms to its IOD whatever the source sends."""
    analysis = make_clip_analysis(calibrated=calibrated, header=make_header(**header))

    assert dciodvfy_errors(make_seg(analysis), tmp_path) == []


def test_a_single_structure_conforms_and_does_not_pass_for_a_volume(tmp_path: Path) -> None:
    """One segment on every frame is not called 3D."""
    seg = make_seg(make_clip_analysis(structures=STRUCTURES[:1]))

    assert dciodvfy_errors(seg, tmp_path) == []
    assert "DimensionOrganizationType" not in seg


def test_every_mask_is_read_back_on_its_frame_bit_for_bit() -> None:
    """What highdicom reads by source frame number is what the engine outlined."""
    analysis = make_clip_analysis(frames=12)
    assert analysis.segmentation is not None

    seg = make_seg(analysis)

    for number, structure in enumerate(STRUCTURES, start=1):
        assert np.array_equal(masks_of(seg, number, 12), analysis.segmentation.masks(structure))


@settings(max_examples=15, deadline=None)
@given(
    frames=st.integers(2, 6),
    shape=st.tuples(st.integers(3, 13), st.integers(3, 13)),  # highdicom mispacks frames of less than 8 pixels
    seed=st.integers(0, 2**16),
    density=st.sampled_from([0.02, 0.3, 1.0]),
)
def test_any_outline_survives_the_round_trip(frames: int, shape: tuple[int, int], seed: int, density: float) -> None:
    """Odd sizes, empty frames and absent structures come back exactly."""
    rng = np.random.default_rng(seed)
    label_maps = rng.integers(1, 4, (frames, *shape), dtype=np.uint8) * (rng.random((frames, *shape)) < density)
    label_maps[rng.integers(frames), 0, 0] = 1
    analysis = with_label_maps(label_maps.astype(np.uint8))

    seg = make_seg(analysis)

    for value, label in enumerate(("LV cavity", "LV myocardium", "Left atrium"), start=1):
        if label in segment_numbers(seg):
            assert np.array_equal(masks_of(seg, segment_numbers(seg)[label], frames), label_maps == value)
        else:
            assert not (label_maps == value).any()


def test_a_frame_without_any_outline_is_left_out() -> None:
    """Empty frames carry nothing, and the others keep their frame numbers."""
    label_maps = np.zeros((5, 4, 4), dtype=np.uint8)
    label_maps[1, 1:3, 1:3] = 1
    label_maps[4, 0, 0] = 1

    seg = make_seg(with_label_maps(label_maps))

    sources = [item.DerivationImageSequence[0].SourceImageSequence[0] for item in seg.PerFrameFunctionalGroupsSequence]
    assert [source.ReferencedFrameNumber for source in sources] == [2, 5]


def test_a_structure_that_is_never_seen_gets_no_segment() -> None:
    """Segment numbers stay consecutive when the engine's second structure is on no frame."""
    label_maps = np.zeros((3, 4, 4), dtype=np.uint8)
    label_maps[:, 0, 0] = 1
    label_maps[:, 3, 3] = 3

    seg = make_seg(with_label_maps(label_maps))

    assert segment_numbers(seg) == {"LV cavity": 1, "Left atrium": 2}
    assert np.array_equal(masks_of(seg, 2, 3), label_maps == 3)


def test_a_clip_without_outline_is_refused() -> None:
    """There is no Segmentation of nothing."""
    with pytest.raises(ValueError, match="no structure is outlined"):
        make_seg(with_label_maps(np.zeros((3, 4, 4), dtype=np.uint8)))
    with pytest.raises(ValueError, match="was not segmented"):
        make_seg(make_refused_analysis())


def test_frames_are_told_apart_by_falling_positions() -> None:
    """Frame n lies at z = 1 - n in a Frame of Reference of the clip."""
    seg = make_seg(make_clip_analysis(frames=3, structures=STRUCTURES[:1]))

    positions = [item.PlanePositionSequence[0].ImagePositionPatient for item in seg.PerFrameFunctionalGroupsSequence]
    assert positions == [[0, 0, 0], [0, 0, -1], [0, 0, -2]]
    orientation = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    assert orientation == [1, 0, 0, 0, 1, 0]


def test_a_calibrated_clip_gives_its_spacing() -> None:
    """Row spacing comes first (PS3.3 10.7.1.3)."""
    seg = make_seg()

    spacing = make_spacing(48, 64)
    measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert measures.PixelSpacing == pytest.approx([spacing.row_mm, spacing.column_mm])


def test_an_uncalibrated_clip_says_that_its_spacing_is_nominal() -> None:
    """The format requires a spacing; the words say not to use it."""
    seg = make_seg(make_clip_analysis(calibrated=False))

    assert seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [1, 1]
    assert "nominal" in seg.ContentDescription
    assert "no size may be derived" in seg.SegmentSequence[0].SegmentDescription


def test_it_says_research_use_until_configured_otherwise() -> None:
    """Both the list of series and the description of a segment say it."""
    assert "research use" in make_seg().SeriesDescription
    assert "Research use only" in make_seg().SegmentSequence[0].SegmentDescription
    assert "esearch use" not in encode(make_seg(research_use=False)).decode("latin-1")


def test_the_algorithm_names_engines_and_hashes() -> None:
    """A mask can be traced to the artefact that drew it."""
    algorithm = make_seg().SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]

    assert "lv-apical=1.2.0 sha256:" + "cd" * 32 in algorithm.AlgorithmParameters


def test_a_source_of_a_retired_class_is_referenced_as_what_it_is(tmp_path: Path) -> None:
    """The class that highdicom was told does not leak into a reference; dciodvfy does not know the retired one."""
    seg = make_seg(make_clip_analysis(header=make_header(SOPClassUID=RETIRED_ULTRASOUND_MULTI_FRAME)))
    errors = dciodvfy_errors(seg, tmp_path)

    classes = {element.value for element in seg.iterall() if element.keyword == "ReferencedSOPClassUID"}
    assert classes == {RETIRED_ULTRASOUND_MULTI_FRAME}
    assert [error for error in errors if "Referenced SOP Class that is not multi-frame" not in error] == []


def test_the_same_result_gives_the_same_bytes() -> None:
    """A retry after a crash sends the object that was perhaps already sent."""
    assert encode(make_seg()) == encode(make_seg())


def test_the_time_of_writing_is_the_only_clock() -> None:
    """Another `now` changes dates and times, and no UID."""
    analysis = make_clip_analysis()
    study = make_study_analysis(analysis)

    first = read_back(build_seg(analysis, study, ReportConfig(), NOW))
    later = read_back(build_seg(analysis, study, ReportConfig(), NOW + timedelta(days=1, hours=1)))

    differing = {element.keyword for element in first if element != later[element.tag]}
    assert differing == {
        "InstanceCreationDate",
        "InstanceCreationTime",
        "ContentDate",
        "ContentTime",
        "ContributingEquipmentSequence",
    }


def test_each_clip_of_a_study_has_its_own_series_named_after_it() -> None:
    """Of a series OHIF shows only the first Segmentation."""
    first, second = make_clip_analysis(1), make_clip_analysis(2)
    study = make_study_analysis(first, second)

    segs = [build_seg(analysis, study, ReportConfig(), NOW) for analysis in (first, second)]

    assert len({seg.SeriesInstanceUID for seg in segs}) == 2
    assert len({seg.SOPInstanceUID for seg in segs}) == 2
    assert [seg.InstanceNumber for seg in segs] == [1, 1]
    assert [seg.SeriesDescription for seg in segs] == [
        "LV segmentation A4C 1 (research use)",
        "LV segmentation A4C 2 (research use)",
    ]
    assert len({seg.FrameOfReferenceUID for seg in segs}) == 2


def test_it_is_binary_and_not_compressed() -> None:
    """Every viewer and archive takes Explicit VR Little Endian."""
    seg = make_seg()

    assert seg.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (seg.SegmentationType, seg.BitsAllocated) == ("BINARY", 1)
