"""Write a study's result as a Structured Report: TID 1500 when there is a contour, TID 5200, TID 5300 (PS3.16)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from highdicom.sr import (
    Comprehensive3DSR,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    MeasurementReport,
    ObservationContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, SimplifiedAdultEchoSRStorage

from echo_scp.config import ReportConfig
from echo_scp.model import StudyAnalysis
from echo_scp.report import codes
from echo_scp.report.echo_report import echo_report
from echo_scp.report.groups import measured_clips, measurement_groups
from echo_scp.report.items import container
from echo_scp.report.narrative import (
    RESEARCH_USE,
    assessment_sentences,
    clip_sentences,
    headline,
    result_sentences,
    series_description,
)
from echo_scp.report.observer import device_observer
from echo_scp.report.simplified_report import simplified_report
from echo_scp.report.source import SERIES_NUMBERS, complete, engine_parameters, ordered_clips, shell
from echo_scp.report.uids import result_uid


@dataclass(frozen=True, slots=True)
class PredecessorReference:
    """The report that this one replaces (PS3.3 C.17.2, Predecessor Documents Sequence)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    kind: str = "SR"


def build_sr(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    config: ReportConfig,
    now: datetime,
    predecessor: PredecessorReference | None = None,
    *,
    sop_class_uid: str = Comprehensive3DSRStorage,
    content: Dataset | None = None,
) -> Dataset:
    """Return the report of a study of at least one instance; `segs`, or references to them, are named as evidence.

    `sop_class_uid` may be Comprehensive SR, for a destination that refuses Comprehensive 3D SR. A study without any
    contour is always reported as Comprehensive SR. `content` is what `report_content` gave, where it is known already.
    """
    three_d = sop_class_uid == Comprehensive3DSRStorage and bool(measured_clips(study))
    document = Comprehensive3DSR if three_d else ComprehensiveSR
    content = content or report_content(study, config)
    kind = (Comprehensive3DSR if sop_class_uid == Comprehensive3DSRStorage else ComprehensiveSR).__name__
    number = SERIES_NUMBERS["SR" if kind == Comprehensive3DSR.__name__ else "SR_COMPREHENSIVE"]
    return _document(
        _Document(document, content, kind, number, "LV measurements"), study, segs, config, now, predecessor=predecessor
    )


def report_content(study: StudyAnalysis, config: ReportConfig) -> Dataset:
    """Return the root of what the report says, the same in either class.

    A study without any contour is reported by TID 5200: viewers stop at a TID 1500 without contours.
    """
    return _measurement_report(study, config) if measured_clips(study) else _echo_report(study, config)


def build_echo_sr(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    config: ReportConfig,
    now: datetime,
    predecessor: PredecessorReference | None = None,
) -> Dataset:
    """Return the report as an Adult Echocardiography Procedure Report (TID 5200), for echo reporting systems."""
    content = _echo_report(study, config)
    document = _Document(ComprehensiveSR, content, "echo report", SERIES_NUMBERS["SR_ECHO"], "Echo report")
    return _document(document, study, segs, config, now, predecessor=predecessor)


def build_simplified_sr(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    config: ReportConfig,
    now: datetime,
    predecessor: PredecessorReference | None = None,
) -> Dataset | None:
    """Return the report as a Simplified Adult Echo SR (PS3.3 A.35.17, TID 5300); None when nothing was measured."""
    content = simplified_report(study, _observer(config))
    if content is None:
        return None
    number = SERIES_NUMBERS["SR_SIMPLIFIED"]
    document = _Document(ComprehensiveSR, content, "simplified echo report", number, "Simplified echo report")
    sr = _document(document, study, segs, config, now, predecessor=predecessor)
    # highdicom has no class for it; what it holds is a part of what Comprehensive SR may.
    sr.SOPClassUID = sr.file_meta.MediaStorageSOPClassUID = SimplifiedAdultEchoSRStorage
    if "TimezoneOffsetFromUTC" not in sr:  # required here (PS3.3 A.35.17.3): that of the node
        sr.TimezoneOffsetFromUTC = now.astimezone().strftime("%z")
    return sr


