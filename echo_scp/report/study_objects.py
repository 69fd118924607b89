"""Build what speaks of a study as a whole: the reports, the key objects and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from echo_scp.config import ObjectKind, ReportConfig
from echo_scp.model import StudyAnalysis
from echo_scp.report.content_tree import take_content
from echo_scp.report.files import ResultFile, encode, object_file
from echo_scp.report.groups import measured_clips
from echo_scp.report.key_objects import build_key_objects
from echo_scp.report.page import build_page
from echo_scp.report.sr import PredecessorReference, build_echo_sr, build_simplified_sr, build_sr, report_content


def study_objects(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    pictures: Sequence[bytes],
    config: ReportConfig,
    now: datetime,
    *,
    predecessors: Sequence[PredecessorReference] = (),
) -> Iterator[tuple[ResultFile, bytes]]:
    """Yield each file that the configuration asks for with what is in it; `pictures` are PNG files for the page."""
    earlier = {reference.kind: reference for reference in predecessors}
    for kind, dataset in _objects(study, segs, pictures, config, now, earlier=earlier):
        tail = take_content(dataset) if "ContentSequence" in dataset else b""
        yield object_file(kind, dataset), encode(dataset, tail)


def _objects(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    pictures: Sequence[bytes],
    config: ReportConfig,
    now: datetime,
    *,
    earlier: Mapping[str, PredecessorReference],
) -> Iterator[tuple[ObjectKind, Dataset]]:
    plain = config.sr_class == "comprehensive"
    content = cache(partial(report_content, study, config))  # both classes of report say the same
    report = partial(build_sr, study, segs, config, now)
    for kind in config.objects:
        match kind:
            case "SR":
                sop_class_uid = ComprehensiveSRStorage if plain else Comprehensive3DSRStorage
                yield kind, report(earlier.get(kind), sop_class_uid=sop_class_uid, content=content())
            case "SR_COMPREHENSIVE" if not plain:  # else SR is it
                yield kind, report(earlier.get(kind), sop_class_uid=ComprehensiveSRStorage, content=content())
            case "SR_ECHO":
                yield kind, build_echo_sr(study, segs, config, now, earlier.get(kind))
            case "SR_SIMPLIFIED" if document := build_simplified_sr(study, segs, config, now, earlier.get(kind)):
                yield kind, document
            case "KO" if measured_clips(study):
                yield kind, build_key_objects(study, config, now)
            case "PDF":
                yield kind, build_page(study, pictures, config, now)
