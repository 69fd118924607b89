"""Which destination gets the results of a study: pure decisions on what is known of the study."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from echo_scp.config import Destination, ObjectKind
from echo_scp.model import NotAssessed, StudyAnalysis, as_told

URGENT, NOT_ASSESSED, ASSESSED = "urgent", "not assessed", "assessed"


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What the rules of a destination ask about; several of each, because a study may come from several places."""

    calling_ae_titles: tuple[str, ...]
    institutions: tuple[str, ...]
    views: tuple[str, ...]
    findings: tuple[str, ...]

    @property
    def urgent(self) -> bool:
        return URGENT in self.findings


def study_facts(study: StudyAnalysis, urgent_ef_percent: float) -> StudyFacts:
    """Return the facts of an analysed study; a view counts when a clip of it was measured."""
    headers = [clip.instance.header for clip in study.clips]
    return StudyFacts(
        calling_ae_titles=_distinct(header.file_meta.get("SourceApplicationEntityTitle") for header in headers),
        institutions=_distinct(header.get("InstitutionName") for header in headers),
        views=_distinct(clip.view.view for clip in study.clips if clip.view and clip.measurement),
        findings=_findings(study, urgent_ef_percent),
    )


def wants(destination: Destination, facts: StudyFacts) -> bool:
    """Tell whether every rule of the destination holds; one that is empty does."""
    if destination.return_to_sender and destination.ae_title not in facts.calling_ae_titles:
        return False
    return (
        _meets(destination.calling_ae_titles, facts.calling_ae_titles)
        and _meets(destination.institutions, facts.institutions)
        and _meets(destination.views, facts.views)
        and _meets(destination.findings, facts.findings)
    )


def in_its_place(kind: ObjectKind, destination: Destination, available: Container[str]) -> list[ObjectKind]:
    """Return what goes in the place of a kind; for one that is not available, what would go in its place."""
    found: list[ObjectKind] = []
    asked = [kind]
    for each in asked:  # which grows
        for other in destination.fallbacks.get(each, ()):
            if other in available:
                found.append(other)
            elif other not in asked:
                asked.append(other)
    return found


def _findings(study: StudyAnalysis, urgent_ef_percent: float) -> tuple[str, ...]:
    if isinstance(study.result, NotAssessed):
        return (NOT_ASSESSED,)
    found = [ASSESSED]
    if as_told(study.result.ef_percent) <= urgent_ef_percent:
        found.append(URGENT)
    if study.assessment is not None:
        found += [f"below {threshold}" for threshold in study.assessment.thresholds_below]
        found += [f"{grade.scale}: {grade.grade}" for grade in study.assessment.grades]
    return tuple(found)


def _distinct(values: Iterable[object]) -> tuple[str, ...]:
    texts = (str(value).strip() for value in values if value is not None)
    return tuple(sorted({text for text in texts if text}))


def _meets(patterns: tuple[str, ...], values: tuple[str, ...]) -> bool:
    if not patterns:
        return True
    return any(fnmatchcase(value.casefold(), pattern.casefold()) for pattern in patterns for value in values)