@dataclass(frozen=True, slots=True)
class _Document:
    """What tells one report of a study from another; `kind` is what its UIDs follow from."""

    sop_class: type[Dataset]
    content: Dataset
    kind: str
    series_number: int
    title: str


def _document(
    document: _Document,
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    config: ReportConfig,
    now: datetime,
    *,
    predecessor: PredecessorReference | None,
) -> Dataset:
    instances = [analysis.instance for analysis in ordered_clips(study)]
    uid = result_uid(study, config, document.kind)
    # highdicom copies the tree, reads it again and searches it: twice the time of making it. It gets the root alone.
    content, document.content.ContentSequence = document.content.ContentSequence, ContentSequence()
    sr = document.sop_class(
        evidence=[*(shell(instance) for instance in instances), *sorted(segs, key=lambda seg: str(seg.SOPInstanceUID))],
        content=document.content,
        series_instance_uid=result_uid(study, config, document.kind, "series"),
        series_number=config.series_number_base + document.series_number,
        sop_instance_uid=uid,
        instance_number=1,
        series_description=series_description(document.title, None, config),
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=_previous_versions(predecessor),
    )
    sr.ContentSequence = document.content.ContentSequence = content
    complete(sr, study, instances, config, now, texts=[sentence.text for sentence in _sentences(study, config)])
    return sr


def reference_to(
    study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str, sop_class_uid: str
) -> Dataset:
    """Return what a report must know of an instance to name it."""
    ds = Dataset()
    ds.StudyInstanceUID = study_instance_uid
    ds.SeriesInstanceUID = series_instance_uid
    ds.SOPInstanceUID = sop_instance_uid
    ds.SOPClassUID = sop_class_uid
    return ds


@dataclass(frozen=True, slots=True)
class _Sentence:
    concept: Code
    text: str


def _sentences(study: StudyAnalysis, config: ReportConfig) -> tuple[_Sentence, ...]:
    said = [_Sentence(codes.COMMENT, RESEARCH_USE)] if config.research_use else []
    said += [_Sentence(codes.IMPRESSION, text) for text in (headline(study), *assessment_sentences(study))]
    said += [_Sentence(codes.COMMENT, text) for text in (*result_sentences(study), *clip_sentences(study))]
    return tuple(said)


def _measurement_report(study: StudyAnalysis, config: ReportConfig) -> Dataset:
    report = MeasurementReport(
        observation_context=_observer(config),
        procedure_reported=codes.ECHOCARDIOGRAPHY,
        imaging_measurements=measurement_groups(study, config),
    )[0]
    report.ContentSequence.append(_section(codes.QUALITATIVE_EVALUATIONS, _sentences(study, config)))
    return report


def _echo_report(study: StudyAnalysis, config: ReportConfig) -> Dataset:
    engines = (
        _Sentence(codes.COMMENT, f"Engine {name} {identity}.") for name, identity in engine_parameters(study).items()
    )
    return echo_report(study, _observer(config), _section(codes.SUMMARY, (*_sentences(study, config), *engines)))


def _section(concept: Code, sentences: Iterable[_Sentence]) -> ContainerContentItem:
    contains = RelationshipTypeValues.CONTAINS
    texts = (TextContentItem(sentence.concept, sentence.text, relationship_type=contains) for sentence in sentences)
    return container(concept, texts)


def _observer(config: ReportConfig) -> ObservationContext:
    return ObservationContext(observer_device_context=device_observer(config))


def _previous_versions(predecessor: PredecessorReference | None) -> list[Dataset] | None:
    """Return what highdicom copies the reference from."""
    if predecessor is None:
        return None
    study, series = predecessor.study_instance_uid, predecessor.series_instance_uid
    return [reference_to(study, series, predecessor.sop_instance_uid, predecessor.sop_class_uid)]
