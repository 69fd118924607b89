"""Write a study's result as a Structured Report: TID 1500 when there is a contour, else the text of TID 5200."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from highdicom.sr import (
    CodedConcept,
    Comprehensive3DSR,
    ComprehensiveSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    LanguageOfContentItemAndDescendants,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
    TextContentItem,
)
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage

from echo_scp import __version__
from echo_scp.config import ReportConfig
from echo_scp.model import StudyAnalysis
from echo_scp.report import codes
from echo_scp.report.groups import measured_clips, measurement_groups
from echo_scp.report.narrative import RESEARCH_USE, assessment_sentences, clip_sentences, headline
from echo_scp.report.source import MANUFACTURER, complete, engine_parameters, ordered_clips, shell
from echo_scp.report.uids import derive_uid, result_uid


@dataclass(frozen=True, slots=True)
class PredecessorReference:
    """The report that this one replaces (PS3.3 C.17.2, Predecessor Documents Sequence)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


def build_sr(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    config: ReportConfig,
    now: datetime,
    predecessor: PredecessorReference | None = None,
    *,
    sop_class_uid: str = Comprehensive3DSRStorage,
) -> Dataset:
    """Return the report of a study of at least one instance; `segs`, or references to them, are named as evidence.

    `sop_class_uid` may be Comprehensive SR, for a destination that refuses Comprehensive 3D SR. A study without any
    contour is always reported as Comprehensive SR.
    """
    instances = [analysis.instance for analysis in ordered_clips(study)]
    has_contour = bool(measured_clips(study))
    document = Comprehensive3DSR if has_contour and sop_class_uid == Comprehensive3DSRStorage else ComprehensiveSR
    sentences = _sentences(study, config)
    uid = result_uid(study, config, document.__name__)
    sr = document(
        evidence=[*(shell(instance) for instance in instances), *sorted(segs, key=lambda seg: str(seg.SOPInstanceUID))],
        content=_measurement_report(study, config, sentences)
        if has_contour
        else _text_report(study, config, sentences),
        series_instance_uid=result_uid(study, config, document.__name__, "series"),
        series_number=config.series_number_base,
        sop_instance_uid=uid,
        instance_number=1,
        series_description="LV measurements" + (" (research use)" if config.research_use else ""),
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=_previous_versions(predecessor, uid),
    )
    complete(sr, study, instances, config, now, texts=[sentence.text for sentence in sentences])
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
    said += [_Sentence(codes.COMMENT, text) for text in clip_sentences(study)]
    return tuple(said)


def _measurement_report(study: StudyAnalysis, config: ReportConfig, sentences: Iterable[_Sentence]) -> Dataset:
    report = MeasurementReport(
        observation_context=_observer(config),
        procedure_reported=codes.ECHOCARDIOGRAPHY,
        imaging_measurements=measurement_groups(study, config),
    )[0]
    report.ContentSequence.append(_section(codes.QUALITATIVE_EVALUATIONS, sentences))
    return report


def _text_report(study: StudyAnalysis, config: ReportConfig, sentences: Iterable[_Sentence]) -> Dataset:
    engines = (
        _Sentence(codes.COMMENT, f"Engine {name} {identity}.") for name, identity in engine_parameters(study).items()
    )
    report = ContainerContentItem(codes.ADULT_ECHO_REPORT, template_id="5200")
    content: list[ContentItem] = [
        *LanguageOfContentItemAndDescendants(CodedConcept.from_code(codes.ENGLISH)),
        *_observer(config),
        _section(codes.SUMMARY, (*sentences, *engines)),
    ]
    report.ContentSequence = ContentSequence(content)
    return report


def _section(concept: Code, sentences: Iterable[_Sentence]) -> ContainerContentItem:
    section = ContainerContentItem(concept, relationship_type=RelationshipTypeValues.CONTAINS)
    section.ContentSequence = ContentSequence(
        [
            TextContentItem(sentence.concept, sentence.text, relationship_type=RelationshipTypeValues.CONTAINS)
            for sentence in sentences
        ]
    )
    return section


def _observer(config: ReportConfig) -> ObservationContext:
    device = DeviceObserverIdentifyingAttributes(
        uid=derive_uid(config.uid_root, "device", __version__),
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MANUFACTURER,
        serial_number=__version__,
    )
    return ObservationContext(observer_device_context=ObserverContext(codes.DEVICE, device))


def _previous_versions(predecessor: PredecessorReference | None, uid: str) -> list[Dataset] | None:
    """Return what highdicom copies the reference from; a repeated revision is the same document, not its successor."""
    if predecessor is None or predecessor.sop_instance_uid == uid:
        return None
    study, series = predecessor.study_instance_uid, predecessor.series_instance_uid
    return [reference_to(study, series, predecessor.sop_instance_uid, predecessor.sop_class_uid)]
