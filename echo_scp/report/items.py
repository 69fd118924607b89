"""Content items that several reports are made of."""

from __future__ import annotations

from collections.abc import Iterable

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    LanguageOfContentItemAndDescendants,
    NumContentItem,
    ObservationContext,
    RelationshipTypeValues,
)
from pydicom.sr.coding import Code

from echo_scp.model import BodySize
from echo_scp.report import codes


def procedure_report(
    template_id: str, observer: ObservationContext, content: Iterable[ContentItem]
) -> ContainerContentItem:
    """Return the root of an echocardiography procedure report (PS3.16 TID 5200, TID 5300)."""
    report = ContainerContentItem(codes.ADULT_ECHO_REPORT, is_content_continuous=False, template_id=template_id)
    language = LanguageOfContentItemAndDescendants(CodedConcept.from_code(codes.ENGLISH))
    report.ContentSequence = ContentSequence([*language, *observer, *content])
    return report


def body_size(body: BodySize, below_surface: Iterable[ContentItem] = ()) -> list[ContentItem]:
    """Return the patient's height, weight and body surface (PS3.16 TID 5201, TID 3602)."""
    return [
        number(codes.BODY_HEIGHT, round(body.height_m * 100, 1), codes.CENTIMETRE),
        number(codes.BODY_WEIGHT, round(body.weight_kg, 1), codes.KILOGRAM),
        number(codes.BODY_SURFACE, round(body.surface_m2, 2), codes.SQUARE_METRE, below_surface),
    ]


def container(name: Code, content: Iterable[ContentItem]) -> ContainerContentItem:
    """Return a section of a report."""
    # Separate, else viewers run the values together without their names (PS3.3 C.17.3.2.4.3).
    section = ContainerContentItem(name, is_content_continuous=False, relationship_type=RelationshipTypeValues.CONTAINS)
    section.ContentSequence = ContentSequence(list(content))
    return section


def number(name: Code, value: float, unit: Code, below: Iterable[ContentItem] = ()) -> NumContentItem:
    """Return a value with what stands below it."""
    item = NumContentItem(name, value, unit, relationship_type=RelationshipTypeValues.CONTAINS)
    if items := list(below):
        item.ContentSequence = ContentSequence(items)
    return item


def modifier(name: Code, value: Code) -> CodeContentItem:
    """Return what tells a concept from others of its name."""
    return CodeContentItem(name, value, relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD)
