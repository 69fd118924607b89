"""Select the frames that were measured as Key Objects (PS3.16 TID 2010): viewers jump to them without reading an SR."""

from __future__ import annotations

from datetime import datetime

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset

from echo_scp.config import ReportConfig
from echo_scp.model import MANUFACTURER, ClipMeasurement, Instance, StudyAnalysis
from echo_scp.report import codes
from echo_scp.report.groups import measured_clips
from echo_scp.report.narrative import RESEARCH_USE, headline, series_description
from echo_scp.report.observer import device_observer
from echo_scp.report.source import SERIES_NUMBERS, complete, shell
from echo_scp.report.uids import result_uid


def build_key_objects(study: StudyAnalysis, config: ReportConfig, now: datetime) -> Dataset:
    """Return the selection of the end-diastoles and end-systoles; raises ValueError when there is none."""
    clips = measured_clips(study)
    if not clips:
        raise ValueError(f"no clip of {study.study_instance_uid} was measured")
    images = [_image(clip.instance) for clip in clips]
    description = f"{headline(study)} {RESEARCH_USE}" if config.research_use else headline(study)
    content = KeyObjectSelection(
        codes.OF_INTEREST, images, observer_device_context=device_observer(config), description=description
    )
    references = (item for item in content[0].ContentSequence if item.ValueType == "IMAGE")
    for clip, item in zip(clips, references, strict=True):
        item.ReferencedSOPSequence[0].ReferencedFrameNumber = _frame_numbers(clip.measurement)
    document = KeyObjectSelectionDocument(
        evidence=images,
        content=content,
        series_instance_uid=result_uid(study, config, "KO series"),
        series_number=config.series_number_base + SERIES_NUMBERS["KO"],
        sop_instance_uid=result_uid(study, config, "KO"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        series_description=series_description("End-diastoles and end-systoles", None, config),
    )
    complete(document, study, [clip.instance for clip in clips], config, now, texts=[description])
    return document


def _image(instance: Instance) -> Dataset:
    image = shell(instance)
    image.Rows = image.Columns = 1  # highdicom takes for an image what has both; they are not copied
    return image


def _frame_numbers(measurement: ClipMeasurement) -> list[int]:
    frames = {beat.end_diastole.frame_index for beat in measurement.beats}
    frames |= {beat.end_systole.frame_index for beat in measurement.beats}
    return [index + 1 for index in sorted(frames)]
