"""Say a result in sentences a reader understands without any code table; plain ASCII except for what was received.

Whatever has a grade is told with the digit that was graded: "EDV 150 mL, above normal range" would contradict itself.
What has fewer digits than in results.json is rounded to those first: status page and terminal tell it from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from echo_scp.config import ReportConfig
from echo_scp.model import (
    ClipAnalysis,
    ClipMeasurement,
    Interval,
    NotAssessed,
    Note,
    StudyAnalysis,
    StudyMeasurement,
    View,
    VolumeMethod,
    as_told,
)
from echo_scp.report.source import ordered_clips, value_of

RESEARCH_USE = "Research use only. Not for diagnosis or treatment."
METHOD_NAMES = {
    VolumeMethod.DISKS_BIPLANE: "method of disks, biplane",
    VolumeMethod.DISKS_SINGLE_PLANE: "method of disks, single plane",
    VolumeMethod.AREA_LENGTH_BIPLANE: "area-length, biplane",
    VolumeMethod.AREA_LENGTH_SINGLE_PLANE: "area-length, single plane",
    VolumeMethod.REGRESSION: "regression by a network",
}


def headline(study: StudyAnalysis) -> str:
    """Return the study's result, or why there is none."""
    if isinstance(study.result, NotAssessed):
        return f"LV ejection fraction not assessed: {_because(study.result)}."
    result = study.result
    return (
        f"LV ejection fraction {result.ef_percent:.1f} %{_interval(result.ef_interval)}"
        f"{_volumes(result)}{_volume_method(result)}; "
        f"{METHOD_NAMES[result.method]}, {_views(result)}; "
        f"{_count(result.beat_count, 'beat')} in {_count(len(result.sop_instance_uids), 'clip')}."
    )


def _volume_method(result: StudyMeasurement) -> str:
    """Say how volumes were measured where the EF is not theirs."""
    if result.edv_ml is None or result.esv_ml is None or result.volume_method is result.method:
        return ""
    return f" ({METHOD_NAMES[result.volume_method]})"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f" (95 % interval {_whole(interval.low)} to {_whole(interval.high)} %)"


def _whole(value: float) -> str:
    return f"{as_told(value):.0f}"


def _views(result: StudyMeasurement) -> str:
    if result.method.is_biplane:
        return f"{View.A4C} and {View.A2C} views"
    return f"{result.view} view"


def result_sentences(study: StudyAnalysis) -> tuple[str, ...]:
    """Return what else was measured of the study, why these clips were chosen, and what to know of the numbers."""
    if isinstance(study.result, NotAssessed):
        return ()
    result = study.result
    said = (*_flow(result), *_atrium(result), *_indices(result), *_other_methods(result))
    return (*said, *((result.choice,) if result.choice else ()), *_noted(result.notes), *_settings(study))


def _flow(result: StudyMeasurement) -> Iterator[str]:
    if result.stroke_volume_ml is not None:
        output, rate_bpm = result.cardiac_output_l_min, result.heart_rate_bpm
        rate = ""
        if output is not None and rate_bpm is not None:
            rate = f", cardiac output {round(output, 2):.1f} L/min at {_whole(rate_bpm)}/min"
        yield f"Stroke volume {result.stroke_volume_ml:.1f} mL{rate}."


def _atrium(result: StudyMeasurement) -> Iterator[str]:
    if result.la_volume_ml is not None and result.la_method is not None:
        yield f"LA volume {result.la_volume_ml:.1f} mL at end-systole ({METHOD_NAMES[result.la_method]})."


def _indices(result: StudyMeasurement) -> Iterator[str]:
    if result.body is None:
        return
    told = (
        ("EDV", result.edv_index_ml_m2),
        ("ESV", result.esv_index_ml_m2),
        ("stroke volume", result.stroke_index_ml_m2),
        ("LA", result.la_index_ml_m2),
    )
    indices = ", ".join(f"{name} {value:.1f}" for name, value in told if value is not None)
    if indices:
        yield f"Per body surface ({result.body.surface_m2:.2f} m2 by {result.body.formula}): {indices} mL/m2."


def _other_methods(result: StudyMeasurement) -> Iterator[str]:
    if result.ef_area_length_percent is not None:
        volumes = ""
        if result.edv_area_length_ml is not None and result.esv_area_length_ml is not None:
            volumes = f", EDV {result.edv_area_length_ml:.1f} mL, ESV {result.esv_area_length_ml:.1f} mL"
        yield f"By area-length: ejection fraction {result.ef_area_length_percent:.1f} %{volumes}."
    if result.regressed_ef_percent is not None and result.method is not VolumeMethod.REGRESSION:
        yield f"By regression, without outlines: ejection fraction {result.regressed_ef_percent:.1f} %."


def _noted(notes: Iterable[Note]) -> Iterator[str]:
    yield from (f"{note.flag}: {note.detail.rstrip('.')}." for note in notes)


def _settings(study: StudyAnalysis) -> Iterator[str]:
    if study.measure_settings:
        listed = ", ".join(f"{key} = {value}" for key, value in study.measure_settings)
        yield f"Measured with settings other than the defaults: {listed}."


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


def series_description(what: str, clip: ClipAnalysis | None, config: ReportConfig) -> str:
    """Return what a series is called, the view and number of its clip in it; at most 64 characters (PS3.5 6.2, LO)."""
    words = [what]
    if clip is not None:
        words += [clip.view.view] if clip.view is not None and clip.view.view is not View.OTHER else []
        words += [number] if (number := value_of(clip.instance.header, "InstanceNumber")) else []
    words += ["(research use)"] if config.research_use else []
    return " ".join(words)[:64]


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
        f"heart rate {_whole(measurement.heart_rate_bpm)}/min, {_count(len(measurement.beats), 'beat')}, "
        f"quality {measurement.quality.score:.2f}"
    )


def _volumes(measured: StudyMeasurement | ClipMeasurement) -> str:
    if measured.edv_ml is None or measured.esv_ml is None:
        if isinstance(measured, StudyMeasurement) and measured.aggregation == "usal":  # it knows calibrated clips only
            return ", volumes not reported because they are outside usal_echo's limits"
        return ", volumes not reported because the image is not calibrated"
    return f", EDV {measured.edv_ml:.1f} mL, ESV {measured.esv_ml:.1f} mL"


def _remarks(analysis: ClipAnalysis) -> str:
    notes: tuple[Note, ...] = analysis.notes
    for more in (analysis.clip, analysis.measurement):
        notes += () if more is None else more.notes
    return "".join(f" {sentence}" for sentence in _noted(dict.fromkeys(notes)))


def _because(refusal: NotAssessed) -> str:
    detail = refusal.detail.rstrip(".")
    return f"{refusal.reason}: {detail}" if detail else str(refusal.reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
