"""Write the pictures of a clip drawn again as an Ultrasound Multi-frame Image: for viewers without SEG and SR."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from echo_scp.config import ReportConfig
from echo_scp.model import Clip, ClipAnalysis, ClipMeasurement, Flag, OverlayCine, Region, StudyAnalysis
from echo_scp.report.narrative import RESEARCH_USE, series_description
from echo_scp.report.source import REQUIRED_MAY_BE_EMPTY, SERIES_NUMBERS, complete, element_of, value_of
from echo_scp.report.uids import result_uid

_METHOD_JPEG = "ISO_10918_1"


def build_cine(
    analysis: ClipAnalysis, cine: OverlayCine, study: StudyAnalysis, config: ReportConfig, now: datetime
) -> Dataset:
    """Return the pictures as a derived Ultrasound Multi-frame Image (PS3.3 A.7)."""
    clip, measurement = analysis.clip, analysis.measurement
    if clip is None or measurement is None:
        raise ValueError(f"{analysis.instance.sop_instance_uid} was not measured")
    ds = Dataset()
    for keyword in REQUIRED_MAY_BE_EMPTY:
        setattr(ds, keyword, "")
    uid = analysis.instance.sop_instance_uid
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = result_uid(study, config, "CINE", uid)
    ds.SeriesInstanceUID = result_uid(study, config, "CINE series", uid)
    ds.Modality = "US"
    ds.SeriesNumber = config.series_number_base + SERIES_NUMBERS["CINE"]
    ds.SeriesDescription = series_description("LV contour cine", analysis, config)
    ds.InstanceNumber = 1
    ds.PatientOrientation = ""
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation = _burned_in(analysis)
    ds.ImageComments = RESEARCH_USE if config.research_use else ""
    _refer(ds, analysis)
    _set_times(ds, clip, measurement)
    _set_pixels(ds, cine, analysis)
    if clip.region.spacing is not None:
        ds.SequenceOfUltrasoundRegions = [_region(clip.region, cine)]
    complete(ds, study, (analysis.instance,), config, now)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return ds


def _burned_in(analysis: ClipAnalysis) -> str:
    """Tell whether a name may be in the picture: not if the machine itself said where its 2D region is."""
    guessed = any(note.flag is Flag.NO_REGIONS for note in analysis.notes)
    return (value_of(analysis.instance.header, "BurnedInAnnotation") or "YES") if guessed else "NO"


def _refer(ds: Dataset, analysis: ClipAnalysis) -> None:
    source = Dataset()
    source.ReferencedSOPClassUID = analysis.instance.sop_class_uid
    source.ReferencedSOPInstanceUID = analysis.instance.sop_instance_uid
    ds.SourceImageSequence = [source]
    ds.DerivationDescription = "Outlines, volume curve and result drawn into the 2D region of the source"


def _set_times(ds: Dataset, clip: Clip, measurement: ClipMeasurement) -> None:
    """Write one frame time where all are alike, else each (PS3.3 C.7.6.5)."""
    steps = np.diff(clip.frame_times_ms)
    mean_ms = float(steps.mean()) if len(steps) else 40.0
    if np.allclose(steps, mean_ms, rtol=0.01):
        ds.FrameIncrementPointer = 0x00181063
        ds.FrameTime = f"{mean_ms:.4f}"
    else:
        ds.FrameIncrementPointer = 0x00181065
        ds.FrameTimeVector = ["0", *(f"{step:.4f}" for step in steps)]
    ds.CineRate = ds.RecommendedDisplayFrameRate = max(1, round(1000 / mean_ms))
    if measurement.heart_rate_is_told:  # the element is an acquisition's (PS3.3 C.7.6.5): a guess is none
        ds.HeartRate = round(measurement.heart_rate_bpm)


def _set_pixels(ds: Dataset, cine: OverlayCine, analysis: ClipAnalysis) -> None:
    ds.NumberOfFrames = len(cine.frames)
    ds.Rows, ds.Columns = cine.rows, cine.columns
    ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    size = sum(map(len, cine.frames))
    ratio = f"{len(cine.frames) * cine.rows * cine.columns * 3 / max(size, 1):.2f}"
    earlier = [element_of(analysis.instance.header, f"LossyImageCompression{name}") for name in ("Ratio", "Method")]
    before = [_values(element.value) if element is not None else [] for element in earlier]
    ds.LossyImageCompression = "01"  # it never goes back to 00 (PS3.3 C.7.6.1.1.5)
    known = before if len(before[0]) == len(before[1]) else [[], []]
    ds.LossyImageCompressionRatio = [*known[0], ratio]
    ds.LossyImageCompressionMethod = [*known[1], _METHOD_JPEG]
    ds.PixelData = encapsulate(list(cine.frames), has_bot=True)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True


def _values(value: object) -> list[str]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(map(str, value))  # type: ignore[list-item]


def _region(region: Region, cine: OverlayCine) -> Dataset:
    """Return where the 2D picture lies, with its scale (PS3.3 C.8.5.5)."""
    assert region.spacing is not None  # the caller asked
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = cine.x0, cine.y0
    item.RegionLocationMaxX1 = cine.x0 + region.x1 - region.x0 - 1
    item.RegionLocationMaxY1 = cine.y0 + region.y1 - region.y0 - 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = region.spacing.column_mm / 10, region.spacing.row_mm / 10
    return item
