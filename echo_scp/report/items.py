"""Content items that several reports are made of."""

from __future__ import annotations

from collections.abc import Iterable

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    NumContentItem,
    RelationshipTypeValues,
)
from pydicom.sr.coding import Code


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
