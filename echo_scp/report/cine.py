"""Draw a clip again with outlines, volume curve and result in the picture: for viewers without SEG and SR.

Only the 2D region of the source is shown: what lies outside it may be the burned-in name of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, UltrasoundMultiFrameImageStorage

from echo_scp.config import ReportConfig
from echo_scp.model import (
    Clip,
    ClipAnalysis,
    ClipMeasurement,
    Flag,
    OverlayCine,
    Region,
    Segmentation,
    Structure,
    StudyAnalysis,
    View,
)
from echo_scp.report.canvas import (
    BACKGROUND,
    ES_COLOUR,
    TEXT,
    WARNING,
    Box,
    Colour,
    Picture,
    polyline,
    text_width,
    write,
)
from echo_scp.report.narrative import METHOD_NAMES, RESEARCH_USE, series_description
from echo_scp.report.plot import Axes, axes_of, draw_curve
from echo_scp.report.source import REQUIRED_MAY_BE_EMPTY, SERIES_NUMBERS, complete, element_of, value_of
from echo_scp.report.uids import result_uid

HEADER_HEIGHT, CURVE_HEIGHT, MINIMUM_WIDTH = 56, 150, 480
QUALITY = 85
COLOURS: tuple[tuple[Structure, Colour], ...] = (
    (Structure.LEFT_ATRIUM, (190, 120, 255)),
    (Structure.LV_CAVITY, (90, 230, 120)),
)
_METHOD_JPEG = "ISO_10918_1"


def draw_cine(analysis: ClipAnalysis, *, research_use: bool = True) -> OverlayCine:
    """Return the pictures of a clip that was measured; raises ValueError when it was not."""
    clip, measurement, segmentation = analysis.clip, analysis.measurement, analysis.segmentation
    if clip is None or measurement is None or segmentation is None:
        raise ValueError(f"{analysis.instance.sop_instance_uid} was not measured")
    region = clip.region
    width = max(region.x1 - region.x0, MINIMUM_WIDTH) + 1 & ~1  # even: JPEG 4:2:2 shares colour between two pixels
    height = region.y1 - region.y0
    x0, y0 = (width - (region.x1 - region.x0)) // 2, HEADER_HEIGHT
    page = np.full((HEADER_HEIGHT + height + CURVE_HEIGHT, width, 3), BACKGROUND, dtype=np.uint8)
    view = View.OTHER if analysis.view is None else analysis.view.view
    _draw_header(page, view, measurement, research_use=research_use)
    box = Box(0, HEADER_HEIGHT + height, width, HEADER_HEIGHT + height + CURVE_HEIGHT)
    draw_curve(page, box, clip.frame_times_ms, measurement)
    scene = _Scene(page, clip, segmentation, axes_of(box, clip.frame_times_ms, measurement), x0, y0)
    frames = tuple(_jpeg(scene.at(index)) for index in range(len(clip.frames)))
    return OverlayCine(frames, page.shape[0], page.shape[1], x0, y0)


def _draw_header(page: Picture, view: View, measurement: ClipMeasurement, *, research_use: bool) -> None:
    volumes = "uncalibrated: no volumes"
    if measurement.edv_ml is not None and measurement.esv_ml is not None:
        volumes = f"EDV {measurement.edv_ml:.0f} mL  ESV {measurement.esv_ml:.0f} mL"
    x = write(page, f"EF {measurement.ef_percent:.0f} %", (10, 28), 0.8, TEXT)
    write(page, volumes, (x + 14, 28), 0.5, TEXT)
    small = f"{view}, {METHOD_NAMES[measurement.method]}"
    write(page, small, (10, 48), 0.4, TEXT)
    if research_use:
        warning = "RESEARCH USE ONLY"
        write(page, warning, (page.shape[1] - 10 - text_width(warning, 0.4), 48), 0.4, WARNING)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What is the same on every frame, and where the 2D region goes."""

    page: Picture
    clip: Clip
    segmentation: Segmentation
    axes: Axes
    x0: int
    y0: int

    def at(self, index: int) -> Picture:
        """Return the picture of a frame."""
        region, axes = self.clip.region, self.axes
        rows, columns = slice(region.y0, region.y1), slice(region.x0, region.x1)
        picture = self.page.copy()
        seen = picture[self.y0 : self.y0 + region.y1 - region.y0, self.x0 : self.x0 + region.x1 - region.x0]
        seen[:] = cv2.cvtColor(self.clip.frames[index, rows, columns], cv2.COLOR_GRAY2RGB)
        self._outline(picture, self.segmentation.label_maps[index, rows, columns])
        x = axes.x(float(self.clip.frame_times_ms[index]) / 1000)
        polyline(picture, np.array([[x, axes.box.y0], [x, axes.box.y1]]), ES_COLOUR, 1)
        return picture

    def _outline(self, picture: Picture, labels: NDArray[np.uint8]) -> None:
        structures = self.segmentation.structures
        for structure, colour in COLOURS:
            if structure in structures:
                mask = np.equal(labels, structures.index(structure) + 1).view(np.uint8)
                contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
                cv2.drawContours(picture, contours, -1, colour, 2, cv2.LINE_8, offset=(self.x0, self.y0))


def _jpeg(picture: Picture) -> bytes:
    content: bytes = simplejpeg.encode_jpeg(picture, quality=QUALITY, colorspace="RGB", colorsubsampling="422")
    return content


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
