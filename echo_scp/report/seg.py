"""Write what was outlined on a clip as one binary Segmentation (PS3.3 A.51).

highdicom segments a multi-frame source only in a Frame of Reference, which ultrasound has not: the source is shown to
it as a copy with one, each frame one millimetre behind the one before. Viewers tell the frames apart by it.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from highdicom import (
    AlgorithmIdentificationSequence,
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
)
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.seg import Segmentation as SegmentationObject
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from echo_scp import __version__
from echo_scp.config import ReportConfig
from echo_scp.model import (
    MANUFACTURER,
    ClipAnalysis,
    LabelMaps,
    PixelSpacing,
    Segmentation,
    Structure,
    StudyAnalysis,
    renumbered,
)
from echo_scp.report.codes import ANATOMICAL_STRUCTURE, ARTIFICIAL_INTELLIGENCE, STRUCTURES
from echo_scp.report.narrative import RESEARCH_USE, series_description
from echo_scp.report.source import SERIES_NUMBERS, complete, element_of, engine_parameters, shell
from echo_scp.report.uids import derive_uid, result_uid

SEGMENT_LABELS = {
    Structure.LV_CAVITY: "LV cavity",
    Structure.LV_MYOCARDIUM: "LV myocardium",
    Structure.LEFT_ATRIUM: "Left atrium",
    Structure.RIGHT_VENTRICLE: "Right ventricle",
    Structure.INTERVENTRICULAR_SEPTUM: "Interventricular septum",
    Structure.AORTIC_ROOT: "Aortic root",
}
_ROWS_APART = 16
NOMINAL_SPACING = PixelSpacing(row_mm=1.0, column_mm=1.0)
CALIBRATED_NOTE = "Frame order as z: derive no volume from it"  # Content Description holds 64 characters
UNCALIBRATED_NOTE = "Not calibrated: spacing nominal; frame order as z"


def build_seg(clip: ClipAnalysis, study: StudyAnalysis, config: ReportConfig, now: datetime) -> Dataset:
    """Return the Segmentation of every frame on which a structure was outlined.

    Raises ValueError when the clip has no outline on any frame.
    """
    structures, label_maps = outlined(clip)
    spacing = None if clip.clip is None else clip.clip.region.spacing
    uid = clip.instance.sop_instance_uid
    seg = SegmentationObject(
        source_images=[_positioned_source(clip, label_maps.shape, spacing or NOMINAL_SPACING, config)],
        pixel_array=label_maps,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=_segments(structures, clip, study, config),
        series_instance_uid=result_uid(study, config, "SEG series", uid),  # of a series OHIF shows only the first SEG
        series_number=config.series_number_base + SERIES_NUMBERS["SEG"],
        sop_instance_uid=result_uid(study, config, "SEG", uid),
        instance_number=1,
        content_label="LV",
        content_description=UNCALIBRATED_NOTE if spacing is None else CALIBRATED_NOTE,
        series_description=series_description("LV segmentation", clip, config),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=True,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number=__version__,
    )
    seg.pop("DimensionOrganizationType", None)  # highdicom calls one segment at even positions 3D; these are times
    _name_dimensions(seg, result_uid(study, config, "SEG dimensions", uid))
    complete(seg, study, (clip.instance,), config, now)
    return seg


def outlined(clip: ClipAnalysis) -> tuple[tuple[Structure, ...], LabelMaps]:
    """Return the structures that are on any frame, and label maps in which value k means the k-th of them."""
    if clip.segmentation is None:
        raise ValueError(f"{clip.instance.sop_instance_uid} was not segmented")
    segmentation = clip.segmentation
    seen = tuple(structure for structure in segmentation.structures if _is_outlined(segmentation, structure))
    if not seen:
        raise ValueError(f"no structure is outlined on any frame of {clip.instance.sop_instance_uid}")
    if seen == segmentation.structures:
        return seen, segmentation.label_maps
    return seen, renumbered(segmentation.label_maps, segmentation.structures, seen)


def _is_outlined(segmentation: Segmentation, structure: Structure) -> bool:
    value = segmentation.structures.index(structure) + 1
    return any(is_on(frame, value) for frame in segmentation.label_maps)  # mostly on the first one


def is_on(labels: NDArray[np.uint8], value: int) -> bool:
    """Tell whether a value is on a frame: a look at few of the rows, as it is rarely smaller than the gaps between."""
    return bool(np.equal(labels[::_ROWS_APART], value).any() or np.equal(labels, value).any())


def _positioned_source(
    clip: ClipAnalysis, shape: tuple[int, ...], spacing: PixelSpacing, config: ReportConfig
) -> Dataset:
    source = shell(clip.instance)
    source.NumberOfFrames, source.Rows, source.Columns = shape
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        element = element_of(clip.instance.header, keyword)
        if element is not None and not element.is_empty:
            source.add(element)
    source.FrameOfReferenceUID = derive_uid(config.uid_root, "frame of reference", clip.instance.sop_instance_uid)
    shared = Dataset()
    shared.PixelMeasuresSequence = PixelMeasuresSequence((spacing.row_mm, spacing.column_mm), slice_thickness=1.0)
    shared.PlaneOrientationSequence = PlaneOrientationSequence("PATIENT", (1, 0, 0, 0, 1, 0))
    source.SharedFunctionalGroupsSequence = [shared]
    source.PerFrameFunctionalGroupsSequence = [_position(index) for index in range(shape[0])]
    return source


def _position(frame_index: int) -> Dataset:
    item = Dataset()
    # Towards -z: along +z the frames would come out in reverse, and at one position none could be told from another.
    item.PlanePositionSequence = PlanePositionSequence("PATIENT", (0.0, 0.0, float(-frame_index)))
    return item


def _segments(
    structures: tuple[Structure, ...], clip: ClipAnalysis, study: StudyAnalysis, config: ReportConfig
) -> list[SegmentDescription]:
    algorithm = AlgorithmIdentificationSequence(
        name=MANUFACTURER,
        family=ARTIFICIAL_INTELLIGENCE,
        version=__version__,
        source=MANUFACTURER,
        parameters=engine_parameters(study),
    )
    return [
        _segment(number, structure, algorithm, clip, config) for number, structure in enumerate(structures, start=1)
    ]


def _segment(
    number: int,
    structure: Structure,
    algorithm: AlgorithmIdentificationSequence,
    clip: ClipAnalysis,
    config: ReportConfig,
) -> SegmentDescription:
    segment = SegmentDescription(
        segment_number=number,
        segment_label=SEGMENT_LABELS[structure],
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=STRUCTURES[structure],
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        tracking_uid=derive_uid(config.uid_root, "segment", structure, clip.instance.sop_instance_uid),
        tracking_id=SEGMENT_LABELS[structure],
    )
    segment.SegmentDescription = _caveats(clip, config)
    return segment


def _caveats(clip: ClipAnalysis, config: ReportConfig) -> str:
    sentences = ["The z coordinate is the order of the frames in time; no volume may be derived from it."]
    if clip.clip is None or clip.clip.region.spacing is None:
        sentences.append(
            "The source is not calibrated; the pixel spacing is nominal and no size may be derived from it."
        )
    if config.research_use:
        sentences.append(RESEARCH_USE)
    return " ".join(sentences)


def _name_dimensions(seg: Dataset, uid: str) -> None:
    """Replace the random UID of the Multi-frame Dimension module (PS3.3 C.7.6.17)."""
    for item in (*seg.DimensionOrganizationSequence, *seg.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
