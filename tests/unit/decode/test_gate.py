"""Which headers are eligible, and the reason why not."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    HEVCMP51,
    MPEG2MPML,
    MPEG4HP41,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    EnhancedUSVolumeStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RawDataStorage,
    TwelveLeadECGWaveformStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from echo_scp.config import AnalysisConfig
from echo_scp.decode.gate import refuse_by_header
from echo_scp.decode.stage import stage_of
from echo_scp.errors import InstanceError
from echo_scp.model import Reason
from tests.unit.decode.builders import CONFIG, make_header, make_region, refusal

RETIRED_US, RETIRED_US_MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.6", "1.2.840.10008.5.1.4.1.1.3"


def refused(config: AnalysisConfig = CONFIG, **changes: Any) -> InstanceError:
    return refusal(lambda: refuse_by_header(make_header(**changes), config))


def accept(config: AnalysisConfig = CONFIG, **changes: Any) -> None:
    refuse_by_header(make_header(**changes), config)


def regions(*changes: dict[str, Any]) -> list[Dataset]:
    return [make_region(**change) for change in changes]


def coded(meaning: str) -> Dataset:
    item = Dataset()
    item.CodeMeaning = meaning
    return item


@pytest.mark.parametrize(
    "sop_class_uid",
    [
        UltrasoundMultiFrameImageStorage,
        UltrasoundImageStorage,
        RETIRED_US,
        RETIRED_US_MULTI_FRAME,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
        "1.2.3.4.5.6",
        None,
    ],
)
def test_a_cine_is_eligible_whatever_image_class_holds_it(sop_class_uid: str | None) -> None:
    """Ultrasound, retired, Secondary Capture, private and unnamed classes pass."""
    accept(SOPClassUID=sop_class_uid)


@pytest.mark.parametrize(
    "missing",
    [
        "Modality",
        "ImageType",
        "SequenceOfUltrasoundRegions",
        "UltrasoundColorDataPresent",
        "SamplesPerPixel",
        "BitsAllocated",
        "PhotometricInterpretation",
        "HeartRate",
    ],
)
def test_a_missing_element_never_refuses(missing: str) -> None:
    """What the header does not say is asked of the pixels."""
    accept(**{missing: None})


@pytest.mark.parametrize(
    ("changes", "expected", "detail"),
    [
        ({"SOPClassUID": ComprehensiveSRStorage}, Reason.NOT_AN_IMAGE, "SOP Class UID (0008,0016) is Comprehensive SR"),
        ({"SOPClassUID": EncapsulatedPDFStorage}, Reason.NOT_AN_IMAGE, "Encapsulated PDF"),
        ({"SOPClassUID": TwelveLeadECGWaveformStorage}, Reason.NOT_AN_IMAGE, "ECG Waveform"),
        ({"SOPClassUID": RawDataStorage}, Reason.NOT_AN_IMAGE, "Raw Data"),
        (
            {"Manufacturer": "echo-scp", "ManufacturerModelName": "echo-scp"},
            Reason.OWN_RESULT,
            "Manufacturer (0008,0070) is echo-scp",
        ),
        ({"SOPClassUID": EnhancedUSVolumeStorage}, Reason.VOLUME_3D, "Enhanced US Volume"),
        ({"Modality": "XA"}, Reason.NOT_ULTRASOUND, "Modality (0008,0060) is XA"),
        ({"Rows": None, "Columns": None, "BitsAllocated": None}, Reason.NO_PIXEL_DATA, "private format"),
        ({"NumberOfFrames": 0}, Reason.ZERO_FRAMES, "Number of Frames (0028,0008) is 0"),
        ({"NumberOfFrames": -1}, Reason.ZERO_FRAMES, "is -1"),
        ({"NumberOfFrames": 9}, Reason.TOO_FEW_FRAMES, "is 9, fewer than 10"),
        ({"NumberOfFrames": None}, Reason.TOO_FEW_FRAMES, "is missing"),
        ({"UltrasoundColorDataPresent": 1}, Reason.COLOUR_DOPPLER, "Ultrasound Color Data Present (0028,0014) is 1"),
        ({"ContrastBolusAgent": "SonoVue"}, Reason.CONTRAST, "Contrast/Bolus Agent (0018,0010) is SonoVue"),
        ({"ContrastBolusVolume": "2.5"}, Reason.CONTRAST, "(0018,1041) is 2.5"),
        ({"ContrastBolusAgentSequence": [Dataset()]}, Reason.CONTRAST, "(0018,0012) names an agent"),
        ({"StageName": "Peak dose"}, Reason.STRESS, "Stage Name (0008,2120) is Peak dose"),
        ({"StageName": "IMPOST"}, Reason.STRESS, "IMPOST"),
        ({"StageName": "Belastung"}, Reason.STRESS, "Belastung"),
        ({"StageName": "Peak, SAX basal"}, Reason.STRESS, "Peak"),
        ({"StageName": "Pre-peak"}, Reason.STRESS, "Pre-peak"),
        ({"StageCodeSequence": [coded("Peak cardiac stress state")]}, Reason.STRESS, "(0040,000A) is PEAK CARDIAC"),
        ({"NumberOfStages": 4}, Reason.STRESS, "Number of Stages (0008,2124) is 4"),
        ({"StageNumber": 2}, Reason.STRESS, "Stage Number (0008,2122) is 2"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "STRESS", "0001"]}, Reason.STRESS, "Image Type (0008,0008)"),
        ({"Rows": 0}, Reason.BAD_DIMENSIONS, "Rows (0028,0010) is 0, Columns (0028,0011) is 128"),
        ({"Columns": None}, Reason.BAD_DIMENSIONS, "Columns (0028,0011) is missing"),
        ({"Rows": 65535, "Columns": 65535}, Reason.BAD_DIMENSIONS, "expected 16 to 8192"),
        (
            {"SamplesPerPixel": 4},
            Reason.UNSUPPORTED_PIXEL_FORMAT,
            "Samples per Pixel (0028,0002) is 4; expected 1 or 3",
        ),
        ({"BitsAllocated": 32}, Reason.UNSUPPORTED_PIXEL_FORMAT, "Bits Allocated (0028,0100) is 32; expected 8 or 16"),
    ],
)
def test_what_is_not_a_grey_cine_is_refused_with_its_reason(
    changes: dict[str, Any], expected: Reason, detail: str
) -> None:
    """The detail names the element and its value."""
    error = refused(**changes)

    assert error.reason is expected
    assert detail in error.detail


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (regions({}, {"RegionDataType": 2, "RegionLocationMinX0": 40}), Reason.COLOUR_DOPPLER),
        (regions({"RegionDataType": 2}), Reason.COLOUR_DOPPLER),
        (regions({"RegionSpatialFormat": 2}), Reason.M_MODE),
        (regions({"RegionLocationMaxY1": 40}, {"RegionSpatialFormat": 2, "RegionLocationMinY0": 41}), Reason.M_MODE),
        (regions({"RegionSpatialFormat": 2, "RegionDataType": 2}), Reason.M_MODE),
        (regions({"RegionSpatialFormat": 3, "RegionDataType": 3}), Reason.SPECTRAL_DOPPLER),
        (regions({"RegionSpatialFormat": 3, "RegionDataType": 4}), Reason.SPECTRAL_DOPPLER),
        (regions({"RegionLocationMaxX1": 63}, {"RegionLocationMinX0": 64}), Reason.TWO_REGIONS),
    ],
)
def test_regions_tell_the_mode(listed: list[Dataset], expected: Reason) -> None:
    """PS3.3 C.8.5.5.1.1 and C.8.5.5.1.2."""
    assert refused(SequenceOfUltrasoundRegions=listed).reason is expected


@pytest.mark.parametrize(
    "listed",
    [
        regions({}, {}),
        regions({}, {"RegionSpatialFormat": 4, "RegionDataType": 10, "RegionLocationMinY0": 88}),
        regions({}, {"RegionSpatialFormat": 0, "RegionDataType": 13}),
        regions({}, {"RegionLocationMinX0": 0, "RegionLocationMaxX1": 19, "RegionLocationMaxY1": 27}),
        regions({}, {"RegionSpatialFormat": 3, "RegionLocationMaxX1": 5, "RegionLocationMinX0": 9}),
        regions({"RegionDataType": 0}),
    ],
    ids=["listed twice", "ECG", "grey bar", "thumbnail", "no area", "data type not applicable"],
)
def test_regions_beside_the_2d_picture_do_not_refuse(listed: list[Dataset]) -> None:
    """An ECG, a grey bar, a thumbnail and a region that is listed twice leave one 2D region."""
    accept(SequenceOfUltrasoundRegions=listed)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("0002", Reason.M_MODE),
        ("0009", Reason.SPECTRAL_DOPPLER),
        ("0011", Reason.COLOUR_DOPPLER),
        ("0041", Reason.VOLUME_3D),
    ],
)
def test_image_type_tells_the_mode_where_no_region_does(mode: str, expected: Reason) -> None:
    """Value 4 (PS3.3 C.8.5.6.1.1) counts only without regions: carts are careless with it."""
    image_type = ["ORIGINAL", "PRIMARY", "", mode]

    assert refused(ImageType=image_type, SequenceOfUltrasoundRegions=None).reason is expected
    accept(ImageType=image_type)


@pytest.mark.parametrize(
    "changes",
    [
        {"StageName": "REST", "NumberOfStages": 4, "StageNumber": 1},
        {"StageName": "Baseline", "NumberOfStages": 4},
        {"StageName": "Ruhe", "NumberOfStages": 4, "StageNumber": 1},
        {"StageName": "Basal", "NumberOfStages": 4, "StageNumber": 1},
        {"StageName": "Vor Belastung", "NumberOfStages": 2},
        {"StageName": "Avant l'effort", "NumberOfStages": 2},
        {"StageName": "Pre exercise", "NumberOfStages": 2},
        {"StageCodeSequence": [coded("Pre-stress image acquisition")], "NumberOfStages": 4},
        {"StageNumber": 0, "NumberOfStages": 1},
        {"StageName": "Four chamber"},
        {"StageName": "Posterior wall"},
        {"ContrastBolusAgent": "NONE"},
        {"ContrastBolusVolume": "0"},
        {"UltrasoundColorDataPresent": 0},
        {"Modality": "OT"},
    ],
)
def test_rest_and_no_contrast_are_eligible(changes: dict[str, Any]) -> None:
    """Tags that say nothing unusual refuse nothing."""
    accept(**changes)


def test_stress_stages_are_eligible_where_configured() -> None:
    """analysis.stress lets them in."""
    accept(AnalysisConfig(stress=True), StageName="Peak", NumberOfStages=4, StageNumber=3)


@pytest.mark.parametrize(
    ("elements", "stage"),
    [
        ({}, ""),
        ({"StageName": "REST", "StageNumber": 1, "NumberOfStages": 4}, ""),
        ({"StageName": "Peak", "StageNumber": 3, "NumberOfStages": 4}, "Stage Name (0008,2120) is Peak"),
        ({"StageName": "III", "StageNumber": 3, "NumberOfStages": 4}, "Stage Number (0008,2122) is 3"),
        ({"StageNumber": 1, "NumberOfStages": 4}, "Number of Stages (0008,2124) is 4"),
    ],
    ids=str,
)
def test_a_stage_is_told_by_its_name_else_its_number(elements: dict[str, Any], stage: str) -> None:
    """What tells one stage from the next also keeps their clips apart."""
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)

    assert stage_of(header) == stage


def test_a_clip_that_would_not_fit_into_memory_is_refused() -> None:
    """Rows x Columns x Frames x Samples is held against analysis.maximum_pixels before pixels are read."""
    config = AnalysisConfig(maximum_pixels=1_000_000)
    error = refused(config, Rows=1000, Columns=1000, NumberOfFrames=11, SamplesPerPixel=3)

    assert error.reason is Reason.BAD_DIMENSIONS
    assert "analysis.maximum_pixels" in error.detail


@pytest.mark.parametrize("syntax", [MPEG2MPML, MPEG4HP41, HEVCMP51])
def test_video_is_refused(syntax: str) -> None:
    """MPEG-2, MPEG-4 and HEVC are not decoded."""
    ds = make_header()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    error = refusal(lambda: refuse_by_header(ds, CONFIG))

    assert error.reason is Reason.UNSUPPORTED_TRANSFER_SYNTAX
    assert "video is not decoded" in error.detail
