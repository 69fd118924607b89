"""Say a result in sentences a reader understands without any code table; plain ASCII except for what was received."""

from __future__ import annotations

from echo_scp.model import (
    ClipAnalysis,
    ClipMeasurement,
    NotAssessed,
    Note,
    StudyAnalysis,
    StudyMeasurement,
    View,
    VolumeMethod,
)
from echo_scp.report.source import ordered_clips, value_of

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
METHOD_NAMES = {
    VolumeMethod.DISKS_SINGLE_PLANE: "method of disks, single plane",
    VolumeMethod.AREA_LENGTH_SINGLE_PLANE: "area-length, single plane",
}


def headline(study: StudyAnalysis) -> str:
    """Return the study's result, or why there is none."""
    if isinstance(study.result, NotAssessed):
        return f"LV ejection fraction not assessed: {_because(study.result)}."
    result = study.result
    return (
        f"LV ejection fraction {result.ef_percent:.1f} %{_volumes(result)}; {METHOD_NAMES[result.method]}, "
        f"{result.view} view; {_count(result.beat_count, 'beat')} in {_count(len(result.sop_instance_uids), 'clip')}."
    )


def assessment_sentences(study: StudyAnalysis) -> tuple[str, ...]:
    """Return one sentence per published scale and one for the thresholds the EF is under."""
    if study.assessment is None:
        return ()
    grades = tuple(f"{grade.scale}: {grade.grade}." for grade in study.assessment.grades)
    below = study.assessment.thresholds_below
    if not below:
        return grades
    return (*grades, f"LV ejection fraction is below {', '.join(f'{threshold} %' for threshold in below)}.")


def clip_sentences(study: StudyAnalysis) -> tuple[str, ...]:
    """Return one sentence per instance: what it gave, or why it gave nothing."""
    return tuple(_clip_sentence(analysis) for analysis in ordered_clips(study))


def _clip_sentence(analysis: ClipAnalysis) -> str:
    start = clip_label(analysis)
    if analysis.view is not None and analysis.view.view is not View.OTHER:
        start += f" ({analysis.view.view}, {100 * analysis.view.confidence:.0f} %)"
    if analysis.measurement is not None:
        return f"{start}: {_measured(analysis.measurement)}.{_remarks(analysis)}"
    if analysis.not_assessed is not None:
        return f"{start}: not assessed: {_because(analysis.not_assessed)}.{_remarks(analysis)}"
    return f"{start}: not measured.{_remarks(analysis)}"


def clip_label(analysis: ClipAnalysis) -> str:
    """Return how a reader finds the instance in a viewer."""
    header = analysis.instance.header
    series, number = value_of(header, "SeriesNumber"), value_of(header, "InstanceNumber")
    if series and number:
        return f"Series {series}, instance {number}"
    return f"Instance {analysis.instance.sop_instance_uid}"


def _measured(measurement: ClipMeasurement) -> str:
    spread = "" if measurement.ef_sd_percent is None else f" (SD {measurement.ef_sd_percent:.1f})"
    return (
        f"ejection fraction {measurement.ef_percent:.1f} %{spread}{_volumes(measurement)}, "
        f"heart rate {measurement.heart_rate_bpm:.0f}/min, {_count(len(measurement.beats), 'beat')}"
    )


def _volumes(measured: StudyMeasurement | ClipMeasurement) -> str:
    if measured.edv_ml is None or measured.esv_ml is None:
        return ", volumes not reported because the image is not calibrated"
    return f", EDV {measured.edv_ml:.0f} mL, ESV {measured.esv_ml:.0f} mL"


def _remarks(analysis: ClipAnalysis) -> str:
    notes: tuple[Note, ...] = analysis.notes
    for more in (analysis.clip, analysis.measurement):
        notes += () if more is None else more.notes
    return "".join(f" {note.flag}: {note.detail.rstrip('.')}." for note in dict.fromkeys(notes))


def _because(refusal: NotAssessed) -> str:
    detail = refusal.detail.rstrip(".")
    return f"{refusal.reason}: {detail}" if detail else str(refusal.reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
