"""Build what speaks of a study as a whole: the reports, the key objects and the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pydicom import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage

from echo_scp.config import ObjectKind, ReportConfig
from echo_scp.model import StudyAnalysis
from echo_scp.report.groups import measured_clips
from echo_scp.report.key_objects import build_key_objects
from echo_scp.report.page import build_page
from echo_scp.report.sr import PredecessorReference, build_echo_sr, build_sr


def study_objects(
    study: StudyAnalysis,
    segs: Sequence[Dataset],
    pictures: Sequence[bytes],
    config: ReportConfig,
    now: datetime,
    *,
    predecessors: Sequence[PredecessorReference] = (),
) -> Iterator[tuple[ObjectKind, Dataset]]:
    """Yield each object that the configuration asks for with its kind; `pictures` are PNG files for the page."""
    plain = config.sr_class == "comprehensive"
    earlier = {reference.kind: reference for reference in predecessors}
    for kind in config.objects:
        match kind:
            case "SR":
                sop_class_uid = ComprehensiveSRStorage if plain else Comprehensive3DSRStorage
                yield kind, build_sr(study, segs, config, now, earlier.get(kind), sop_class_uid=sop_class_uid)
            case "SR_COMPREHENSIVE" if not plain:  # else SR is it
                yield kind, build_sr(study, segs, config, now, earlier.get(kind), sop_class_uid=ComprehensiveSRStorage)
            case "SR_ECHO":
                yield kind, build_echo_sr(study, segs, config, now, earlier.get(kind))
            case "KO" if measured_clips(study):
                yield kind, build_key_objects(study, config, now)
            case "PDF":
                yield kind, build_page(study, pictures, config, now)
